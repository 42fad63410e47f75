"""A training run as data: its keys, their ranges and rules."""
