"""Results as pictures and pages. Only :mod:`mesoscope.report.record` does without the extra."""

from __future__ import annotations

import importlib

from mesoscope.errors import MissingExtra


def require(*packages: str) -> None:
    """Make sure that pictures and pages can be made, before any long work.

    Args:
        packages: What it takes; by default what the evaluation's page takes.

    Raises:
        MissingExtra: One of them is not installed.
    """
    for package in packages or ("matplotlib", "jinja2"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtra(package, extra="report") from error
