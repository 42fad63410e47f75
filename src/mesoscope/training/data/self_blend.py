"""A forgery made from one real picture: a changed copy of the face blended into itself.

After Shiohara & Yamasaki, *Detecting deepfakes with self-blended images*, CVPR 2022, section 3.2,
without landmarks: training crops hold one face about their middle, so the mask is a random soft
blob there. What is left to find is what every swap leaves: two statistics of colour, sharpness
and compression in one face, and the seam between them.

:mod:`mesoscope.synth.blend` is another forgery after the same paper: its mask follows landmarks and
each of its numbers is drawn for the record. All shipped models were trained with the one here
(``augment.self_blend``), whose draws must stay for their recipes to mean what they meant; it needs
no landmarks, so it works on crops in which none are found. What the two share has one home: the
paper's shares of the copy, blur, sharpening, sizes and compression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.imaging.encode import through_jpeg
from mesoscope.imaging.filters import blur, resize, scaled, sharpen
from mesoscope.synth.blend import RATIOS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.types import Pixels


def self_blend(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Blend a changed copy of a picture into the picture.

    Args:
        pixels: A real face about its middle, ``(H, W, 3) uint8``.
        rng: Decides everything; the same state gives the same result.

    Returns:
        The forgery, of the same shape.
    """
    return self_blend_with_mask(pixels, rng)[0]


def self_blend_with_mask(
    pixels: Pixels, rng: np.random.Generator
) -> tuple[Pixels, NDArray[np.float32]]:
    """As :func:`self_blend`, and where the copy lies: ``(H, W)``, 0 to 1."""
    copy, base = pixels, pixels
    if rng.random() < 0.5:
        copy = _change(copy, rng)
    else:
        base = _change(base, rng)
    copy = _move(copy, rng)
    height, width = pixels.shape[:2]
    mask = blend_mask(height, width, rng)
    share = (mask * rng.choice(RATIOS))[:, :, None]
    mixed = base + share * (copy.astype(np.float32) - base)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8), mask


def blend_mask(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A soft bent ellipse about the middle, or a part of it, ``(height, width)``, 0 to 1."""
    y, x = np.ogrid[:height, :width]
    centre = np.array([width, height]) * (0.5 + rng.uniform(-0.06, 0.06, 2))
    across, down = width * rng.uniform(0.2, 0.4), height * rng.uniform(0.25, 0.45)
    u, v = (x - centre[0]) / across, (y - centre[1]) / down
    angle = np.arctan2(v, u)
    bends = sum(
        rng.uniform(-0.15, 0.15) * np.cos(n * angle + rng.uniform(0, 2 * np.pi)) for n in (2, 3, 4)
    )
    inside = np.hypot(u, v) < 1 + bends
    part = rng.random()
    if part < 0.15:
        inside &= v > rng.uniform(-0.2, 0.4)  # mouth and chin
    elif part < 0.3:
        inside &= v < rng.uniform(-0.4, 0.2)  # eyes and brow
    soft = max(1.0, min(height, width) * rng.uniform(0.005, 0.05))
    return np.asarray(cv2.GaussianBlur(inside.astype(np.float32), (0, 0), soft), np.float32)


def _change(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Colour, and then sharpness or compression, as a picture from elsewhere would differ."""
    gain = 1 + rng.uniform(-0.1, 0.1) + rng.uniform(-0.06, 0.06, 3)
    shift = rng.uniform(-12, 12) + rng.uniform(-6, 6, 3)
    x = np.clip(x * gain + shift + 0.5, 0, 255).astype(np.uint8)
    kind = rng.integers(4)
    if kind == 0:
        x = blur(x, rng.uniform(0.4, 1.5))
    elif kind == 1:
        x = sharpen(x, 0.6, 1.0)
    elif kind == 2:
        height, width = x.shape[:2]
        x = resize(scaled(x, rng.uniform(0.4, 0.9)), width, height, cv2.INTER_CUBIC)
    else:
        x = through_jpeg(x, int(rng.integers(40, 90)))
    return x


def _move(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Shift and scale a little, as a swapped face never lies quite where the other was."""
    height, width = x.shape[:2]
    scale = 1 + rng.uniform(-0.05, 0.05, 2)
    shift = rng.uniform(-0.03, 0.03, 2) * (width, height) + (1 - scale) * (width, height) / 2
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    moved = cv2.warpAffine(x, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)
