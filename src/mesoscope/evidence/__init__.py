"""Explanations of verdicts as pictures."""
