"""List folders and lists of public sets by name.

No file is opened or queried for its size, as sets have a hundred thousand and more; only
:func:`kind_at` opens files without a known suffix. Names are compared in lower case, as copies of
sets differ in case (``YouTube-real`` and ``Youtube-real``). Links are followed. Files of operating
systems (``._x``, ``.DS_Store``, ``Thumbs.db``, ``__MACOSX``) are ignored.
"""

from __future__ import annotations

import json
import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.errors import DatasetError
from mesoscope.errors.failures import cause
from mesoscope.media.kinds import CLIP_SUFFIXES, PICTURE_SUFFIXES
from mesoscope.media.walk import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_AGAIN = "get it again from the set's source"


def read_json(path: Path) -> object:
    """Return the content of a JSON file.

    Raises:
        DatasetError: The file is empty, truncated, or no JSON; the line is named.
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
    """Return the text of a list, with or without a byte order mark.

    Raises:
        DatasetError: The file is unreadable, or no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {cause(error)}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is not UTF-8 text: {_AGAIN}") from error


_LITTER = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r"))
_NO_MEDIA = frozenset((".csv", ".json", ".jsonl", ".md", ".txt", ".parquet", ".npy", ".pts"))
_BELOW = 2  # levels: archives unpack into a folder of their own, some into two
_PEEK = 2000  # names checked to recognise a set
_FOLDERS_PEEK = 64  # folders checked to find a root


class Listing(NamedTuple):
    """Contents of a folder, sorted by name.

    Attributes:
        folders: Names of folders, and of links to folders.
        files: All other names, broken links too, so that errors can name them.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]


def list_folder(folder: Path) -> Listing:
    """List a folder.

    Raises:
        DatasetError: The folder is not readable.
    """
    return Listing(*map(tuple, map(sorted, _scan(folder, None))))


def peek_folder(folder: Path, most: int = _PEEK) -> Listing:
    """Return the first names in disk order; none for an unreadable folder."""
    try:
        return Listing(*map(tuple, _scan(folder, most)))
    except DatasetError:
        return Listing((), ())


def _scan(folder: Path, most: int | None) -> tuple[list[str], list[str]]:
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, most):
                name = entry.name
                if name[0] == "." or name.lower() in _LITTER:
                    continue
                (folders if _is_folder(entry) else files).append(name)
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed: {cause(error)}") from error
    return folders, files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def children(folder: Path, *names: str) -> list[Path]:
    """Return direct subfolders of these names, given in lower case."""
    return [folder / name for name in list_folder(folder).folders if name.lower() in names]


def has_folder(folder: Path, *names: str) -> bool:
    """Whether a direct subfolder has one of these names, in lower case."""
    return any(name.lower() in names for name in peek_folder(folder).folders)


def file_named(folder: Path, name: str) -> Path | None:
    """Return the file of that name, ignoring case."""
    return next((folder / n for n in list_folder(folder).files if n.lower() == name), None)


def walk_folders(folder: Path) -> Iterator[tuple[str, Listing]]:
    """Yield all folders below, the folder itself first, each with its relative path.

    A folder is visited once, by its first path; further links to it are ignored.

    Yields:
        Paths with ``/`` as separator, empty for the folder itself, and their contents.
    """
    visited: set[str] = set()
    stack = [""]
    while stack:
        relative = stack.pop()
        real = os.path.realpath(folder / relative)
        if real in visited:
            continue
        visited.add(real)
        listing = list_folder(folder / relative)
        yield relative, listing
        before = f"{relative}/" if relative else ""
        stack.extend(before + name for name in reversed(listing.folders))


def candidate_roots(
    root: Path, is_root: Callable[[Path], bool], is_part: Callable[[str], bool]
) -> list[Path]:
    """Return candidate roots of a set: the folder itself, else those below, else the one above.

    Args:
        root: Folder named by the user.
        is_root: Whether a folder is a root.
        is_part: Whether a lower-case folder name may be a part of the set; only then its parent is
            checked.

    Returns:
        All roots at the nearest distance; several if a folder holds several copies.
    """
    level = [root]
    for distance in range(_BELOW + 1):
        found = [folder for folder in level if is_root(folder)]
        if found:
            return found
        if distance < _BELOW:
            level = [
                folder / name for folder in level for name in sorted(peek_folder(folder).folders)
            ][:_FOLDERS_PEEK]
    above = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links
    if is_part(above.name.lower()) and is_root(above.parent):
        return [above.parent]
    return []


def kind(name: str) -> str:
    """Return ``clip`` or ``picture`` by suffix; empty for others."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - three times as fast as pathlib
    return "picture" if suffix in PICTURE_SUFFIXES else "clip" if suffix in CLIP_SUFFIXES else ""


def kind_at(path: Path) -> str:
    """Like :func:`kind`; files of unknown suffix are recognised by content."""
    if (media_kind := kind(path.name)) or path.suffix.lower() in _NO_MEDIA:
        return media_kind
    found = kind_of(path)
    return "" if found is None else "clip" if found == "video" else "picture"


def stem(name: str) -> str:
    """Return a file's name without its suffix."""
    return os.path.splitext(name)[0]  # noqa: PTH122
