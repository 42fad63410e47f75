"""Recursive listing of pictures and clips, in a stable order, without duplicates."""

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
    """A file or folder that cannot be read; it becomes a row of the scan."""

    path: str
    error: SourceError
    folder: bool = False


class Listed(NamedTuple):
    """A listed file, with size and time for the detection of changes.

    Attributes:
        raw: Path as bytes.
        size_bytes: Size.
        mtime_ns: Modification time, in nanoseconds since 1970.
    """

    raw: bytes
    size_bytes: int
    mtime_ns: int

    @property
    def path(self) -> str:
        """Path as text; bytes that are not UTF-8 become surrogates."""
        return os.fsdecode(self.raw)


class _Folder(NamedTuple):
    """A folder to list, and the identities of its ancestors, the last being its own."""

    path: str
    ancestors: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Walk:
    """State of a walk."""

    takes: Callable[[bytes, bytes], bool]
    visited: set[tuple[int, int]]
    skipped: Callable[[str], None] | None
    again: Callable[[str], None] | None

    def enters(self, path: str, identity: tuple[int, int]) -> bool:
        """Whether to list a folder: it was not visited under another path."""
        if not identity[1]:  # a file system without inode numbers
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

    Given files are always listed. In folders, files are listed if they have the suffix of a picture
    or clip, or if their first bytes are those of one; others are skipped. The order within a folder
    is by the bytes of the paths, with files and folders together. Links to folders are followed,
    and a link to an ancestor is reported as an error. A folder is listed once, under its first
    path; files are identified by their paths.

    Args:
        paths: Files and folders.
        skipped: Called with each skipped file.
        visited: Folders of earlier walks, which are not listed again; those of this walk are added.
        again: Called with each further path of a visited folder.

    Yields:
        Paths, and :class:`Unreadable` for missing or unreadable files and folders and link loops.
    """
    for found in walk_files(paths, skipped=skipped, visited=visited, again=again):
        yield found.path if isinstance(found, Listed) else found


def walk_files(
    paths: Iterable[str],
    *,
    skipped: Callable[[str], None] | None = None,
    visited: set[tuple[int, int]] | None = None,
    again: Callable[[str], None] | None = None,
    suffix: bytes | None = None,
) -> Iterator[Listed | Unreadable]:
    """List files as :func:`walk` does, with size and time.

    Below a folder, paths are sorted by their bytes, an unreadable folder with a trailing slash. So
    the listing can be merged with a sorted ledger without loading either. With a ``suffix``, such
    as ``b".tar"``, the files with it are listed in place of pictures and clips.
    """

    def takes(raw: bytes, name: bytes) -> bool:
        return _looks_like_media(raw, name) if suffix is None else name.lower().endswith(suffix)

    state = _Walk(takes, set() if visited is None else visited, skipped, again)
    for path in paths:
        try:
            info = os.stat(path)  # noqa: PTH116 - names that are not UTF-8 stay strings
        except (OSError, ValueError) as error:
            yield Unreadable(path, _error(path, error))
            continue
        if stat.S_ISDIR(info.st_mode):
            identity = (info.st_dev, info.st_ino)
            if state.enters(path, identity):
                yield from _below(_Folder(path, (identity,)), state)
        else:
            yield Listed(os.fsencode(path), info.st_size, info.st_mtime_ns)


def _below(folder: _Folder, walk: _Walk) -> Iterator[Listed | Unreadable]:
    # An explicit stack, as folders may be nested deeper than Python's recursion limit.
    stack = [_entries(folder, walk)]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
        elif isinstance(found, _Folder):
            stack.append(_entries(found, walk))
        else:
            yield found


def _entries(within: _Folder, walk: _Walk) -> Iterator[Listed | Unreadable | _Folder]:
    (folder, ancestors), skipped = within, walk.skipped
    # Archives have millions of files, so paths stay bytes and the work per file is small.
    try:
        with os.scandir(os.fsencode(folder)) as entries:
            # Folders are sorted with a trailing slash, as in the paths of their files.
            names = [entry.name + b"/" if _is_folder(entry) else entry.name for entry in entries]
    except OSError as error:
        yield Unreadable(folder, _error(folder, error), folder=True)
        return
    names.sort()
    before = os.path.join(os.fsencode(folder), b"")  # noqa: PTH118
    for name in names:
        raw = before + name
        try:
            info = os.stat(raw)  # noqa: PTH116
        except OSError as error:
            path = os.fsdecode(raw.rstrip(b"/"))
            yield Unreadable(path, _error(path, error))
            continue
        if stat.S_ISREG(info.st_mode):
            if walk.takes(raw, name):
                yield Listed(raw, info.st_size, info.st_mtime_ns)
            elif skipped is not None:
                skipped(os.fsdecode(raw))
            continue
        path = os.fsdecode(raw.rstrip(b"/"))
        if stat.S_ISDIR(info.st_mode):
            yield from _enter(path, ancestors, (info.st_dev, info.st_ino), walk)
        elif skipped is not None:
            skipped(path)


def _enter(
    path: str, ancestors: tuple[tuple[int, int], ...], identity: tuple[int, int], walk: _Walk
) -> Iterator[Unreadable | _Folder]:
    if identity in ancestors:
        error = SourceError(f"{path}: a link loop, it leads back to a folder above it")
        yield Unreadable(path, error, folder=True)
    elif walk.enters(path, identity):
        yield _Folder(path, (*ancestors, identity))


def open_without_waiting(path: str | bytes, flags: int) -> int:
    """Open a file without blocking on a pipe; an ``opener`` for :func:`open`."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed: its row has the error
        return False


def _looks_like_media(raw: bytes, name: bytes) -> bool:
    at = name.rfind(b".")
    if at > 0 and name[at:].lower() in _SUFFIXES:
        return True  # if it is another file, its row has the error
    return kind_of(raw) is not None


def kind_of(path: str | bytes | os.PathLike[str]) -> Kind | None:
    """Detect a file's format by its first bytes; ``None`` for other and unreadable files."""
    try:
        # Some files of the system block, and a pipe may have replaced a file.
        with open(path, "rb", opener=open_without_waiting) as file:
            return sniff(file.read(SNIFF_BYTES) or b"")
    except OSError:
        return None


def _error(path: str, error: OSError | ValueError) -> SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        what = "a link that points nowhere" if os.path.islink(path) else "no such file or folder"  # noqa: PTH114
        return SourceMissing(f"{path}: {what}: check the path")
    return SourceError(f"{path}: cannot be opened: {cause(error)}")
