"""Further contents of a file, and the comparison of its embedded previews with the picture."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from mesoscope.media.chunks import jpeg_frame, jpeg_without_metadata
from mesoscope.media.provenance.finding import Finding
from mesoscope.media.provenance.parts import damaged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mesoscope.media.provenance.parts import Parts
    from mesoscope.media.provenance.xmp import Xmp

    Grey = NDArray[np.float32]


LEAST_CORRELATION = 0.8  # below, the preview shows something else
# Limits of a part's mean difference, in grey levels and relative to the median part: tone mapping
# also causes large differences, but in all parts.
LARGEST_SPOT, STANDS_OUT = 20.0, 10.0
_SPOT = 8  # parts per side
_BLACK = 24.0
_LEAST_PX = 16
_MOST_PIXELS = 80_000_000  # Pillow warns for larger pictures
_MOST_PREVIEW_PIXELS = 4_000_000
# Exceptions of Pillow for damaged JPEGs; OpenCV would print to the terminal.
_PILLOW_RAISES = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Likeness:
    """Similarity of a preview to its picture.

    Attributes:
        correlation: Correlation of their luminance, -1 to 1.
        spot: Largest mean difference in one of 8 × 8 parts, in grey levels, after a linear fit of
            the luminance.
        elsewhere: Median of the parts' differences.
        turned: Whether the preview matches only after rotation or mirroring.
    """

    correlation: float
    spot: float
    elsewhere: float = 0.0
    turned: bool = False


def thumbnail(
    preview: bytes, picture: bytes, size: tuple[int, int] | None, where: str
) -> list[Finding]:
    """Return the findings about an embedded preview.

    Args:
        preview: JPEG of the preview.
        picture: Bytes of the file, a JPEG.
        size: ``(width, height)`` of the picture in pixels.
        where: :attr:`Finding.where`.
    """
    small = _decode(preview, _MOST_PREVIEW_PIXELS)
    if small is None or min(small.shape) < _LEAST_PX:
        return [damaged(where, "preview", "it cannot be decoded")] if preview else []
    if size is None or not 0 < size[0] * size[1] <= _MOST_PIXELS:
        return []
    large = _decode(picture, _MOST_PIXELS, least_px=2 * max(small.shape))
    if large is None:
        return []
    return [_finding(compare_preview(small, large), f"{small.shape[1]}×{small.shape[0]}", where)]


def _decode(data: bytes, most_pixels: int, least_px: int | None = None) -> Grey | None:
    """Decode luminance, ``(h, w)``; with ``least_px`` at reduced size, at least this large."""
    frame = jpeg_frame(data) if data.startswith(b"\xff\xd8") else None
    if frame is None or not 0 < frame[0] * frame[1] <= most_pixels:
        return None
    try:
        with Image.open(io.BytesIO(jpeg_without_metadata(data)), formats=["jpeg"]) as image:
            if least_px is not None:
                image.draft("L", (least_px, least_px))
            return np.asarray(image.convert("L"), np.float32)
    except _PILLOW_RAISES:
        return None


def compare_preview(small: Grey, large: Grey) -> Likeness:
    """Compare a preview with its picture, both ``(h, w) float32`` grey levels.

    Black bars, which cameras add to pictures of 3:2 or 16:9 in a preview of 4:3, are removed.
    """
    best = _likeness(_without_bars(small, large.shape[1] / large.shape[0]), large)
    if best.correlation >= LEAST_CORRELATION:
        return best
    # Some programs rotate the picture upright but not the preview.
    for turns in range(4):
        for mirrored in (False, True):
            if not turns and not mirrored:
                continue
            turned = np.rot90(large[:, ::-1] if mirrored else large, turns)
            cropped = _without_bars(small, turned.shape[1] / turned.shape[0])
            likeness = _likeness(cropped, turned)
            if likeness.correlation > max(best.correlation, 0.9):
                best = replace(likeness, turned=True)
    return best


def _without_bars(small: Grey, aspect: float) -> Grey:
    """Remove black bars if the rest has the picture's aspect ratio (width / height)."""
    height, width = small.shape
    if width / height < aspect:
        bar = round((height - width / aspect) / 2)
        sides = (small[:bar], small[height - bar :])
        rest = small[bar : height - bar]
    else:
        bar = round((width - height * aspect) / 2)
        sides = (small[:, :bar], small[:, width - bar :])
        rest = small[:, bar : width - bar]
    # The median is tested, as the inner edge of a bar is blurred.
    if bar < 2 or min(rest.shape) < _LEAST_PX or any(np.median(s) > _BLACK for s in sides):
        return small
    edge = 1  # pixels that JPEG mixes with the bar
    return rest[edge:-edge] if width / height < aspect else rest[:, edge:-edge]


