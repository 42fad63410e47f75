"""Face detection, and the one crop function."""
