"""Skin made smooth: frequency separation, a surface blur or a guided filter, in the skin alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.synth.edits.anatomy import anatomy, skin
from mesoscope.synth.edits.canvas import Canvas, blurred
from mesoscope.synth.edits.keys import FULL, RetouchKeys, Span
from mesoscope.synth.forgery import Forgery

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Json, Pixels

    Patch = NDArray[np.float32]

_KEYS = RetouchKeys()
METHODS = ("frequency", "bilateral", "guided")


def retouch(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: RetouchKeys = _KEYS, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Smooth a face's skin; eyes, brows, mouth and hair stay.

    Args:
        pixels: A real picture, ``(H, W, 3) uint8``.
        landmarks: Of its face, see :func:`~mesoscope.synth.edits.anatomy.anatomy`.
        rng: Decides everything; the same state gives the same forgery.
        keys: Ranges to draw from.
        strength: The stretch of each range that is drawn from, within 0 to 1.

    Raises:
        OptionError: Landmarks of another form.
        SourceUnsuitable: They describe no face within the picture, or too small a one.
    """
    face = anatomy(landmarks, pixels.shape)
    region, where = skin(pixels, face)
    amount = strength.draw(rng, keys.amount_min, keys.amount_max)
    method = METHODS[int(rng.integers(len(METHODS)))]
    width = rng.uniform(0.018, 0.035)  # of what is smoothed away, in face widths
    grain = float(rng.uniform(0.5, 2.5)) if rng.random() < keys.grain else 0.0
    numbers: dict[str, Json] = {
        "method": method, "amount": round(amount, 5), "width": round(width, 5),
        "grain": round(grain, 3),
    }  # fmt: skip
    patch = pixels[region.slices]
    smooth = _SMOOTHERS[method](patch, max(1.0, width * face.width_px))
    if grain:
        smooth = smooth + grain * rng.standard_normal(where.shape, np.float32)[:, :, None]
    canvas = Canvas(pixels)
    canvas.lay(region, smooth, where * np.float32(amount), where=where)
    return canvas.forgery("retouch", numbers)


def _frequency(patch: Pixels, sigma: float) -> Patch:
    """Blotches are the middle of three layers: it goes, and pores and form stay."""
    values = patch.astype(np.float32)
    fine, coarse = blurred(values, max(0.6, 0.18 * sigma)), blurred(values, 1.6 * sigma)
    pores = values - fine
    middle = fine - coarse
    # An edge is more than a blotch: what stands out far is kept.
    kept = np.clip((np.abs(middle).max(2, keepdims=True) - 20) / 20, 0, 1)
    return np.asarray(coarse + kept * middle + 0.45 * pores, np.float32)


def _bilateral(patch: Pixels, sigma: float) -> Patch:
    diameter = int(np.clip(2 * round(sigma) + 1, 5, 11))
    return np.asarray(cv2.bilateralFilter(patch, diameter, 42, max(2.0, sigma)), np.float32)


def _guided(patch: Pixels, sigma: float) -> Patch:
    """The picture guides itself, channel by channel (He et al. 2013, section 3)."""
    side = 2 * round(1.2 * sigma) + 1
    values = patch.astype(np.float32)
    mean = cv2.blur(values, (side, side))
    variance = np.maximum(cv2.blur(values * values, (side, side)) - mean * mean, 0)
    gain = cv2.blur(variance / (variance + np.float32(18.0**2)), (side, side))
    return np.asarray(mean + gain * (values - mean), np.float32)


_SMOOTHERS = {"frequency": _frequency, "bilateral": _bilateral, "guided": _guided}
