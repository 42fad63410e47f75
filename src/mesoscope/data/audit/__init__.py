"""Audit of a data set: label leaks, shortcuts and duplicates."""
