"""Text files that mesoscope reads and writes: CSV and TOML."""
