"""Reports as figures and pages. Only :mod:`mesoscope.report.record` works without the extra."""

from __future__ import annotations

import base64
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.errors import MissingExtra

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"


def require(*packages: str) -> None:
    """Check that the packages of a report are installed, before any long work.

    Args:
        packages: Required packages; by default those of the evaluation page.

    Raises:
        MissingExtra: A package is not installed.
    """
    for package in packages or ("matplotlib", "jinja2"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtra(package, extra="report") from error


def data_url(picture: bytes, kind: str = "jpeg") -> str:
    """Return an encoded picture as a ``data:`` URL."""
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def template_environment() -> jinja2.Environment:
    """Return the settings of all page templates: escaped, and undefined values are errors."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
