"""What the user's system has: the data folder, and the packages of extras."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator


def data_folder() -> Path:
    """Return the user's data folder on this platform; it may not exist yet."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local", "mesoscope")
    if sys.platform == "darwin":
        return home / "Library/Application Support/mesoscope"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share", "mesoscope")


def models_folder() -> Path:
    """Return the folder of the models that ``mesoscope models add`` wrapped."""
    return data_folder() / "models"


def finders_folder() -> Path:
    """Return the folder of the face finders' models that ``mesoscope models add`` added."""
    return data_folder() / "finders"


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
