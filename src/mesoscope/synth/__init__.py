"""Forgeries made from real faces, each with its mask, its numbers and its untouched twin."""