def _likeness(small: Grey, large: Grey) -> Likeness:
    height, width = small.shape
    fitted = cv2.resize(np.ascontiguousarray(large), (width, height), interpolation=cv2.INTER_AREA)
    a, b = cv2.GaussianBlur(small, (0, 0), 1.0), cv2.GaussianBlur(fitted, (0, 0), 1.0)
    spread_a, spread_b = float(a.std()), float(b.std())
    if spread_a < 1 or spread_b < 1:  # nearly constant: the correlation is undefined
        same = abs(float(a.mean() - b.mean())) < 16 and abs(spread_a - spread_b) < 4
        return Likeness(1.0 if same else 0.0, 0.0)
    correlation = float(((a - a.mean()) * (b - b.mean())).mean() / (spread_a * spread_b))
    gain = correlation * spread_a / spread_b
    difference = np.abs(a - a.mean() - gain * (b - b.mean()))
    parts = cv2.resize(difference, (_SPOT, _SPOT), interpolation=cv2.INTER_AREA)
    return Likeness(correlation, float(parts.max()), float(np.median(parts)))


def _finding(likeness: Likeness, size: str, where: str) -> Finding:
    field = f"preview {size}"
    value = f"correlation {likeness.correlation:.2f} with the picture"
    if likeness.correlation < LEAST_CORRELATION:
        return Finding(
            "thumbnail", field, value, where,
            "The small preview inside the file shows something else than the picture: it was "
            "cropped or changed after the preview was made, by a program that does not renew it. "
            "What was done is not told.",
            "hint",
        )  # fmt: skip
    if likeness.spot > max(LARGEST_SPOT, STANDS_OUT * likeness.elsewhere):
        return Finding(
            "thumbnail", field, f"{value}, and one part differs by {likeness.spot:.0f} grey levels",
            where,
            "The small preview is the picture's, but one part of it looks different: that part may "
            "have been changed after the preview was made. A strong change of brightness can look "
            "so, too.",
            "hint",
        )  # fmt: skip
    if likeness.turned:
        return Finding(
            "thumbnail", field, f"{value}, turned", where,
            "The small preview is the picture's, lying otherwise: the picture was turned or "
            "mirrored after the preview was made.",
        )  # fmt: skip
    return Finding(
        "thumbnail", field, value, where,
        "The small preview inside the file shows the picture. Programs that renew it after an "
        "edit leave it so, too.",
    )  # fmt: skip


_BY_NAME = {
    "GCamera:MotionPhoto": "a motion clip",
    "GCamera:MicroVideo": "a motion clip",
    "hdrgm:Version": "a gain map (HDR)",
    "HDRGainMap:HDRGainMapVersion": "a gain map (HDR)",
    "GDepth:Format": "a depth map",
}
_NOT_SET = ("", "0")
_MEANINGS = {
    "a motion clip": "Telephones record a second or two around a photo and keep them with it. Only "
    "the photo is judged here: save the clip as a file of its own to have it judged.",
    "a gain map (HDR)": "A second picture that says how bright each place is on a bright screen. "
    "Only the picture itself is judged.",
}
_MEANING = "The file holds more than the picture that is shown. Only that one is judged."


def further(parts: Parts, packets: Iterable[Xmp]) -> list[Finding]:
    """Return the findings about further contents, without duplicates.

    Args:
        parts: Parts of the file.
        packets: Its XMP packets.
    """
    found = list(parts.further)
    for packet in packets:
        found += [
            ("XMP", what)
            for name, what in _BY_NAME.items()
            if packet.text(name).strip() not in _NOT_SET
        ]
    jpeg = parts.jpeg
    if jpeg is not None:
        if b"ftyp" in jpeg.appended[4:8]:
            found.append(("JPEG", "a motion clip"))
        if "MPF" in jpeg.order:
            found.append(("JPEG", "further pictures (MPO)"))
    unique = {what: where for where, what in reversed(found)}
    return [
        Finding("metadata", "further content", what, where, _MEANINGS.get(what, _MEANING))
        for what, where in unique.items()
    ]
