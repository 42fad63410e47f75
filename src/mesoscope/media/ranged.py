"""Clips that are read by ranges of their bytes, as object stores give them.

The index of an ordinary MP4 says where every packet lies and when it is shown. So the pictures
themselves are read only around the frames that are sampled, and the rest stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from mesoscope.media.chunks import Window, boxes
from mesoscope.media.kinds import SNIFF_BYTES, demuxer, sniff

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_BOXES = 1_000  # of the outermost; ordinary files have four


@dataclass(frozen=True)
class RangedFile:
    """A clip that is opened elsewhere, and read by seeking.

    Attributes:
        name: Name in verdicts.
        open: Opens it; each file that it returns is closed by the reader.
    """

    name: str
    open: Callable[[], BinaryIO]


def media_range(file: BinaryIO) -> tuple[int, int] | None:
    """Return where the packets of an MP4 or QuickTime file lie, first byte and end.

    Args:
        file: An open file of any kind; its position changes.

    Returns:
        ``None`` if its index does not stand apart from its packets: another container, a file in
        fragments, or one with several boxes of packets or none.
    """
    head = file.read(SNIFF_BYTES)
    if sniff(head) != "video" or demuxer(head) != "mov":
        return None
    data = Window(file)
    found: list[tuple[int, int]] = []
    indexes = 0
    for count, (kind, body, end) in enumerate(boxes(data, 0, len(data))):
        if kind in (b"moof", b"sidx") or end > len(data) or count == _MOST_BOXES:
            return None
        indexes += kind == b"moov"
        if kind == b"mdat":
            found.append((body, end))
    return found[0] if len(found) == indexes == 1 else None


class BlankFile:
    """A file wrapper that may give zeros in place of some bytes, without reading them.

    Args:
        file: Open file; it is not closed.
        first: The first of those bytes.
        end: Their end.

    Attributes:
        blank: Whether zeros are given.
    """

    def __init__(self, file: BinaryIO, first: int, end: int) -> None:
        self._file, self._first, self._end = file, first, end
        self._at = 0
        self.blank = False
        self._size = file.seek(0, 2)

    def read(self, size: int = -1) -> bytes:
        """Read bytes; those of the range are zeros while :attr:`blank` is set."""
        stop = self._size if size < 0 else min(self._at + size, self._size)
        if self.blank and self._first <= self._at < self._end:
            data = bytes(max(0, min(stop, self._end) - self._at))
        else:
            if self.blank and self._at < self._first:
                stop = min(stop, self._first)
            self._file.seek(self._at)
            data = self._file.read(max(0, stop - self._at))
        self._at += len(data)
        return data

    def seek(self, to: int, whence: int = 0) -> int:
        """Seek in the file."""
        self._at = to + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """Return the position in the file."""
        return self._at
