"""Scans of folders, with or without a resumable job."""
