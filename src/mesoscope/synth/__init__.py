"""Forgeries of real faces, each with its mask, parameters and untouched counterpart (twin)."""
