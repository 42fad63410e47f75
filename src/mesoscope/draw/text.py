"""Text on pictures, with nothing to install: any script on OpenCV 5, plain letters on OpenCV 4.

OpenCV 5 holds fonts of its own. On OpenCV 4 Pillow's font draws, which holds ASCII alone: accents
are left out there, and a character of another script is drawn as a question mark.
"""

from __future__ import annotations

import functools
import threading
import unicodedata
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mesoscope.errors import OutputError

if TYPE_CHECKING:
    from mesoscope.draw.palette import Rgb
    from mesoscope.types import Pixels

REGULAR, BOLD = 400, 600
LINE = 1.35  # of the size: from one baseline to the next
ASCENT, DESCENT = 0.8, 0.25  # of the size: capitals above the baseline, g and p below it
SMALLEST_PX = 7  # below it nobody reads
HAS_FONTS = hasattr(cv2, "FontFace")  # OpenCV 5 and later
_PLAIN = str.maketrans({"…": "...", "–": "-", "—": "-", "×": "x", "·": "-", "ß": "ss", "≥": ">="})
_FONT = threading.Lock()  # the font keeps its size and weight between calls


def text_width(text: str, size_px: float, weight: int = REGULAR) -> int:
    """Width of a line in pixels."""
    if not text:
        return 0
    if not HAS_FONTS:
        font, stroke = _pillow_font(round(size_px)), _stroke(size_px, weight)
        return int(font.getbbox(_plain(text), stroke_width=stroke, anchor="ls")[2]) + 1
    with _FONT:
        x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), round(size_px), weight)
    return int(x + width) + 1


def shorten(text: str, size_px: float, width_px: int, weight: int = REGULAR) -> str:
    """The text, or its two ends, so that it fits: a file's name is known by them."""
    if text_width(text, size_px, weight) <= width_px:
        return text
    low, high = 0, len(text)
    while low < high:  # the most characters that fit
        kept = (low + high + 1) // 2
        if text_width(_ends(text, kept), size_px, weight) <= width_px:
            low = kept
        else:
            high = kept - 1
    return _ends(text, low) if low else ""


def wrap(text: str, size_px: float, width_px: int, weight: int = REGULAR) -> list[str]:
    """Lines of whole words; a word that is too wide alone is shortened."""
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
    """Write a line into the pixels, from ``x`` on; see that it fits, or OpenCV breaks it."""
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
    """Blend the letters into the part of the picture that they cover."""
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
    """The text in ASCII, which is all that Pillow's font holds."""
    parts = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    return "".join(c if c.isascii() else "?" for c in parts if not unicodedata.combining(c))


def _stroke(size_px: float, weight: int) -> float:
    """Width of the line around each letter, as Pillow's font has no bold."""
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
