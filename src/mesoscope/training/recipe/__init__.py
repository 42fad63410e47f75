"""The recipe of a training run: keys, ranges and rules."""
