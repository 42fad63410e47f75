"""Parsers of file structure: JPEG segments, PNG and RIFF chunks, ISO boxes, GIF blocks.

Files are untrusted: offsets only increase, and callers bound the number of steps.
"""

from __future__ import annotations

import io
import re
import struct
import time
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.media.ranged import BlankFile

MOST_BYTES = 256 << 20  # maximum read from one file; skipped bytes do not count
MOST_S = 5.0
_FILL = re.compile(rb"\xff+")
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # restart markers belong to the scan
ALONE = frozenset((0x01, *range(0xD0, 0xDA)))  # markers without a length: restart, start, end
_SCAN, _END = 0xDA, 0xD9
_MOST_SUB_BLOCKS = 2_000_000  # per picture of a GIF, of up to 255 bytes each
_JPEG_RARE = {  # by the frame header's marker: ITU T.81, table B.1
    0xC3: "without loss", 0xC5: "in a hierarchy", 0xC6: "in a hierarchy", 0xC7: "in a hierarchy",
    0xC9: "in arithmetic coding", 0xCA: "in arithmetic coding", 0xCB: "without loss",
    0xCD: "in a hierarchy", 0xCE: "in a hierarchy", 0xCF: "in a hierarchy",
}  # fmt: skip


class SpentError(Exception):
    """A budget of bytes or time is exhausted."""


class Bounded(io.RawIOBase):
    """A file wrapper with a budget of bytes and time.

    Args:
        file: File open for reading; it is not closed.
        most_bytes: Maximum number of bytes to read.
        most_s: Maximum time in seconds, from now on.
    """

    def __init__(
        self, file: BinaryIO, most_bytes: int = MOST_BYTES, most_s: float = MOST_S
    ) -> None:
        super().__init__()
        self._file, self._left = file, most_bytes
        self._until = time.monotonic() + most_s

    def read(self, size: int = -1) -> bytes:
        """Read bytes.

        Raises:
            SpentError: The budget is exhausted.
        """
        data = self._file.read(size if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise SpentError(f"more than {MOST_BYTES >> 20} MB of metadata")
        if time.monotonic() > self._until:
            raise SpentError(f"it takes longer than {MOST_S:.0f} s")
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek; the offset is clipped to the maximum of a file."""
        return self._file.seek(min(offset, (1 << 63) - 1), whence)

    def readable(self) -> bool:
        """Return ``True``."""
        return True

    def seekable(self) -> bool:
        """Return ``True``."""
        return True


class Window:
    """A file's bytes by slices, read on access.

    Args:
        file: File open for reading and seeking.
    """

    def __init__(self, file: BinaryIO | BlankFile) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        self._file.seek(start)
        return self._file.read(max(0, stop - start))


def jpeg_segments(data: bytes, *, scans: bool = False) -> Iterator[tuple[int, int, int]]:
    """Iterate over a JPEG's segments (ITU T.81, B.1.1), to its first scan or to its end.

    Args:
        data: Bytes of the file.
        scans: Continue after the first scan, to the end marker.

    Yields:
        ``(marker, at, length)`` of each segment: ``at`` is the offset of its marker, ``length`` the
        declared length, 0 for markers without one.
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
    """Remove a JPEG's application and comment segments, except Adobe's, which affects colours."""
    kept, end = [b"\xff\xd8"], 2
    for marker, at, length in jpeg_segments(data):
        if marker == _SCAN:
            return b"".join(kept) + data[at:]
        end = at + 2 + length
        if marker == 0xEE or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(data[at:end])
    return b"".join(kept) + data[end:]


def is_jpeg_frame(marker: int) -> bool:
    """Whether a marker is that of a frame header (ITU T.81, table B.1)."""
    return 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)


def jpeg_frame(data: bytes) -> tuple[int, int, int, int] | None:
    """Read a JPEG's frame header (ITU T.81, B.2.2), and find its first scan.

    Args:
        data: Bytes of the file.

    Returns:
        ``(width, height, components, offset of the first scan)``; ``None`` if either is missing.
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
    """Return the maximum memory of a decoder per pixel besides its output, in bytes.

    Decoders keep all 16-bit coefficients of a progressive or non-interleaved JPEG until its last
    scan.

    Args:
        data: Bytes of the file.
        components: Number of components of the frame.
        scan_at: Offset of the first scan.
    """
    scanned = data[scan_at + 4 : scan_at + 5]
    last = scan_at + 6 + 2 * scanned[0] if scanned else len(data)
    at_once = scanned == bytes([components]) and data[last : last + 1] == b"\x3f"
    return 0 if at_once else 2 * components


def jpeg_scans(data: bytes, scan_at: int, most: int) -> int:
    """Count the scans of a JPEG up to its end marker, as decoders find them.

    Args:
        data: Bytes of the file.
        scan_at: Offset of the first scan.
        most: Stop counting above this number.
    """
    if (found := data.count(b"\xff\xda", scan_at)) <= most:  # with those of appended files
        return found
    count, at = 0, scan_at
    while count <= most and 0 <= at < len(data) - 3 and (marker := data[at + 1]) != _END:
        count += marker == _SCAN
        at += 2 if marker in ALONE else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        following = _END_OF_SCAN.search(data, at)  # decoders skip garbage before a marker
        at = following.start() if following else -1
    return count


def jpeg_rare(data: bytes) -> str | None:
    """Return the name of a rare JPEG coding that is not supported; ``None`` for others."""
    for marker, at, _ in jpeg_segments(data):
        if is_jpeg_frame(marker) and at + 5 <= len(data):
            bits = data[at + 4]
            return f"of {bits} bits" if bits != 8 else _JPEG_RARE.get(marker)
    return None


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Read the canvas size of a WebP (RFC 9649, 2.5 to 2.7).

    Returns:
        ``(width, height)``; ``None`` if the first chunk is unknown.
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
    """Iterate over the chunks of a PNG or RIFF file.

    Args:
        data: Bytes of the file.
        at: Offset of the first chunk.
        order: ``"big"`` for a PNG, ``"little"`` for a RIFF file.
        end: Offset of the end; default the end of the file.

    Yields:
        Name, offset of the body, and declared size.
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
    """Iterate over the boxes of ISO/IEC 14496-12.

    Args:
        data: Bytes of the file.
        at: Offset of the first box.
        end: Offset of the end.

    Yields:
        Name, and start and declared end of the body. The last box may have an end beyond ``end``,
        or before its start.
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
    """Iterate over a GIF's images and extensions (GIF89a, sections 17 to 26).

    Args:
        data: Bytes of the file.

    Yields:
        ``(introducer, at, end)``; ``end`` exceeds the file for a truncated block. Another block,
        such as the trailer, is the last.
    """
    at = 13 + _gif_colours(data[10:11])
    while at < len(data):
        introducer, end = data[at], at + 1
        if introducer == 0x2C:  # an image: local colour table and pixels
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
    """Remove a PNG's text chunks, which can have megabytes (PNG 3rd ed., 11.3.3)."""
    kept = [data[:8]]
    kept += [
        data[at - 8 : at + size + 4]
        for name, at, size in chunks(data, 8, "big")
        if name not in (b"tEXt", b"zTXt", b"iTXt")
    ]
    return b"".join(kept)
