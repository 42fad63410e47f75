"""Colours, line styles, label terms and text.

Colours of labels and lines are after Okabe & Ito (2008) and can be distinguished with any kind of
colour blindness. Labels also differ by their word and the line style of their box.

OpenCV 5 has fonts for all scripts. With OpenCV 4, Pillow's font is used, which has only ASCII:
accents are dropped, and characters of other scripts become question marks.
"""

from __future__ import annotations

import functools
import threading
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mesoscope.detection.judge import is_undetected, is_unfamiliar
from mesoscope.errors import OutputError
from mesoscope.types import Thresholds

if TYPE_CHECKING:
    from mesoscope.types import FaceScore, Guard, ModelCard, Pixels, Verdict


Rgb = tuple[int, int, int]

PAPER: Rgb = (255, 255, 255)
INK: Rgb = (28, 30, 34)
QUIET: Rgb = (91, 97, 108)
RULE: Rgb = (213, 216, 221)
# Differ from the colours of real and fake, as a person's line is no label.
PERSONS: tuple[Rgb, ...] = (
    (106, 61, 154), (0, 128, 96), (60, 60, 60), (200, 70, 150), (140, 105, 0), (110, 130, 150),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """How a face with a certain label is drawn.

    Attributes:
        word: Text of the plate.
        line: Colour of the box: bright, as it is drawn between dark edges.
        plate: Background of the plate.
        ink: Colour of the plate's text.
        dash: Lengths of dash and gap in line widths; ``None`` for a solid line.
        weight: Line width relative to the picture's line width.
    """

    word: str
    line: Rgb
    plate: Rgb
    ink: Rgb
    dash: tuple[float, float] | None = None
    weight: float = 1.0


YELLOW: Rgb = (240, 228, 66)
PALE: Rgb = (230, 232, 236)
FAKE = Style("fake", (240, 105, 15), (184, 79, 0), PAPER, weight=2.0)
REAL = Style("real", (70, 165, 230), (0, 114, 178), PAPER)
INCONCLUSIVE = Style("inconclusive", YELLOW, YELLOW, INK, dash=(8, 5))
UNFAMILIAR = Style("unfamiliar", YELLOW, YELLOW, INK, dash=(3, 4))
SKIPPED = Style("too small", PALE, PALE, INK, dash=(1, 4))
SCORED = Style("", PALE, PALE, INK)
LABELS = {"fake": FAKE, "real": REAL, "inconclusive": INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class Terms:
    """A model's thresholds and crop margins.

    Attributes:
        thresholds: Thresholds of fake and real; ``None`` if unknown, as for a verdict read from a
            file: then only the deciding face gets a label.
        guard: Limit from which a face is unfamiliar; ``None`` if there is none.
        face_margin: The card's crop margin: side of the crop in longest box sides.
        crop_margin: The card's crop margin for pictures that were taken as faces.
    """

    thresholds: Thresholds | None = None
    guard: Guard | None = None
    face_margin: float = 1.3
    crop_margin: float = 1.0

    @classmethod
    def of(cls, card: ModelCard, thresholds: Thresholds | None, guard: Guard | None) -> Terms:
        """Take the margins of a card and the thresholds that are in force."""
        return cls(thresholds, guard, card.face_margin, card.crop_margin)


def style_of(face: FaceScore, verdict: Verdict, terms: Terms) -> Style:
    """Return the style of a face for the label that its score alone would get."""
    if is_unfamiliar(face, terms.guard):
        return UNFAMILIAR
    if is_undetected(face):
        return INCONCLUSIVE
    if terms.thresholds is not None:
        if face.p_fake >= terms.thresholds.fake_above:
            return FAKE
        return REAL if face.p_fake < terms.thresholds.real_below else INCONCLUSIVE
    if verdict.kind == "image" and face.p_fake == verdict.p_fake:
        return LABELS.get(verdict.label or "", SCORED)
    return SCORED


def score_text(p_fake: float) -> str:
    """Format a score with two digits; never 0 or 1: ``0.93``, ``>0.99``, ``<0.01``."""
    if p_fake >= 0.995:
        return ">0.99"
    return "<0.01" if p_fake < 0.005 else f"{p_fake:.2f}"


def clock(time_s: float, *, digits: int = 2) -> str:
    """Format a time within a clip: ``0:03.52``, ``1:02:03.00``."""
    seconds, part = divmod(round(time_s * 10**digits), 10**digits)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{text}.{part:0{digits}}" if digits else text


REGULAR, BOLD = 400, 600
LINE = 1.35  # line height in text sizes
ASCENT, DESCENT = 0.8, 0.25  # in text sizes
SMALLEST_PX = 7  # smallest legible text
HAS_FONTS = hasattr(cv2, "FontFace")  # OpenCV 5 and later
_PLAIN = str.maketrans({"…": "...", "–": "-", "—": "-", "×": "x", "·": "-", "ß": "ss", "≥": ">="})
_FONT = threading.Lock()  # the font object stores size and weight between calls


def text_width(text: str, size_px: float, weight: int = REGULAR) -> int:
    """Return the width of a line in pixels."""
    if not text:
        return 0
    if not HAS_FONTS:
        font, stroke = _pillow_font(round(size_px)), _stroke(size_px, weight)
        return int(font.getbbox(_plain(text), stroke_width=stroke, anchor="ls")[2]) + 1
    with _FONT:
        x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), round(size_px), weight)
    return int(x + width) + 1


