"""A folder that one run at a time adds to: its lock, and lines that are whole or cut off."""

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

# What is said where a file of a folder cannot be written.
GO_ON = "what was written before is whole; run the same command again to go on"


def append(path: Path, data: bytes) -> None:
    """Append whole lines in one system call, or nothing: half a line is cut off again.

    Raises:
        OutputError: The disk is full, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            left = memoryview(data)
            try:
                while left:  # a disk that is nearly full takes a part, and says no to the rest
                    left = left[file.write(left) :]
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {cause(error)}: {GO_ON}") from error


def locked(path: Path) -> int | None:
    """Lock a folder or a file in it, for as long as the process lives or the descriptor is open.

    Args:
        path: What stays as it is while the run goes on: a file that is replaced is not locked.

    Returns:
        The descriptor to close; ``None`` where the system or the disk has no such locks.

    Raises:
        OptionError: Another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has none: there, two runs at once are the user's to avoid
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
    """The whole lines of a folder's records, each behind the byte where it ends.

    Args:
        path: ``OUT/forgeries.jsonl``; nothing is given where it is not there.

    Raises:
        OptionError: A line is damaged.
    """
    if not path.is_file():
        return
    end = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return  # the last one, of a run that was killed
            end += len(line)
            try:
                record = json.loads(line)
            except ValueError as error:
                raise OptionError(
                    f"{path}: damaged at byte {end - len(line)}: choose a new folder for `out`"
                ) from error
            yield end, record


def cut(path: Path, size: int) -> None:
    """Cut off what stands behind so many bytes: half a line of a run that was killed."""
    if path.is_file() and path.stat().st_size > size:
        os.truncate(path, size)
