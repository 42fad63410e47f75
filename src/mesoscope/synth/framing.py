"""What of a real picture is forged: all of it, or a square crop around its face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.faces.crop import crop, square

if TYPE_CHECKING:
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Box, Pixels

LEAST_PX = 48  # between the outermost landmarks of a face, times ACROSS
# A finder's box beside its five landmarks: how much wider, and how far above their middle.
ACROSS, ABOVE = 2.2, 0.1


@dataclass(frozen=True, slots=True)
class Framing:
    """How pictures are cut before they are forged.

    Attributes:
        size_px: Side of the square crops; ``None`` keeps pictures as they are.
        margin: Side of a crop over the longest side of the face, at least 1.

    Raises:
        OptionError: A crop smaller than 64 pixels, or a margin below 1.
    """

    size_px: int | None = None
    margin: float = 1.3

    def __post_init__(self) -> None:
        if self.size_px is not None and self.size_px < 64:
            raise OptionError(f"size must be at least 64 pixels or keep, got {self.size_px}")
        if not 1 <= self.margin <= 10:
            raise OptionError(f"margin must lie in 1..10, got {self.margin}")

    def face(
        self, pixels: Pixels, landmarks: Landmarks | None, name: str
    ) -> tuple[Pixels, Landmarks]:
        """The picture or crop, and the landmarks in its pixels.

        Args:
            pixels: The whole picture.
            landmarks: In its pixels.
            name: For errors.

        Raises:
            SourceUnsuitable: No landmarks, or the face is too small.
        """
        if landmarks is None:
            raise SourceUnsuitable(f"{name}: no face was found")
        box = box_of(landmarks)
        side = max(box[2] - box[0], box[3] - box[1])
        if side < LEAST_PX:
            raise SourceUnsuitable(f"{name}: the face is smaller than {LEAST_PX} pixels")
        if self.size_px is None:
            return pixels, landmarks
        left, top, taken = square(box, self.margin)
        cut = crop(pixels, box, margin=self.margin, size_px=self.size_px)
        # A pixel's middle lies half a pixel within it, before the resize and after.
        moved = (landmarks + 0.5 - (left, top)) * (self.size_px / taken) - 0.5
        return cut, np.asarray(moved, np.float32)

    def plain(self, pixels: Pixels, name: str) -> Pixels:
        """The picture, or the square about its middle, without looking for a face.

        Raises:
            SourceUnsuitable: The picture is too small.
        """
        height, width = pixels.shape[:2]
        if min(height, width) < LEAST_PX:
            raise SourceUnsuitable(f"{name}: smaller than {LEAST_PX} pixels")
        if self.size_px is None:
            return pixels
        side = min(height, width)
        x, y = (width - side) / 2, (height - side) / 2
        return crop(pixels, (x, y, x + side, y + side), size_px=self.size_px)


def box_of(landmarks: Landmarks) -> Box:
    """About the box that a finder draws around these landmarks, ``(x1, y1, x2, y2)``."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    if len(landmarks) > 5:  # a mesh reaches from brow to chin
        top = float(low[1]) - 0.15 * float(high[1] - low[1])
        return float(low[0]), top, float(high[0]), float(high[1])
    x, y = ((low + high) / 2).tolist()
    half = float((high - low).max()) * ACROSS / 2
    y -= 2 * half * ABOVE / ACROSS
    return x - half, y - half * 1.15, x + half, y + half * 1.15