def shorten(text: str, size_px: float, width_px: int, weight: int = REGULAR) -> str:
    """Shorten text to a width, keeping both ends, as these identify a file name."""
    if text_width(text, size_px, weight) <= width_px:
        return text
    low, high = 0, len(text)
    while low < high:  # bisection for the number of characters
        kept = (low + high + 1) // 2
        if text_width(_ends(text, kept), size_px, weight) <= width_px:
            low = kept
        else:
            high = kept - 1
    return _ends(text, low) if low else ""


def wrap(text: str, size_px: float, width_px: int, weight: int = REGULAR) -> list[str]:
    """Wrap text at words; a word wider than a line is shortened."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size_px, weight) <= width_px:
            lines[-1] = longer
        else:
            lines.append(shorten(word, size_px, width_px, weight))
    return lines


def put_text(
    pixels: Pixels,
    text: str,
    x: int,
    baseline: int,
    *,
    size_px: float,
    colour: Rgb,
    weight: int = REGULAR,
) -> None:
    """Draw a line of text in place, from ``x`` on; it must fit, as OpenCV wraps it otherwise."""
    if text and not HAS_FONTS:
        _put_with_pillow(pixels, _plain(text), x, baseline, size_px, colour, weight)
    elif text:
        with _FONT:
            cv2.putText(pixels, text, (x, baseline), colour, _font(), round(size_px), weight)


def _ends(text: str, kept: int) -> str:
    front = (kept + 1) // 2
    return f"{text[:front]}…{text[len(text) - (kept - front) :]}"


@functools.cache
def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")


def _put_with_pillow(
    pixels: Pixels, text: str, x: int, baseline: int, size_px: float, colour: Rgb, weight: int
) -> None:
    """Draw a line of text with Pillow's font, in place."""
    font, stroke = _pillow_font(round(size_px)), _stroke(size_px, weight)
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke, anchor="ls")
    x0, y0 = max(x + int(left) - 1, 0), max(baseline + int(top) - 1, 0)
    part = pixels[y0 : max(baseline + int(bottom) + 1, 0), x0 : max(x + int(right) + 1, 0)]
    if not part.size:
        return
    ink = Image.new("L", (part.shape[1], part.shape[0]))
    where = (x - x0, baseline - y0)
    ImageDraw.Draw(ink).text(where, text, 255, font, anchor="ls", stroke_width=stroke)
    cover = np.asarray(ink, np.float32)[:, :, None] / 255
    part[:] = np.rint(part * (1 - cover) + np.array(colour, np.float32) * cover)


def _plain(text: str) -> str:
    """Convert text to ASCII, as Pillow's font has no other characters."""
    parts = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    return "".join(c if c.isascii() else "?" for c in parts if not unicodedata.combining(c))


def _stroke(size_px: float, weight: int) -> float:
    """Return the stroke width that imitates bold, which Pillow's font lacks."""
    return size_px / 36 if weight > REGULAR else 0


@functools.lru_cache(maxsize=16)
def _pillow_font(size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):  # Pillow was built without FreeType
        raise OutputError(
            "OpenCV 4 and a Pillow without FreeType draw no text: "
            "install opencv-python-headless 5, or Pillow's own wheel"
        )
    return font
