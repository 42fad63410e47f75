"""The user's data folder: added models, face finders, the data of a service."""

from __future__ import annotations

import os
import sys
from pathlib import Path


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
    """Return the folder of the face finders' models that ``mesoscope models add`` kept."""
    return data_folder() / "finders"
