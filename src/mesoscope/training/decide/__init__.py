"""Calibration, thresholds and what is familiar."""
