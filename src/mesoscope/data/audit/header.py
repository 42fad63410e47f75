"""File facts and pixel features of one picture, for an audit."""

from __future__ import annotations

import hashlib
import io
import struct
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mesoscope.media.chunks import chunks, webp_size
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.media.provenance.chunk_parts import read_png
from mesoscope.media.provenance.encoding import luminance_table, quality
from mesoscope.media.provenance.exif import read_tiff
from mesoscope.media.provenance.jpeg_parts import read_jpeg
from mesoscope.media.provenance.parts import JpegFacts, Parts

if TYPE_CHECKING:
    from mesoscope.media.provenance.exif import Tiff
    from mesoscope.types import Pixels


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
_MOST_KINDS = 32  # kinds of PNG chunks that are listed
_MOST_TAGS = 6  # EXIF tags that are listed; beyond, their number is given


class FileHeader(NamedTuple):
    """Facts of a file.

    Attributes:
        kind: ``jpeg``, ``png`` … by its first bytes; or ``unknown``.
        words: Categorical facts by name; missing ones are left out.
        numbers: Numerical facts by name; missing ones are left out.
        size: Width and height in pixels as stored, where the header has them.
    """

    kind: str
    words: dict[str, str]
    numbers: dict[str, float]
    size: tuple[int, int] | None


def read_header(data: bytes, suffix: str) -> FileHeader:
    """Read facts of a file; damaged files raise nothing, as they are reported elsewhere.

    Args:
        data: The whole file.
        suffix: Suffix of its name, as ``.jpg``.
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
    return FileHeader(kind, words, numbers, parts.size)


def suffix_matches(kind: str, suffix: str) -> bool:
    """Whether the suffix is one of this kind of file."""
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
    """Return the quality on the scale of the Independent JPEG Group, and a name for the tables.

    Custom tables get the quality of the standard table with the nearest mean.
    """
    facts = JpegFacts(table_of=(0, 1), tables={0: luma, 1: chroma} if chroma else {0: luma})
    known = quality(facts)
    if known is not None:
        return float(known[1]), f"{known[0]} {known[1]}"
    digest = hashlib.sha256(struct.pack(f">{len(luma + chroma)}H", *luma, *chroma)).hexdigest()
    return float(np.argmin(np.abs(_steps() - sum(luma))) + 1), f"own {digest[:6]}"


@cache
def _steps() -> NDArray[np.int64]:
    """Sums of the standard table at each quality from 1 to 100."""
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
    kinds: dict[str, None] = {}
    for name, _, _ in chunks(data, 8, "big"):
        kinds[name.decode("latin-1")] = None
        if len(kinds) == _MOST_KINDS:
            break
    words["icc"] = "some" if "iCCP" in kinds else "sRGB" if "sRGB" in kinds else "none"
    rest = [c for c in kinds if c not in ("IHDR", "IDAT", "IEND", "eXIf", "iCCP", "sRGB")]
    words["marks"] = ", ".join(rest) or "none"


def _exif(parts: Parts) -> tuple[str, str]:
    """Return a list of tags, and the camera and program that they name."""
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


THUMBNAIL_PX = 16
LEAST_PX = 256  # pictures of twice the size are decoded at a fraction of it
_HASH_PX = 32  # side of the picture that is transformed


def _lowest() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of the 64 lowest frequencies except the mean, along the diagonals."""
    places = [(row, column) for row in range(_HASH_PX) for column in range(_HASH_PX)]
    places.sort(key=lambda place: (sum(place), place))
    rows, columns = np.array(places[1:65]).T
    return rows, columns


_ROWS, _COLUMNS = _lowest()
_MIRRORED = np.where(_COLUMNS % 2 == 1, -1.0, 1.0)  # odd cosines change sign in the mirror image
_BITS = np.uint64(1) << np.arange(64, dtype=np.uint64)


class PixelFeatures(NamedTuple):
    """Pixel features of one picture.

    Attributes:
        hashes: Two 64-bit perceptual hashes, of the picture and of its mirror image.
        thumbnail: ``(16, 16) uint8``, grey.
        brightness: Mean grey value, 0 to 255.
        spread: Standard deviation of grey values.
        sharpness: Standard deviation of the Laplacian over ``spread``, at a side of at most 511
            pixels.
    """

    hashes: tuple[int, int]
    thumbnail: NDArray[np.uint8]
    brightness: float
    spread: float
    sharpness: float


def pixel_features(pixels: Pixels) -> PixelFeatures:
    """Compute the features of a picture.

    The hash is the signs of the 64 lowest frequencies of the discrete cosine transform of a 32 × 32
    picture, except the mean, so hashes differ where coarse structure differs. The mirror image's
    hash follows by sign changes (after Zauner 2010, section 3.1).

    Args:
        pixels: ``(H, W, 3) uint8``, RGB.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_HASH_PX, _HASH_PX), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(small.astype(np.float32))[_ROWS, _COLUMNS]
    mean, deviation = cv2.meanStdDev(grey)
    spread = float(deviation[0, 0])
    _, fine = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return PixelFeatures(
        hashes=(_packed(waves > 0), _packed(waves * _MIRRORED > 0)),
        thumbnail=np.asarray(
            cv2.resize(small, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA), np.uint8
        ),
        brightness=float(mean[0, 0]),
        spread=spread,
        sharpness=float(fine[0, 0]) / spread if spread > 0 else 0.0,
    )


def _packed(signs: NDArray[np.bool_]) -> int:
    return int(_BITS[signs].sum(dtype=np.uint64))
