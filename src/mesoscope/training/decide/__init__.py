"""Calibration, thresholds and the guard against unfamiliar faces."""
