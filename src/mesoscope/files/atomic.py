"""Atomic writing: a file is written under a temporary name, flushed to disk, and renamed."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from typing import TYPE_CHECKING

from mesoscope.errors import OptionError, OutputError
from mesoscope.errors.failures import cause

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "PART",
    "atomic_path",
    "finish",
    "output_path",
    "refuse_missing_parent",
    "remove_temporary_files",
    "temporary_path",
    "write_bytes",
    "write_text",
]

PART = ".part"  # suffix of temporary files
_numbers = itertools.count()


def refuse_missing_parent(path: Path) -> None:
    """Check before long work that the folder of an output exists.

    Raises:
        OptionError: It does not exist.
    """
    if not path.parent.is_dir():
        raise OptionError(f"{path}: there is no folder {path.parent}: make it first")


@contextlib.contextmanager
def temporary_path(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yield a unique temporary path; a file that is left there is removed at the end.

    Args:
        path: Final path of the file.
        folder: Folder of the temporary file, on the same disk; ``None`` for that of ``path``.
    """
    # Not derived from the file's name, which may already have the maximum length. Processes of
    # several machines that share a drive may have the same number, hence the random token.
    name = f".{os.getpid()}-{next(_numbers)}-{secrets.token_hex(4)}{PART}"
    part = (folder or path.parent) / name
    try:
        yield part
    finally:  # an interrupt leaves nothing behind either
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def finish(part: Path, path: Path, *, sync: bool = True) -> None:
    """Rename a temporary file to its final path, replacing an existing file.

    Args:
        part: Path from :func:`temporary_path`.
        path: Final path.
        sync: Flush the file to disk first, so that a power failure leaves the old or the new file.
            Not needed for one of thousands of files that a later run rewrites if missing.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    if sync:
        with part.open("rb+") as file:
            os.fsync(file.fileno())
    part.replace(path)


@contextlib.contextmanager
def atomic_path(path: Path, *, folder: Path | None = None, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path; it replaces the file when the block ends without an error.

    Of a symbolic link the target is replaced. Devices and pipes are written directly, as they
    cannot be replaced.

    Args:
        path: As for :func:`temporary_path`.
        folder: As for :func:`temporary_path`.
        sync: As for :func:`finish`.

    Raises:
        OSError: The disk is full, the folder is not writable, or ``path`` is a folder.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder: name a file", str(path))
        yield path
        return
    with temporary_path(target, folder) as part:
        yield part
        finish(part, target, sync=sync)


@contextlib.contextmanager
def output_path(
    path: Path,
    *,
    folder: Path | None = None,
    sync: bool = True,
    hint: str = "",
    parents: bool = True,
) -> Iterator[Path]:
    """Yield a path as :func:`atomic_path` does; raise errors with messages for users.

    Args:
        path: The file.
        folder: As for :func:`temporary_path`.
        sync: As for :func:`finish`.
        hint: End of the error message: the next step.
        parents: Create the file's folder if it is missing.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, folder=folder, sync=sync) as part:
            yield part
    except OSError as error:
        message = f"{path}: cannot be written: {cause(error)}"
        raise OutputError(f"{message}: {hint}" if hint else message) from error


def write_bytes(
    path: Path, data: bytes, *, sync: bool = True, hint: str = "", parents: bool = False
) -> None:
    """Write a file atomically, see :func:`output_path`.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    with output_path(path, sync=sync, hint=hint, parents=parents) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str, *, hint: str = "") -> None:
    """Write a text file atomically, in UTF-8; surrogates become escapes.

    Raises:
        OutputError: The file cannot be written.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"), hint=hint, parents=True)


def remove_temporary_files(folder: Path) -> None:
    """Remove the temporary files of killed processes below a folder.

    Raises:
        OSError: The folder cannot be read or written.
    """
    for part in folder.rglob(f".*{PART}"):
        part.unlink(missing_ok=True)
