"""Files that are whole or not there: written beside their place, on the disk, then renamed."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from typing import TYPE_CHECKING

from mesoscope.errors import OutputError
from mesoscope.errors.failures import cause

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "PART",
    "atomic_path",
    "finish",
    "sweep",
    "unfinished",
    "whole",
    "write_text",
    "write_whole",
]

PART = ".part"  # ends the names of files that are not whole yet
_numbers = itertools.count()


@contextlib.contextmanager
def unfinished(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """A hidden name to write a file under, no other writer's; what still has it goes in the end.

    Args:
        path: Where the file is to lie.
        folder: Where it lies until then, on the same disk; ``None`` for the folder of ``path``.
    """
    # A name of its own: that of the file, with more behind it, may be longer than names can be.
    # On a drive that machines share, the number of the process alone may be another writer's, too.
    own = f".{os.getpid()}-{next(_numbers)}-{secrets.token_hex(4)}{PART}"
    part = (folder or path.parent) / own
    try:
        yield part
    finally:  # an interrupt leaves nothing behind either
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def finish(part: Path, path: Path, *, sync: bool = True) -> None:
    """Move a written file to its place.

    Args:
        part: A name of :func:`unfinished`.
        path: Its place; what lay there is replaced.
        sync: Wait until it is on the disk, so that a loss of power leaves the old file or the new
            one. One of thousands, which are made again where they are missing, need not wait.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    if sync:
        with part.open("rb+") as file:
            os.fsync(file.fileno())
    part.replace(path)


@contextlib.contextmanager
def atomic_path(path: Path, *, folder: Path | None = None, sync: bool = True) -> Iterator[Path]:
    """A name to write a file under; it takes its place when the block ends without an error.

    A file that stood there before stays until then. What a link points to is replaced, and not the
    link. Devices and pipes are written as they are, as nothing can take their place.

    Args:
        path: As of :func:`unfinished`.
        folder: As of :func:`unfinished`.
        sync: As of :func:`finish`.

    Raises:
        OSError: The disk is full, the folder cannot be written, or a folder stands there.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        if target.is_dir():
            raise IsADirectoryError(None, "a folder stands there: name a file", str(path))
        yield path
        return
    with unfinished(target, folder) as part:
        yield part
        finish(part, target, sync=sync)


@contextlib.contextmanager
def whole(
    path: Path,
    *,
    folder: Path | None = None,
    sync: bool = True,
    hint: str = "",
    parents: bool = True,
) -> Iterator[Path]:
    """As :func:`atomic_path`, with errors for a user.

    Args:
        path: The file.
        folder: As of :func:`unfinished`.
        sync: As of :func:`finish`.
        hint: What to do where it cannot be written, as the end of the message.
        parents: Make its folder where that is missing.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, folder=folder, sync=sync) as part:
            yield part
    except OSError as error:
        said = f"{path}: cannot be written: {cause(error)}"
        raise OutputError(f"{said}: {hint}" if hint else said) from error


def write_whole(
    path: Path, data: bytes, *, sync: bool = True, hint: str = "", parents: bool = False
) -> None:
    """Write a file in one move, see :func:`whole`.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    with whole(path, sync=sync, hint=hint, parents=parents) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str, *, hint: str = "") -> None:
    """Write a text file in one move; a name in it that is not UTF-8 is written as an escape.

    Raises:
        OutputError: It cannot be written.
    """
    write_whole(path, text.encode("utf-8", "backslashreplace"), hint=hint, parents=True)


def sweep(folder: Path) -> None:
    """Take away what writers that were killed left anywhere below a folder.

    Raises:
        OSError: It cannot be read or written.
    """
    for part in folder.rglob(f".*{PART}"):
        part.unlink(missing_ok=True)
