"""Classifiers of others as model files of ours."""
