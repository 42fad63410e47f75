"""Locking of output folders, and JSON lines that are appended completely or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from mesoscope.errors import OptionError, OutputError
from mesoscope.errors.failures import cause

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# End of messages about files that cannot be written.
GO_ON = "earlier files are complete; run the same command again to continue"


def append(path: Path, data: bytes) -> None:
    """Append lines in one system call; a partial write is truncated again.

    Raises:
        OutputError: The disk is full, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            left = memoryview(data)
            try:
                while left:  # a nearly full disk accepts only a part
                    left = left[file.write(left) :]
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {cause(error)}: {GO_ON}") from error


def locked(path: Path) -> int | None:
    """Lock a folder or a file until the process ends or the descriptor is closed.

    Args:
        path: The folder, or a file in it that the run does not replace.

    Returns:
        The descriptor to close; ``None`` if the system or file system does not support locks.

    Raises:
        OptionError: Another process holds the lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows: concurrent runs are not detected
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        folder = path if path.is_dir() else path.parent
        raise OptionError(
            f"{folder}: another run is writing into it: wait for it, or choose a new folder"
        ) from error
    except OSError:  # a file system without locks
        os.close(descriptor)
        return None
    return descriptor


def read_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield a folder's records, each with the offset of its end.

    Args:
        path: ``OUT/forgeries.jsonl``; it need not exist.

    Raises:
        OptionError: A line is damaged.
    """
    if not path.is_file():
        return
    end = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return  # the last line, incomplete after a killed run
            end += len(line)
            try:
                record = json.loads(line)
            except ValueError as error:
                raise OptionError(
                    f"{path}: damaged at byte {end - len(line)}: choose a new folder for `out`"
                ) from error
            yield end, record


def truncate(path: Path, size: int) -> None:
    """Truncate a file, to drop the incomplete line of a killed run; it need not exist."""
    if path.is_file() and path.stat().st_size > size:
        os.truncate(path, size)
