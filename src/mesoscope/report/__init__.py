"""Results as pictures and pages. Only :mod:`mesoscope.report.record` does without the extra."""

from __future__ import annotations

import importlib

from mesoscope.errors import MissingExtra


def require() -> None:
    """Make sure that pictures and pages can be made, before any long work.

    Raises:
        MissingExtra: matplotlib or Jinja is not installed.
    """
    for package in ("matplotlib", "jinja2"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtra(package, extra="report") from error
