"""Whose face looks most like another's: glasses, beards, hair and light tell a splice at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.synth.outline import five_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mesoscope.synth.edits.splice import Donor
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Pixels

SIDE_PX = 40  # of a look: brows, glasses and beards show, pores do not
# Where a look has the eyes and the middle of the mouth: brows and chin are within it.
_EYES_AND_MOUTH = np.array([[11.0, 14.0], [29.0, 14.0], [20.0, 31.0]], np.float32)
_LEVEL = 0.25  # of a difference in light or colour over all of the face: it is matched anyway


def look(pixels: Pixels, landmarks: Landmarks) -> NDArray[np.float32]:
    """A face brought to one place and size, ``(40, 40, 3)`` in CIE L*a*b*, 0 to 255."""
    five = five_of(np.asarray(landmarks, np.float64))
    points = np.stack([five[0], five[1], five[3:].mean(0)]).astype(np.float32)
    matrix = cv2.getAffineTransform(points, _EYES_AND_MOUTH)
    # Averaged first where the face is much larger, as the map itself takes single pixels.
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if 0 < scale < 0.5:
        side = max(1, round(0.7 / scale))
        pixels = np.asarray(cv2.blur(pixels, (side, side)), np.uint8)
    laid = cv2.warpAffine(pixels, matrix, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(laid, cv2.COLOR_RGB2LAB), np.float32)


def unlike(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """How far two looks are apart, in grey levels; light and colour of all of the face count less.

    The nearest 99 % do not matter where a tenth differs much, as with sunglasses on one of them:
    so it is the root of the mean square.
    """
    apart = one - other
    level = apart.mean((0, 1))
    return float(np.sqrt(np.mean((apart - level) ** 2)) + _LEVEL * np.abs(level).mean())


def most_alike(pixels: Pixels, landmarks: Landmarks, donors: Iterable[Donor]) -> Donor | None:
    """The donor whose face looks most like a face; ``None`` where there is none.

    Args:
        pixels: A picture, ``(H, W, 3) uint8``.
        landmarks: Of its face.
        donors: Candidates, each read by its own landmarks.
    """
    wanted = look(pixels, landmarks)
    found = [(unlike(look(d.pixels, d.landmarks), wanted), n, d) for n, d in enumerate(donors)]
    return min(found)[2] if found else None
