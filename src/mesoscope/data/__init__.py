"""Data sets on disk: what lies where, and what would make a score a lie."""
