"""Files and folders in, their pictures and clips out: recursively, in a stable order, each once."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.errors import SourceError, SourceMissing
from mesoscope.errors.failures import cause
from mesoscope.media.kinds import CLIP_SUFFIXES, PICTURE_SUFFIXES, SNIFF_BYTES, sniff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mesoscope.media.kinds import Kind

_SUFFIXES = frozenset(suffix.encode() for suffix in PICTURE_SUFFIXES | CLIP_SUFFIXES)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place on the way that cannot be read: it becomes a row of the scan."""

    path: str
    error: SourceError
    folder: bool = False


class Listed(NamedTuple):
    """A file of a walk, and what tells whether it has changed since another one.

    Attributes:
        raw: Its path in the bytes that it has on disk.
        size_bytes: Its size.
        mtime_ns: When it was last written, in nanoseconds since 1970.
    """

    raw: bytes
    size_bytes: int
    mtime_ns: int

    @property
    def path(self) -> str:
        """Its path as elsewhere in Python: bytes that are not UTF-8 are escaped."""
        return os.fsdecode(self.raw)


class _Folder(NamedTuple):
    """A folder to walk into, and the identities of those on the way to it, its own the last."""

    path: str
    way: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Walk:
    """What folders share while they are walked through."""

    visited: set[tuple[int, int]]
    skipped: Callable[[str], None] | None
    again: Callable[[str], None] | None

    def enters(self, path: str, identity: tuple[int, int]) -> bool:
        """Whether a folder is to be walked into: it was not visited by another way."""
        if not identity[1]:  # a file system that does not number its folders
            return True
        if identity in self.visited:
            if self.again is not None:
                self.again(path)
            return False
        self.visited.add(identity)
        return True


def walk(
    paths: Iterable[str],
    *,
    skipped: Callable[[str], None] | None = None,
    visited: set[tuple[int, int]] | None = None,
    again: Callable[[str], None] | None = None,
) -> Iterator[str | Unreadable]:
    """List pictures and clips.

    A path that is named is always given out, whatever it is. In folders, files are taken by
    the suffix of a picture or clip or, where it says nothing, by their first bytes; others are
    skipped. Within each folder the order is that of the paths' bytes, files and folders together.
    Links to folders are followed, and a link back into a folder on its own way is reported once
    instead. A folder is visited once, under the path that comes first, whatever links lead to it
    and however often it is named; files count by their paths.

    Args:
        paths: Files and folders.
        skipped: Called with each file that is neither.
        visited: Folders of walks before, which are not visited again; those of this one are added.
        again: Called with each further path of a folder that was visited.

    Yields:
        Paths, and :class:`Unreadable` for missing or unreadable places and link loops.
    """
    for found in walk_files(paths, skipped=skipped, visited=visited, again=again):
        yield found.path if isinstance(found, Listed) else found


def walk_files(
    paths: Iterable[str],
    *,
    skipped: Callable[[str], None] | None = None,
    visited: set[tuple[int, int]] | None = None,
    again: Callable[[str], None] | None = None,
) -> Iterator[Listed | Unreadable]:
    """As :func:`walk`, with the size and the time of each file.

    Below one folder, paths come in the order of their bytes, where an unreadable folder counts
    with a slash behind it: a ledger in that order can be compared without holding either.
    """
    here = _Walk(set() if visited is None else visited, skipped, again)
    for path in paths:
        try:
            info = os.stat(path)  # noqa: PTH116 - names that are not UTF-8 stay strings
        except (OSError, ValueError) as error:
            yield Unreadable(path, _why(path, error))
            continue
        if stat.S_ISDIR(info.st_mode):
            identity = (info.st_dev, info.st_ino)
            if here.enters(path, identity):
                yield from _below(_Folder(path, (identity,)), here)
        else:
            yield Listed(os.fsencode(path), info.st_size, info.st_mtime_ns)


def _below(folder: _Folder, walk: _Walk) -> Iterator[Listed | Unreadable]:
    # A stack of our own: folders may lie deeper in each other than Python lets functions.
    open_ones = [_entries(folder, walk)]
    while open_ones:
        found = next(open_ones[-1], None)
        if found is None:
            open_ones.pop()
        elif isinstance(found, _Folder):
            open_ones.append(_entries(found, walk))
        else:
            yield found


def _entries(within: _Folder, walk: _Walk) -> Iterator[Listed | Unreadable | _Folder]:
    (folder, way), skipped = within, walk.skipped
    # An archive has millions of files, so what is done a file stays in bytes and is little.
    try:
        with os.scandir(os.fsencode(folder)) as entries:
            # A folder sorts by its name and the slash that follows in the paths of its files.
            names = [entry.name + b"/" if _is_folder(entry) else entry.name for entry in entries]
    except OSError as error:
        yield Unreadable(folder, _why(folder, error), folder=True)
        return
    names.sort()
    before = os.path.join(os.fsencode(folder), b"")  # noqa: PTH118
    for name in names:
        raw = before + name
        try:
            info = os.stat(raw)  # noqa: PTH116
        except OSError as error:
            path = os.fsdecode(raw.rstrip(b"/"))
            yield Unreadable(path, _why(path, error))
            continue
        if stat.S_ISREG(info.st_mode):
            if _looks_like_media(raw, name):
                yield Listed(raw, info.st_size, info.st_mtime_ns)
            elif skipped is not None:
                skipped(os.fsdecode(raw))
            continue
        path = os.fsdecode(raw.rstrip(b"/"))
        if stat.S_ISDIR(info.st_mode):
            yield from _enter(path, way, (info.st_dev, info.st_ino), walk)
        elif skipped is not None:
            skipped(path)


def _enter(
    path: str, way: tuple[tuple[int, int], ...], identity: tuple[int, int], walk: _Walk
) -> Iterator[Unreadable | _Folder]:
    if identity in way:
        why = SourceError(f"{path}: a link loop, it leads back to a folder above it")
        yield Unreadable(path, why, folder=True)
    elif walk.enters(path, identity):
        yield _Folder(path, (*way, identity))


def open_without_waiting(path: str | bytes, flags: int) -> int:
    """An opener that does not wait at a pipe until somebody writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed: its row will say so
        return False


def _looks_like_media(raw: bytes, name: bytes) -> bool:
    at = name.rfind(b".")
    if at > 0 and name[at:].lower() in _SUFFIXES:
        return True  # and if it is none, its row will say so
    return kind_of(raw) is not None


def kind_of(path: str | bytes | os.PathLike[str]) -> Kind | None:
    """Return what a file is by its first bytes; ``None`` for others and unreadable ones."""
    try:
        # Some of the system's files are waited for, and a pipe may have taken a file's place.
        with open(path, "rb", opener=open_without_waiting) as file:
            return sniff(file.read(SNIFF_BYTES) or b"")
    except OSError:
        return None


def _why(path: str, error: OSError | ValueError) -> SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        what = "a link that points nowhere" if os.path.islink(path) else "no such file or folder"  # noqa: PTH114
        return SourceMissing(f"{path}: {what}: check the path")
    reason = cause(error)
    return SourceError(f"{path}: cannot be opened: {reason}")
