"""Lists that come with public sets: JSON and lines, with errors that name the place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mesoscope.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

_AGAIN = "get it again from the set's source"


def read_json(path: Path) -> object:
    """The content of a JSON file.

    Raises:
        DatasetError: It is empty, cut off, or no JSON; the line is named.
    """
    text = read_text(path)
    if not text.strip():
        raise DatasetError(f"{path}: is empty: {_AGAIN}")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path}, line {error.lineno}: is no JSON, {error.msg.lower()}: {_AGAIN}"
        ) from error
    except RecursionError as error:
        raise DatasetError(f"{path}: is nested too deep to be a list of clips: {_AGAIN}") from error


def read_text(path: Path) -> str:
    """The text of a list, with or without a byte order mark.

    Raises:
        DatasetError: It cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is not UTF-8 text: {_AGAIN}") from error
