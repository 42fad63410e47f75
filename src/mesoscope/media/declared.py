"""A check of the number of samples that the header of an MP4 or QuickTime file declares.

FFmpeg allocates 24 bytes or more per declared sample, even if the file does not have it: a file of
20 kB could allocate gigabytes (ISO/IEC 14496-12, 8.6 to 8.8).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from mesoscope.errors import SourceError
from mesoscope.media.chunks import Window, boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.media.ranged import BlankFile

MOST_SAMPLES = 10_000_000  # of all tracks: two days at 60 frames per second
_ALWAYS_SAMPLES = 1_000_000  # allowed for any file
_BYTES_EACH = 8  # minimum file size per sample beyond
_MOST_BOXES = 2_000_000
_MOST_INFLATED_BYTES = 64 << 20  # of a compressed header
_DEEPEST = 12
# Boxes in which FFmpeg searches for others. A full box starts with 4 bytes of version and flags.
_PARENTS = frozenset(
    (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"udta", b"wide",
     b"mvex", b"tref", b"clip", b"dinf", b"wave", b"sinf", b"schi", b"ilst", b"gmhd", b"meta")
)  # fmt: skip


@dataclass(slots=True)
class _Track:
    """The values that determine the length of FFmpeg's index of a track."""

    samples: int = 0
    chunks: int = 0
    edits: int = 0
    sound: bool = False
    even: bool = False  # one run of samples with a duration of one unit: uncompressed sound

    def entries(self) -> int:
        # Uncompressed sound is indexed by chunks, as its samples are single values.
        return (self.chunks if self.sound and self.even else self.samples) * max(1, self.edits)


def check_declared(file: BinaryIO | BlankFile, name: str) -> None:
    """Refuse a file whose header declares more samples than it can contain.

    Args:
        file: An open MP4 or QuickTime file; its position changes.
        name: Name in messages.

    Raises:
        SourceError: There is more than one sample per eight bytes, or more than
            :data:`MOST_SAMPLES`.
    """
    data = Window(file)
    size = len(data)
    count = _declared(data)
    if count > min(max(_ALWAYS_SAMPLES, size // _BYTES_EACH), MOST_SAMPLES):
        raise SourceError(
            f"{name}: its header declares {count:,} samples, more than a clip of "
            f"{size:,} bytes is read with: it is damaged, or made to exhaust memory"
        )


def _declared(data: bytes | Window) -> int:
    total, track = 0, _Track()
    for kind, at, end in _visit(data, 0, len(data), [_MOST_BOXES], 0):
        if kind == b"trak":
            total, track = total + track.entries(), _Track()
            continue
        body = data[at : min(at + 24, end)]
        if kind == b"cmov":
            total += _compressed(data[at : min(end, at + _MOST_INFLATED_BYTES)])
        elif kind == b"trun":
            total += _number(body, 4)
        elif kind in (b"stsz", b"stz2"):
            track.samples += _number(body, 8)
        elif kind in (b"stco", b"co64"):
            track.chunks += _number(body, 4)
        elif kind == b"elst":
            track.edits += _number(body, 4)
        elif kind == b"stts":
            track.even = _number(body, 4) == 1 and _number(body, 12) == 1
        elif kind == b"hdlr":
            track.sound = track.sound or body[8:12] == b"soun"
    return total + track.entries()


def _number(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 4], "big")


def _visit(
    data: bytes | Window, at: int, end: int, left: list[int], depth: int
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the body of each box, parents before their children."""
    if depth == _DEEPEST:
        return
    for kind, body, declared_end in boxes(data, at, end):
        left[0] -= 1
        if left[0] < 0 or declared_end < body:
            return
        stop = min(declared_end, end)
        yield kind, body, stop
        if kind in _PARENTS:
            yield from _visit(data, body + (4 if kind == b"meta" else 0), stop, left, depth + 1)


def _compressed(data: bytes) -> int:
    """Return the number of samples in a compressed QuickTime header."""
    start = data.find(b"cmvd")
    if start < 0:
        return 0
    try:
        inflated = zlib.decompressobj().decompress(data[start + 8 :], _MOST_INFLATED_BYTES)
    except zlib.error:
        return 0
    return _declared(inflated)
