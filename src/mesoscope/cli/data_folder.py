"""Where this user's programs keep data: added models, a kept face finder, a service's files."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_folder() -> Path:
    """This user's data folder, by the platform's custom; it may not exist yet."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local", "mesoscope")
    if sys.platform == "darwin":
        return home / "Library/Application Support/mesoscope"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share", "mesoscope")


def models_folder() -> Path:
    """Where models are that ``mesoscope models add`` made of detectors of others."""
    return data_folder() / "models"


def finders_folder() -> Path:
    """Where models of face finders are that ``mesoscope models add`` kept."""
    return data_folder() / "finders"
