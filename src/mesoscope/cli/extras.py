"""Imports of packages that need an extra."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mesoscope.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def extra(name: str, package: str) -> Iterator[None]:
    """Turn a failing import in the ``with`` block into an error that names the extra.

    Args:
        name: Name of the extra.
        package: Package to name if the import error names none.

    Raises:
        MissingExtra: A package of the extra is not installed. A missing module of mesoscope itself
            stays an import error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "mesoscope":
            raise
        raise MissingExtra(error.name or package, extra=name) from error
