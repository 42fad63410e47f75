"""Evaluation of a model on labelled data: accuracy, robustness, speed."""
