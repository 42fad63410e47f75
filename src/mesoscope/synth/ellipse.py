"""A random soft mask in the middle of a face crop, for faces without landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["blend_mask"]


def blend_mask(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a soft bent ellipse in the middle, or a part of it, ``(height, width)``, 0 to 1."""
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
