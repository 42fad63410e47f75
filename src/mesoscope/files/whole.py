"""Files that are whole or not there: written beside their place, on the disk, then renamed."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from mesoscope.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PART", "beside", "finish", "sweep", "unfinished", "write_whole"]

PART = ".part"  # ends the names of files that are not whole yet


@contextlib.contextmanager
def unfinished(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """A hidden name to write a file under, no other writer's; what still has it goes in the end.

    Args:
        path: Where the file is to lie.
        folder: Where it lies until then, on the same disk; ``None`` for the folder of ``path``.
    """
    name = f".{path.name}.{os.getpid()}-{threading.get_ident()}{PART}"
    part = path.with_name(name) if folder is None else folder / name
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
def beside(path: Path, *, folder: Path | None = None, sync: bool = True) -> Iterator[Path]:
    """A name to write a file under; it takes its place when the block ends without an error.

    Args:
        path: As of :func:`unfinished`.
        folder: As of :func:`unfinished`.
        sync: As of :func:`finish`.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    with unfinished(path, folder) as part:
        yield part
        finish(part, path, sync=sync)


def write_whole(
    path: Path, data: bytes, *, sync: bool = True, hint: str = "", parents: bool = False
) -> None:
    """Write a file.

    Args:
        path: Where to.
        data: All of it.
        sync: As of :func:`finish`.
        hint: What to do where it cannot be written, as the end of the message.
        parents: Make its folder where that is missing.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with beside(path, sync=sync) as part:
            part.write_bytes(data)
    except OSError as error:
        further = f": {hint}" if hint else ""
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}{further}"
        ) from error


def sweep(folder: Path) -> None:
    """Take away what writers that were killed left anywhere below a folder.

    Raises:
        OSError: It cannot be read or written.
    """
    for part in folder.rglob(f".*{PART}"):
        part.unlink(missing_ok=True)
