"""Files and folders in, the pictures in them out: recursively, in a stable order, none twice."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesoscope.errors import SourceError, SourceMissing
from mesoscope.media.kinds import PICTURE_SUFFIXES, SNIFF_BYTES, sniff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place on the way that cannot be read: it becomes a row of the scan."""

    path: str
    error: SourceError


def walk(
    paths: Iterable[str], *, skipped: Callable[[str], None] | None = None
) -> Iterator[str | Unreadable]:
    """List pictures.

    A path that is named is always given out, whatever it is. In folders, files are taken by a
    picture's suffix or, where the suffix says nothing, by a picture's first bytes; others are
    skipped. Names are sorted within each folder, files and folders together. Links to folders are
    followed, and a link back into a folder on its own way is reported once instead.

    Args:
        paths: Files and folders.
        skipped: Called with each file that is not a picture.

    Yields:
        Paths, and :class:`Unreadable` for missing or unreadable places and link loops.
    """
    for path in paths:
        try:
            info = os.stat(path)  # noqa: PTH116 - names that are not UTF-8 stay strings
        except (OSError, ValueError) as error:
            yield Unreadable(path, _why(path, error))
            continue
        if stat.S_ISDIR(info.st_mode):
            yield from _folder(path, [(info.st_dev, info.st_ino)], skipped)
        else:
            yield path


def _folder(
    folder: str, way: list[tuple[int, int]], skipped: Callable[[str], None] | None
) -> Iterator[str | Unreadable]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        yield Unreadable(folder, _why(folder, error))
        return
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118
        try:
            info = os.stat(path)  # noqa: PTH116
        except OSError as error:
            yield Unreadable(path, _why(path, error))
            continue
        if stat.S_ISDIR(info.st_mode):
            identity = (info.st_dev, info.st_ino)
            if identity in way:
                yield Unreadable(
                    path, SourceError(f"{path}: a link loop, it leads back to a folder above it")
                )
            else:
                yield from _folder(path, [*way, identity], skipped)
        elif stat.S_ISREG(info.st_mode) and _looks_like_picture(path, name):
            yield path
        elif skipped is not None:
            skipped(path)


def _looks_like_picture(path: str, name: str) -> bool:
    if os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES:  # noqa: PTH122
        return True  # and if it is none, its row will say so
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return sniff(file.read(SNIFF_BYTES)) is not None
    except OSError:
        return False


def _why(path: str, error: OSError | ValueError) -> SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        what = "a link that points nowhere" if os.path.islink(path) else "no such file or folder"  # noqa: PTH114
        return SourceMissing(f"{path}: {what}: check the path")
    reason = getattr(error, "strerror", None) or error
    return SourceError(f"{path}: cannot be opened: {reason}")
