"""Readers of public data sets, one file each: their layout on disk and expected contents."""
