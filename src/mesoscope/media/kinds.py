"""What a file is, told from its first bytes; and its size in pixels, before anything is decoded."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_OTHER = {  # pictures, refused by their names
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\xffO\xffQ": "a JPEG 2000 picture",  # its bare code stream
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\xff\n": "a JPEG XL picture",  # its bare code stream
    b"8BPS": "a Photoshop file",
    b"\0\0\1\0": "an icon",
    b"\x76\x2f\x31\x01": "an OpenEXR picture",
}
_NONE = {  # no photographs, though they are often named as such
    b"%PDF-": "a PDF document: save its pictures as JPEG or PNG",
    b"<svg": "an SVG drawing, which is no photograph",
    b"<!doctype html": "a web page: fetch the picture itself",
    b"<html": "a web page: fetch the picture itself",
    b"%!PS": "a PostScript file: convert it to JPEG or PNG",
    b"PK\3\4": "an archive or a document: unpack it",
    b"Rar!": "an archive: unpack it",
    b"7z\xbc\xaf": "an archive: unpack it",
    b"\x1f\x8b": "a compressed file: unpack it",
    b"#?RADIANCE": "a Radiance HDR picture, which is not read: convert it to JPEG or PNG",
    b"DDS ": "a texture of DirectDraw, which is not read: convert it to JPEG or PNG",
    b"icns": "an icon, which is not read: convert it to JPEG or PNG",
    b"version https://git-lfs": "a pointer of Git LFS: fetch the file with git lfs pull",
}
_CLIPS_NOT_READ = {
    b"\x06\x0e+4\2\5\1\1": "an MXF clip",
    b"DKIF": "an IVF clip",
    b"YUV4MPEG2": "a YUV4MPEG clip",
    b"nut/multimedia container": "a NUT clip",
    b".RMF": "a RealMedia clip",
    b"\x1f\7\0": "a DV clip without a container",
    b"\0\0\0\1\x67": "H.264 without a container",
    b"\0\0\0\1\x27": "H.264 without a container",
    b"\0\0\0\1\x09": "H.264 without a container",
    b"\0\0\0\1\x40\1": "HEVC without a container",
    b"\0\0\0\1\x46\1": "HEVC without a container",
}
_JPEG_RARE = {  # by the marker of the frame header: ITU T.81, table B.1
    0xC3: "without loss", 0xC5: "in a hierarchy", 0xC6: "in a hierarchy", 0xC7: "in a hierarchy",
    0xC9: "in arithmetic coding", 0xCA: "in arithmetic coding", 0xCB: "without loss",
    0xCD: "in a hierarchy", 0xCE: "in a hierarchy", 0xCF: "in a hierarchy",
}  # fmt: skip
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
    if head.startswith(tuple(_OTHER)):
        return "other"
    return None if demuxer(head) is None else "video"


def refused_as(head: bytes) -> str | None:
    """What a file is that is not read, in words, and what to do; ``None`` where nobody can tell.

    Args:
        head: The first bytes.
    """
    for first, words in _OTHER.items():
        if head.startswith(first):
            return f"{words}, which is not read: convert it to JPEG or PNG"
    for first, words in _CLIPS_NOT_READ.items():
        if head.startswith(first):
            return f"{words}, which is not read: convert it to MP4, with ffmpeg for example"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:5] == b"<?xml" and b"<svg" in text:
        return _NONE[b"<svg"]
    low = text.lower()
    return next(
        (w for first, w in _NONE.items() if text.startswith(first) or low.startswith(first)), None
    )


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


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Walk a JPEG's markers up to its first scan (ITU T.81, B.1.1).

    Args:
        data: The whole file.

    Yields:
        ``(marker, at, length)`` of each segment, the scan's the last; ``at`` is where its marker
        begins, ``length`` what the segment says of itself.
    """
    at, end = 2, len(data)
    while at + 4 <= end and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif 0xD0 <= marker <= 0xD7 or marker == 0x01:  # without a length
            at += 2
        else:
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            yield marker, at, length
            if marker == 0xDA:
                return
            at += 2 + length


def _is_frame(marker: int) -> bool:
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
        if marker == 0xDA:
            return None if frame is None else (*frame, at)
        if _is_frame(marker) and at + 10 <= len(data):
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
        if _is_frame(marker) and at + 5 <= len(data):
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


def chunks(data: bytes, at: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of each chunk of a PNG (big) or RIFF (little) file."""
    while at + 8 <= len(data):
        if order == "big":
            size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
            yield name, at + 8, size
            at += size + 12
        else:
            name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
            yield name, at + 8, size
            at += 8 + size + size % 2


def png_without_text(data: bytes) -> bytes:
    """A PNG without its text, of which some programs write megabytes (PNG 3rd ed., 11.3.3)."""
    kept = [data[:8]]
    kept += [
        data[at - 8 : at + size + 4]
        for name, at, size in chunks(data, 8, "big")
        if name not in (b"tEXt", b"zTXt", b"iTXt")
    ]
    return b"".join(kept)
