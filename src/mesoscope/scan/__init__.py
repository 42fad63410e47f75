"""Jobs over folders."""
