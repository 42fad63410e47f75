"""A model measured on labelled data: accuracy, robustness, speed."""
