"""The shipped model files, beside ``SHA256SUMS``; :mod:`mesoscope.models.file` finds them."""

DEFAULT_MODEL = "mesoscope"
