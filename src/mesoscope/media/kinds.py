"""What a file is, told from its first bytes; and its size in pixels, before anything is decoded."""

from __future__ import annotations

import struct
from typing import Literal

Kind = Literal["jpeg", "png", "gif", "webp", "bmp", "tiff", "avif", "heif", "video"]

SNIFF_BYTES = 32
PICTURE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .gif .webp .bmp .dib .tif .tiff .avif".split()
)


def sniff(head: bytes) -> Kind | None:
    """Tell the kind of a file from its first :data:`SNIFF_BYTES` bytes.

    Args:
        head: The first bytes.

    Returns:
        The kind, or ``None`` where they belong to no picture or clip that is known here.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith(b"RIFF"):
        return {b"WEBP": "webp", b"AVI ": "video"}.get(head[8:12])  # type: ignore[return-value]
    if head.startswith(b"BM"):
        return "bmp"
    if head.startswith((b"II*\0", b"MM\0*")):
        return "tiff"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"avif", b"avis"):
            return "avif"
        return "heif" if brand in (b"heic", b"heix", b"mif1", b"heim") else "video"
    if head.startswith((b"\x1aE\xdf\xa3", b"OggS", b"FLV\x01", b"\0\0\x01\xba")):
        return "video"
    return None


def jpeg_frame(data: bytes) -> tuple[int, int, int, int] | None:
    """Walk a JPEG's markers to its frame header (ITU T.81, B.2.2) and first scan.

    Args:
        data: The whole file.

    Returns:
        ``(width, height, components, offset of the first scan)``, or ``None`` where the markers
        lead nowhere.
    """
    at, frame, end = 2, None, len(data)
    while at + 4 <= end:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if 0xD0 <= marker <= 0xD7 or marker == 0x01:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            return None if frame is None else (*frame, at)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 10 <= end:
            height, width, components = struct.unpack(">HHB", data[at + 5 : at + 10])
            frame = (width, height, components)
        at += 2 + length
    return None


def png_frame(data: bytes) -> tuple[int, int, int, int] | None:
    """Read a PNG's header (PNG specification, 11.2.1).

    Returns:
        ``(width, height, bit depth, colour type)``, or ``None`` where the header is not there.
    """
    if len(data) < 26 or data[12:16] != b"IHDR":
        return None
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    return width, height, depth, colour
