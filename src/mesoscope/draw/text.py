"""Text on pictures, by the fonts inside OpenCV: any script, nothing to install."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    from mesoscope.draw.palette import Rgb
    from mesoscope.types import Pixels

REGULAR, BOLD = 400, 600
LINE = 1.35  # of the size: from one baseline to the next
ASCENT, DESCENT = 0.8, 0.25  # of the size: capitals above the baseline, g and p below it
SMALLEST_PX = 7  # below it nobody reads
_FONT = threading.Lock()  # the font keeps its size and weight between calls


def text_width(text: str, size_px: float, weight: int = REGULAR) -> int:
    """Width of a line in pixels."""
    if not text:
        return 0
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
    if text:
        with _FONT:
            cv2.putText(pixels, text, (x, baseline), colour, _font(), round(size_px), weight)


def _ends(text: str, kept: int) -> str:
    front = (kept + 1) // 2
    return f"{text[:front]}…{text[len(text) - (kept - front) :]}"


@functools.cache
def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")
