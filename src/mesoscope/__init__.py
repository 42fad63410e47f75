"""mesoscope: tell real faces from forged ones."""

__version__ = "0.1.0"
