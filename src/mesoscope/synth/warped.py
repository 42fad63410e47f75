"""A face made small, blurred, recoloured, warped and blended back into its own picture.

After Li & Lyu, *Exposing DeepFake videos by detecting face warping artifacts*, CVPR workshops 2019,
section 3.1. The first face swaps came from networks of a fixed small output, which an affine warp
brought to the size of the face: the face is then smoother than its surroundings, and there is a
seam between them. No network and no second face are needed to imitate that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.imaging.filters import blur, resize
from mesoscope.synth.blend import blend_mask, draw_hull
from mesoscope.synth.colour import draw_shift, is_grey
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import (
    Region,
    alpha_blend,
    clip_mask,
    draw_mask,
    face_region,
    five_points,
    full_mask,
    hull,
    mesh,
    require_face,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.synth.outline import Points
    from mesoscope.types import Json, Pixels

    Matrix = NDArray[np.float64]

__all__ = ["MAKER", "warp"]

MAKER = "warped"
SIDES_PX = (64, 160)  # of the small face, as the networks of the first face swaps gave them
HULLS = ("face", "forehead", "features", "inner")
_LEAST_SHRINK = 1.25  # a face that is small already is made smaller by this
_BLUR_PX = (0.3, 0.9)  # standard deviation at the small size
_JITTER = 0.02  # of the face's size: standard deviation of each landmark
_FACE = 0.75  # of an ellipse's size: its face's, as most crops show surroundings
_PAD = 0.15
_INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
# Eyes, nose and corners of the mouth in a face's box, where no landmarks are known.
_FIVE = np.array([[0.3, 0.38], [0.7, 0.38], [0.5, 0.58], [0.35, 0.76], [0.65, 0.76]])


def warp(
    pixels: Pixels,
    rng: np.random.Generator,
    landmarks: Landmarks | None = None,
    *,
    strength: float = 1.0,
) -> Forgery:
    """Blend a small, smooth and warped copy of a face into its picture.

    Args:
        pixels: A picture with a face, ``(H, W, 3) uint8``; in its middle, where no landmarks are
            given.
        rng: Source of all randomness; the same state gives the same forgery.
        landmarks: Of the face, 5, 68 or 81 points in its pixels. Without them the mask is a soft
            ellipse in the middle.
        strength: Strength of the change of colour, 0 to 4.

    Returns:
        The forgery; outside its mask every pixel equals the twin's, which is the picture itself.

    Raises:
        OptionError: The landmarks have another form.
        SourceUnsuitable: The face is too small or outside the picture.
    """
    drawn, sigma = float(rng.uniform(*SIDES_PX)), float(rng.uniform(*_BLUR_PX))
    how = int(rng.integers(len(_INTERPOLATIONS)))
    jitter = rng.normal(0, _JITTER, (5, 2)).clip(-2.5 * _JITTER, 2.5 * _JITTER)
    shift = draw_shift(rng, strength, grey=is_grey(pixels))
    region, mask, five, size_px, numbers = _place(pixels, landmarks, rng)
    side_px = min(drawn, size_px / _LEAST_SHRINK)
    wide, high = region.size
    scale = side_px / size_px
    small = max(4, round(wide * scale)), max(4, round(high * scale))
    copy = resize(pixels[region.slices], *small, cv2.INTER_AREA)
    copy = shift.apply(blur(copy, sigma))
    # The middles of pixels lie half a pixel within them at both sizes.
    ratio = np.array([wide / small[0], high / small[1]])
    enlarged = np.concatenate([np.diag(ratio), (0.5 * ratio - 0.5)[:, None]], axis=1)
    moved = _affine(five, np.asarray(five + jitter * size_px, np.float32))
    matrix = moved @ np.concatenate([enlarged, [[0, 0, 1]]])
    patch = cv2.warpAffine(
        copy, matrix, (wide, high), flags=_INTERPOLATIONS[how], borderMode=cv2.BORDER_REFLECT
    )
    forged = alpha_blend(pixels, region, np.asarray(patch, np.uint8), mask)
    numbers = {
        "side_px": round(side_px, 1),
        "sigma_px": round(sigma, 3),
        "interpolation": ("linear", "cubic")[how],
        "colour": shift.numbers,
        "affine": [[round(float(v), 5) for v in row] for row in moved],
        **numbers,
    }
    return Forgery(forged, pixels, full_mask(mask, region, pixels.shape), MAKER, numbers)


def _place(
    pixels: Pixels, landmarks: Landmarks | None, rng: np.random.Generator
) -> tuple[Region, Mask, Points, float, dict[str, Json]]:
    """Return region, mask of the region, landmarks in it, the face's size in pixels, numbers.

    Raises:
        SourceUnsuitable: The face is too small or outside the picture.
    """
    height, width = pixels.shape[:2]
    if landmarks is None:
        whole = clip_mask(blend_mask(height, width, rng))
        x, y, wide, high = cv2.boundingRect((whole > 0).astype(np.uint8))
        size_px = _FACE * max(cv2.boundingRect((whole > 0.5).astype(np.uint8))[2:])
        region = require_face(Region(x, y, x + wide, y + high), min(wide, high))
        five = np.asarray(_FIVE * (wide, high), np.float32)
        return region, whole[region.slices], five, size_px, {"hull": "ellipse"}
    name = draw_hull(rng, HULLS)
    outline = hull(mesh(landmarks), name)
    region = face_region(outline, pixels.shape, pad=_PAD)
    size_px = float(np.ptp(hull(mesh(landmarks), "face"), axis=0).max())
    mask, numbers = draw_mask(outline, region, rng)
    five = np.asarray(five_points(landmarks) - (region.x1, region.y1), np.float32)
    return region, mask, five, size_px, {"hull": name, **numbers}


def _affine(points: Points, others: Points) -> Matrix:
    """The affine map ``(2, 3)`` that brings points nearest to others, by least squares."""
    known = np.concatenate([points, np.ones((len(points), 1))], axis=1).astype(np.float64)
    solved = np.linalg.lstsq(known, np.asarray(others, np.float64), rcond=None)[0]
    return np.asarray(solved.T, np.float64)
