"""The shipped model files, beside ``SHA256SUMS``; :mod:`mesoscope.model_file` finds them."""

DEFAULT_MODEL = "mesoscope"  # where none is asked for
