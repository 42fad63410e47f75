"""Scans that are shared among machines, on engines that others keep."""
