"""What a file is, told from its first bytes; and its size in pixels, before anything is decoded."""

from __future__ import annotations

import struct
from typing import Literal

Kind = Literal[
    "jpeg", "png", "gif", "webp", "bmp", "tiff", "avif", "heif", "raw", "other", "video"
]  # fmt: skip

SNIFF_BYTES = 400  # MPEG transport streams are known by three packets
PICTURE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff",
     ".avif", ".heic", ".heif", ".hif")
)  # fmt: skip

# Without .ts and .mts, which are programs more often: those are told by their first bytes.
CLIP_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".m2ts", ".mpg",
     ".mpeg", ".vob", ".flv", ".wmv", ".asf", ".ogv")
)  # fmt: skip

_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset(
    (b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
)
_DEMUXERS = (  # first bytes, FFmpeg's name
    (b"\x1aE\xdf\xa3", "matroska"),  # and WebM
    (b"OggS", "ogg"),
    (b"FLV\x01", "flv"),
    (b"\0\0\x01\xba", "mpeg"),  # program stream
    (b"\0\0\x01\xb3", "mpegvideo"),  # MPEG-1 and -2 without a container
    (b"0&\xb2u", "asf"),  # and WMV
)
_MOV_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip")  # QuickTime files without a brand
_OTHER = (
    b"\0\0\0\x0cjP  ",  # JPEG 2000
    b"\xffO\xffQ",  # its bare code stream
    b"\0\0\0\x0cJXL ",  # JPEG XL
    b"\xff\n",  # its bare code stream
    b"8BPS",  # Photoshop
    b"\0\0\x01\0",  # icon
    b"\x76\x2f\x31\x01",  # OpenEXR
)
_RAW = (
    b"IIRO", b"IIRS", b"MMOR",  # Olympus
    b"IIU\0",  # Panasonic
    b"FUJIFILMCCD-RAW",
    b"FOVb",  # Sigma
)  # fmt: skip


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
        return "webp" if head[8:12] == b"WEBP" else "video" if head[8:12] == b"AVI " else None
    if head.startswith(b"BM"):
        return "bmp"
    if head.startswith(_RAW) or (head[:2] in (b"II", b"MM") and head[8:10] == b"CR"):
        return "raw"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "tiff"
    if head[4:8] == b"ftyp":
        return _brand(head)
    if head.startswith(_OTHER):
        return "other"
    return None if demuxer(head) is None else "video"


def demuxer(head: bytes) -> str | None:
    """Tell which of FFmpeg's demuxers reads a clip.

    Args:
        head: The first bytes of a file that :func:`sniff` takes for a clip.

    Returns:
        Its name, or ``None`` where the bytes belong to no clip that is known here.
    """
    if head[4:8] == b"ftyp" or head[4:8] in _MOV_ATOMS:
        return "mov"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    for first, name in _DEMUXERS:
        if head.startswith(first):
            return name
    # 188 bytes a packet, or 192 on discs and in cameras, each with the same byte in its place.
    for start, step in ((0, 188), (4, 192)):
        if head[start : start + 2 * step + 1 : step] == b"GGG":
            return "mpegts"
    return None


def _brand(head: bytes) -> Kind:
    """Tell the files of ISO/IEC 14496-12 apart by their brands: the major one, then the others."""
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, len(head) - 3, 4))]
    if brands[0] in _HEIF_BRANDS or brands[0] in _AVIF_BRANDS:
        return "avif" if any(brand in _AVIF_BRANDS for brand in brands) else "heif"
    return "raw" if brands[0] == b"crx " else "video"


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


def png_without_text(data: bytes) -> bytes:
    """A PNG without its text, of which some programs write megabytes (PNG 3rd ed., 11.3.3)."""
    kept, at = [data[:8]], 8
    while at + 8 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(data[at : at + size + 12])
        at += size + 12
    return b"".join(kept)
