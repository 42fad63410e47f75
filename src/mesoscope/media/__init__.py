"""Decoding of pictures and clips; formats are detected by content, not by suffix."""
