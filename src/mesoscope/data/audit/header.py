"""What a picture's file says before a pixel is decoded: how it was encoded, and its marks."""

from __future__ import annotations

import hashlib
import io
import struct
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.media.kinds import SNIFF_BYTES, sniff, webp_size
from mesoscope.media.provenance.chunk_parts import read_png
from mesoscope.media.provenance.encoding import luminance_table, quality
from mesoscope.media.provenance.jpeg_parts import read_jpeg
from mesoscope.media.provenance.parts import JpegFacts, Parts
from mesoscope.media.provenance.tiff import read_tiff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.media.provenance.tiff import Tiff

_SUFFIXES = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg", ".png": "png", ".gif": "gif",
    ".webp": "webp", ".bmp": "bmp", ".dib": "bmp", ".tif": "tiff", ".tiff": "tiff", ".avif": "avif",
}  # fmt: skip
_SAMPLINGS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
_PNG_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
_TAGS = {
    0x010E: "description", 0x010F: "make", 0x0110: "model", 0x0112: "orientation",
    0x0131: "software", 0x0132: "time", 0x013B: "artist", 0x8298: "copyright", 0x8825: "GPS",
}  # fmt: skip
_MAKE, _MODEL, _SOFTWARE = 0x010F, 0x0110, 0x0131
_MOST_TAGS = 6  # named; beyond, their number says enough


class Header(NamedTuple):
    """A file's facts.

    Attributes:
        kind: ``jpeg``, ``png`` … by its first bytes; ``unknown``.
        words: Facts that are words, by name; those that the file does not have are left out.
        numbers: Facts that are numbers, by name, likewise.
        size: Width and height in pixels as stored, where the header tells.
    """

    kind: str
    words: dict[str, str]
    numbers: dict[str, float]
    size: tuple[int, int] | None


def read_header(data: bytes, suffix: str) -> Header:
    """Read what the file says of itself; nothing is raised, as damaged files are judged elsewhere.

    Args:
        data: The whole file.
        suffix: Of its name, as ``.jpg``.
    """
    kind = sniff(data[:SNIFF_BYTES]) or "unknown"
    parts = Parts(kind)
    words = {"format": kind, "suffix": suffix or "none"}
    numbers: dict[str, float] = {}
    if kind == "jpeg":
        read_jpeg(data, parts)
        if parts.jpeg is not None:
            _jpeg(parts.jpeg, words, numbers)
    elif kind == "png":
        read_png(io.BytesIO(data), parts)
        _png(data, words)
    elif kind == "webp":
        parts.size = webp_size(data)
        words["coding"] = "lossless" if data[12:16] == b"VP8L" else "lossy"
        if data[12:16] == b"VP8X":
            words["coding"] = "lossless" if b"VP8L" in data[30:4096] else "lossy"
            parts.exif += [b""] if data[20] & 8 else []
            words["icc"] = "some" if data[20] & 32 else "none"
    words["exif"], words["software"] = _exif(parts)
    words.setdefault("icc", "none")
    words["marks"] = words.get("marks", "") or _marks(parts)
    return Header(kind, words, numbers, parts.size)


def belongs(kind: str, suffix: str) -> bool:
    """Is the suffix one of this kind of file's."""
    return _SUFFIXES.get(suffix.lower(), kind) == kind


def _jpeg(facts: JpegFacts, words: dict[str, str], numbers: dict[str, float]) -> None:
    luma = facts.tables.get(facts.table_of[0]) if facts.table_of else None
    if luma is not None and len(luma) == 64:
        chroma = facts.tables.get(facts.table_of[-1], ())
        numbers["jpeg_quality"], words["tables"] = _tables(luma, chroma)
    words["subsampling"] = _sampling(facts.sampling)
    words["coding"] = "progressive" if facts.progressive else "baseline"
    words["colours"] = {1: "grey", 4: "CMYK"}.get(len(facts.sampling), "colour")
    order = [name for name in facts.order if name != "Exif"]
    words["icc"] = "some" if "ICC profile" in order else "none"
    order += [f"comment {comment[:40]!r}" for comment in facts.comments[:1]]
    order += ["bytes behind the end"] if facts.trailing else []
    words["marks"] = ", ".join(order) or "none"


@lru_cache(maxsize=4096)
def _tables(luma: tuple[int, ...], chroma: tuple[int, ...]) -> tuple[float, str]:
    """The quality on the scale of the Independent JPEG Group, and a name for the tables.

    Tables of their own get the quality whose standard table is nearest in mean.
    """
    facts = JpegFacts(table_of=(0, 1), tables={0: luma, 1: chroma} if chroma else {0: luma})
    known = quality(facts)
    if known is not None:
        return float(known[1]), f"{known[0]} {known[1]}"
    digest = hashlib.sha256(struct.pack(f">{len(luma + chroma)}H", *luma, *chroma)).hexdigest()
    return float(np.argmin(np.abs(_steps() - sum(luma))) + 1), f"own {digest[:6]}"


@cache
def _steps() -> NDArray[np.int64]:
    """Sum of the standard table at each quality from 1 to 100."""
    return np.array([sum(luminance_table(q)) for q in range(1, 101)])


def _sampling(sampling: tuple[tuple[int, int], ...]) -> str:
    if len(sampling) != 3:
        return "none"
    (h, v), (other_h, other_v) = sampling[0], sampling[1]
    if not other_h or not other_v:
        return "odd"
    return _SAMPLINGS.get((h // other_h, v // other_v), "odd")


def _png(data: bytes, words: dict[str, str]) -> None:
    if len(data) > 28:
        depth, colour, interlaced = data[24], data[25], data[28]
        words["colours"] = f"{_PNG_COLOURS.get(colour, 'odd')}, {depth} bits"
        words["coding"] = "interlaced" if interlaced else "in rows"
    chunks: dict[str, None] = {}
    at = 8
    while at + 8 <= len(data) and len(chunks) < 32:
        length, name = struct.unpack_from(">I4s", data, at)
        chunks[name.decode("latin-1")] = None
        at += 12 + length
    words["icc"] = "some" if "iCCP" in chunks else "sRGB" if "sRGB" in chunks else "none"
    rest = [c for c in chunks if c not in ("IHDR", "IDAT", "IEND", "eXIf", "iCCP", "sRGB")]
    words["marks"] = ", ".join(rest) or "none"


def _exif(parts: Parts) -> tuple[str, str]:
    """Which tags there are, and which camera and program they name."""
    if not parts.exif:
        return "none", "none"
    tiff: Tiff = read_tiff(parts.exif[0])
    tags = [name for tag, name in _TAGS.items() if tag in tiff.main]
    named = " ".join(filter(None, (tiff.text(tag) for tag in (_MAKE, _MODEL, _SOFTWARE))))
    few = 0 < len(tags) <= _MOST_TAGS
    count = len(tiff.main) + len(tiff.exif)
    return ", ".join(tags) if few else f"{count} tags", named[:80] or "none"


def _marks(parts: Parts) -> str:
    return ", ".join(sorted({text.key for text in parts.texts})[:4]) or "none"
