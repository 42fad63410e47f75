"""Third-party classifiers converted to mesoscope model files."""
