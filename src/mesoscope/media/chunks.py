"""What files are made of, walked within bounds: segments, chunks, boxes, blocks; nothing decoded.

Whatever is walked may lie: a walk never goes back, and who walks bounds how many steps it takes.
"""

from __future__ import annotations

import io
import re
import struct
import time
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 256 << 20  # read of one file; what is hopped over does not count
MOST_S = 5.0
_FILL = re.compile(rb"\xff+")
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # restart markers belong to the scan
ALONE = frozenset((0x01, *range(0xD0, 0xDA)))  # without a length: for restarts, begin and end
_SCAN, _END = 0xDA, 0xD9
_MOST_SUB_BLOCKS = 2_000_000  # of one picture of a GIF, of up to 255 bytes each
_JPEG_RARE = {  # by the marker of the frame header: ITU T.81, table B.1
    0xC3: "without loss", 0xC5: "in a hierarchy", 0xC6: "in a hierarchy", 0xC7: "in a hierarchy",
    0xC9: "in arithmetic coding", 0xCA: "in arithmetic coding", 0xCB: "without loss",
    0xCD: "in a hierarchy", 0xCE: "in a hierarchy", 0xCF: "in a hierarchy",
}  # fmt: skip


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


def jpeg_segments(data: bytes, *, scans: bool = False) -> Iterator[tuple[int, int, int]]:
    """Walk a JPEG's markers (ITU T.81, B.1.1), to its first scan or to its end.

    Args:
        data: The whole file.
        scans: Go on behind the first scan, to the marker that ends the picture.

    Yields:
        ``(marker, at, length)`` of each segment; ``at`` is where its marker begins, ``length`` what
        the segment says of itself, 0 of markers without one.
    """
    at = 2
    while fill := _FILL.match(data, at):
        at = fill.end() - 1
        if at + 2 > len(data):
            return
        marker = data[at + 1]
        length = 0 if marker in ALONE else int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, at, length
        if marker == _END or (marker == _SCAN and not scans):
            return
        at += 2 + length
        if marker == _SCAN:
            found = _END_OF_SCAN.search(data, at)
            at = found.start() if found else len(data)


def jpeg_without_metadata(data: bytes) -> bytes:
    """A JPEG with its application and comment segments left out, but Adobe's, which tells colours.

    Decoders then meet pixels only, and none of what a file may say of itself.
    """
    kept, end = [b"\xff\xd8"], 2
    for marker, at, length in jpeg_segments(data):
        if marker == _SCAN:
            return b"".join(kept) + data[at:]
        end = at + 2 + length
        if marker == 0xEE or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(data[at:end])
    return b"".join(kept) + data[end:]


def is_jpeg_frame(marker: int) -> bool:
    """Is it one of the markers of a frame header (ITU T.81, table B.1)."""
    return 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)


def jpeg_frame(data: bytes) -> tuple[int, int, int, int] | None:
    """Walk a JPEG's markers to its frame header (ITU T.81, B.2.2) and first scan.

    Args:
        data: The whole file.

    Returns:
        ``(width, height, components, offset of the first scan)``, or ``None`` where the markers
        lead nowhere.
    """
    frame = None
    for marker, at, _ in jpeg_segments(data):
        if marker == _SCAN:
            return None if frame is None else (*frame, at)
        if is_jpeg_frame(marker) and at + 10 <= len(data):
            height, width, components = struct.unpack(">HHB", data[at + 5 : at + 10])
            frame = (width, height, components)
    return None


def jpeg_held_bytes(data: bytes, components: int, scan_at: int) -> int:
    """How many bytes a pixel a decoder holds beside its output, at most.

    A progressive JPEG, and one whose colours come one after the other, is held whole as
    coefficients of 16 bits until its last scan.

    Args:
        data: The whole file.
        components: Of its frame.
        scan_at: Where its first scan begins.
    """
    scanned = data[scan_at + 4 : scan_at + 5]
    last = scan_at + 6 + 2 * scanned[0] if scanned else len(data)
    at_once = scanned == bytes([components]) and data[last : last + 1] == b"\x3f"
    return 0 if at_once else 2 * components


def jpeg_rare(data: bytes) -> str | None:
    """Name the coding of a JPEG that decoders of photographs do not read; ``None`` for others.

    Args:
        data: The whole file.
    """
    for marker, at, _ in jpeg_segments(data):
        if is_jpeg_frame(marker) and at + 5 <= len(data):
            bits = data[at + 4]
            return f"of {bits} bits" if bits != 8 else _JPEG_RARE.get(marker)
    return None


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Read the canvas size of a WebP (RFC 9649, 2.5 to 2.7).

    Returns:
        ``(width, height)``, or ``None`` where the first chunk is none of the three known.
    """
    chunk = data[12:16]
    if len(data) < 30:
        return None
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def chunks(
    data: bytes | Window, at: int, order: str, end: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of each chunk of a PNG (big) or RIFF (little) file.

    Args:
        data: The file, or its bytes by slices.
        at: Where the first chunk begins.
        order: ``"big"`` for a PNG, ``"little"`` for a RIFF file.
        end: Where they end, if before the file does.
    """
    end = len(data) if end is None else end
    while at + 8 <= end:
        head = data[at : at + 8]
        if len(head) < 8:
            return
        if order == "big":
            size, name = int.from_bytes(head[:4], "big"), head[4:]
            yield name, at + 8, size
            at += size + 12
        else:
            name, size = head[:4], int.from_bytes(head[4:], "little")
            yield name, at + 8, size
            at += 8 + size + size % 2


def boxes(data: bytes | Window, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, and begin and end of the body, of each box of ISO/IEC 14496-12.

    Args:
        data: The file by slices.
        at: Where the first box begins.
        end: Where they end. The last box may say that it ends beyond, or before its own body.
    """
    while at + 8 <= end:
        head = data[at : at + 16]
        if len(head) < 8:
            return
        length, name = struct.unpack_from(">I4s", head)
        body = at + 8
        if length == 1 and len(head) == 16:
            length, body = struct.unpack_from(">Q", head, 8)[0], at + 16
        elif length == 0:
            length = end - at
        yield name, body, at + length
        if length < body - at:
            return
        at += length


def gif_blocks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Walk a GIF's pictures and extensions (GIF89a, sections 17 to 26).

    Args:
        data: The whole file.

    Yields:
        ``(introducer, at, end)``; ``end`` lies beyond the file where the block is cut off. What is
        neither picture nor extension, such as the trailer, is the last.
    """
    at = 13 + _gif_colours(data[10:11])
    while at < len(data):
        introducer, end = data[at], at + 1
        if introducer == 0x2C:  # a picture: its own colours, then its pixels
            end = _after_sub_blocks(data, at + 11 + _gif_colours(data[at + 9 : at + 10]))
        elif introducer == 0x21:
            end = _after_sub_blocks(data, at + 2)
        yield introducer, at, end
        if end == at + 1:
            return
        at = end


def _gif_colours(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _after_sub_blocks(data: bytes, at: int) -> int:
    for _ in range(_MOST_SUB_BLOCKS):
        if at >= len(data):
            break
        if not data[at]:
            return at + 1
        at += 1 + data[at]
    return len(data) + 1


def png_without_text(data: bytes) -> bytes:
    """A PNG without its text, of which some programs write megabytes (PNG 3rd ed., 11.3.3)."""
    kept = [data[:8]]
    kept += [
        data[at - 8 : at + size + 4]
        for name, at, size in chunks(data, 8, "big")
        if name not in (b"tEXt", b"zTXt", b"iTXt")
    ]
    return b"".join(kept)
