"""Files and folders in, their pictures and clips out: recursively, in a stable order, each once."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.errors import SourceError, SourceMissing
from mesoscope.media.kinds import CLIP_SUFFIXES, PICTURE_SUFFIXES, SNIFF_BYTES, sniff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place on the way that cannot be read: it becomes a row of the scan."""

    path: str
    error: SourceError
    folder: bool = False


class Listed(NamedTuple):
    """A file of a walk, and what tells whether it has changed since another one."""

    path: str
    size_bytes: int
    mtime_ns: int


def walk(
    paths: Iterable[str], *, skipped: Callable[[str], None] | None = None
) -> Iterator[str | Unreadable]:
    """List pictures and clips.

    A path that is named is always given out, whatever it is. In folders, files are taken by
    the suffix of a picture or clip or, where it says nothing, by their first bytes; others are
    skipped. Within each folder the order is that of the paths' bytes, files and folders together.
    Links to folders are followed, and a link back into a folder on its own way is reported once
    instead.

    Args:
        paths: Files and folders.
        skipped: Called with each file that is neither.

    Yields:
        Paths, and :class:`Unreadable` for missing or unreadable places and link loops.
    """
    for found in walk_files(paths, skipped=skipped):
        yield found.path if isinstance(found, Listed) else found


def walk_files(
    paths: Iterable[str], *, skipped: Callable[[str], None] | None = None
) -> Iterator[Listed | Unreadable]:
    """As :func:`walk`, with the size and the time of each file.

    Below one folder, paths come in the order of their bytes, where an unreadable folder counts
    with a slash behind it: a ledger in that order can be compared without holding either.
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
            yield Listed(path, info.st_size, info.st_mtime_ns)


def _folder(
    folder: str, way: list[tuple[int, int]], skipped: Callable[[str], None] | None
) -> Iterator[Listed | Unreadable]:
    try:
        with os.scandir(folder) as entries:
            # A folder sorts by its name and the slash that follows in the paths of its files.
            names = [os.fsencode(entry.name) + b"/" * _is_folder(entry) for entry in entries]
    except OSError as error:
        yield Unreadable(folder, _why(folder, error), folder=True)
        return
    names.sort()
    for raw in names:
        name = os.fsdecode(raw.rstrip(b"/"))
        path = os.path.join(folder, name)  # noqa: PTH118
        try:
            info = os.stat(path)  # noqa: PTH116
        except OSError as error:
            yield Unreadable(path, _why(path, error))
            continue
        if stat.S_ISDIR(info.st_mode):
            identity = (info.st_dev, info.st_ino)
            if identity in way:
                why = SourceError(f"{path}: a link loop, it leads back to a folder above it")
                yield Unreadable(path, why, folder=True)
            else:
                yield from _folder(path, [*way, identity], skipped)
        elif stat.S_ISREG(info.st_mode) and _looks_like_media(path, name):
            yield Listed(path, info.st_size, info.st_mtime_ns)
        elif skipped is not None:
            skipped(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed: its row will say so
        return False


def _looks_like_media(path: str, name: str) -> bool:
    if os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES | CLIP_SUFFIXES:  # noqa: PTH122
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
