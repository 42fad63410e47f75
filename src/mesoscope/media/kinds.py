"""Detection of file formats by the first bytes."""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "jpeg", "png", "gif", "webp", "bmp", "tiff", "avif", "heif", "raw", "other", "video"
]  # fmt: skip

SNIFF_BYTES = 4096  # of MPEG streams that begin anywhere, some packets
PICTURE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff",
     ".avif", ".heic", ".heif", ".hif")
)  # fmt: skip

# Without .ts and .mts, which are often source code: those are detected by their first bytes.
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
_OTHER = {  # pictures that are not read
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\xffO\xffQ": "a JPEG 2000 picture",  # code stream
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\xff\n": "a JPEG XL picture",  # code stream
    b"8BPS": "a Photoshop file",
    b"\0\0\1\0": "an icon",
    b"\x76\x2f\x31\x01": "an OpenEXR picture",
}
_NONE = {  # other files that often have a picture's suffix
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
    b"\xb7\xd8\0\x207I\xda\x11": "a WTV recording",
    b"\x1f\7\0": "a DV clip without a container",
    b"\0\0\0\1\x67": "H.264 without a container",
    b"\0\0\0\1\x27": "H.264 without a container",
    b"\0\0\0\1\x09": "H.264 without a container",
    b"\0\0\0\1\x40\1": "HEVC without a container",
    b"\0\0\0\1\x46\1": "HEVC without a container",
}
_RAW = (
    b"IIRO", b"IIRS", b"MMOR",  # Olympus
    b"IIU\0",  # Panasonic
    b"FUJIFILMCCD-RAW",
    b"FOVb",  # Sigma
)  # fmt: skip


def sniff(head: bytes) -> Kind | None:
    """Detect the format of a file by its first :data:`SNIFF_BYTES` bytes.

    Returns:
        The format; ``None`` if it is no known picture or clip.
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
    """Return a message about a file of a known other format; ``None`` if it is unknown.

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
    """Return the name of FFmpeg's demuxer for a clip; ``None`` if it is no known clip.

    Args:
        head: The first bytes.
    """
    if head[4:8] == b"ftyp" or head[4:8] in _MOV_ATOMS:
        return "mov"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    for first, name in _DEMUXERS:
        if head.startswith(first):
            return name
    if head.isascii() and b"\0" not in head:
        return None
    # Packets have 188 bytes, or 192 on discs and in cameras, with a sync byte each.
    for start, step in ((0, 188), (4, 192)):
        if head[start : start + 2 * step + 1 : step] == b"GGG":
            return "mpegts"
    return _cut_mpeg(head)


def _cut_mpeg(head: bytes) -> str | None:
    """Detect an MPEG stream that begins within a packet, as a part of a recording may."""
    for step in (188, 192, 204):
        for start in range(min(step, len(head) - 4 * step - 3)):
            ats = range(start, start + 5 * step, step)  # five packets without an error flag
            if all(head[a] == 0x47 and head[a + 1] < 0x80 and head[a + 3] & 0x30 for a in ats):
                return "mpegts"
    at = head.find(b"\0\0\1\xba")
    while 0 <= at < len(head) - 24:  # a pack header, and a start code right behind it
        second, first = head[at + 4] & 0xC4 == 0x44, head[at + 4] & 0xF1 == 0x21  # MPEG-2, MPEG-1
        then = at + (14 + (head[at + 13] & 7) if second else 12)
        if (second or first) and head[then : then + 3] == b"\0\0\1" and head[then + 3] >= 0xBB:
            return "mpeg"
        at = head.find(b"\0\0\1\xba", at + 1)
    return None


def _brand(head: bytes) -> Kind:
    """Detect a format of ISO/IEC 14496-12 by its major brand, then by its compatible brands."""
    end = min(len(head), int.from_bytes(head[:4], "big"))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    if brands[0] in _HEIF_BRANDS or brands[0] in _AVIF_BRANDS:
        return "avif" if any(brand in _AVIF_BRANDS for brand in brands) else "heif"
    return "raw" if brands[0] == b"crx " else "video"
