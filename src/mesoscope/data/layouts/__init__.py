"""Readers of public sets, one file each: how they lie on disk, what they should hold."""
