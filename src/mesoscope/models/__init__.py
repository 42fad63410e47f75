"""The shipped model files, beside ``SHA256SUMS``; :mod:`mesoscope.model_file` finds them."""

DEFAULT_MODEL = "meso4"  # where none is asked for
