"""A file that gives no more than a budget of bytes and time, and the file's bytes by slices."""

from __future__ import annotations

import io
import time
from typing import BinaryIO

MOST_BYTES = 256 << 20  # read of one file; what is hopped over does not count
MOST_S = 5.0


class SpentError(Exception):
    """The budget is spent."""


class Bounded(io.RawIOBase):
    """Reads and seeks in another file until a budget is spent.

    Args:
        file: Open for reading; it stays open.
        most_bytes: That may be read of it, all in all.
        most_s: Seconds from now on in which it may be read.
    """

    def __init__(
        self, file: BinaryIO, most_bytes: int = MOST_BYTES, most_s: float = MOST_S
    ) -> None:
        super().__init__()
        self._file, self._left = file, most_bytes
        self._until = time.monotonic() + most_s

    def read(self, size: int = -1) -> bytes:
        """Read on.

        Raises:
            SpentError: That would be more than is left.
        """
        data = self._file.read(size if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise SpentError(f"more than {MOST_BYTES >> 20} MB of metadata")
        if time.monotonic() > self._until:
            raise SpentError(f"it takes longer than {MOST_S:.0f} s")
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place; none lies beyond what a file can have."""
        return self._file.seek(min(offset, (1 << 63) - 1), whence)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True


class Window:
    """A file's bytes by slices, each read when it is asked for.

    Args:
        file: Open for reading and seeking.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        self._file.seek(start)
        return self._file.read(max(0, stop - start))
