"""Teeth and the white of the eyes made whiter: less colour, more light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.synth.edits.anatomy import anatomy, mouth_outline, soft_shape
from mesoscope.synth.edits.canvas import Canvas, blurred
from mesoscope.synth.edits.keys import FULL, Span, WhitenKeys
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.masks import clean

if TYPE_CHECKING:
    from mesoscope.synth.edits.anatomy import Anatomy, Points
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Json, Pixels

_KEYS = WhitenKeys()
_TEETH = 0.06  # side of the square, in face widths, that shows teeth at least


def whiten(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: WhitenKeys = _KEYS, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Whiten eyes, teeth or both; a closed mouth has no teeth, so then its eyes are whitened.

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
    amount = strength.draw(rng, keys.amount_min, keys.amount_max)
    draw = rng.random()
    wanted = {"teeth": draw < 0.65, "eyes": draw > 0.35}
    canvas = Canvas(pixels)
    done: list[Json] = []
    if wanted["teeth"] and _whiten(canvas, face, mouth_outline(face), amount, teeth=True):
        done.append("teeth")
    if wanted["eyes"] or not done:
        for eye in face.five[:2]:
            _whiten(canvas, face, face.oval(eye, 0.27, 0.15), amount, teeth=False)
        done.append("eyes")
    return canvas.forgery("whiten", {"amount": round(amount, 5), "parts": done})


def _whiten(canvas: Canvas, face: Anatomy, outline: Points, amount: float, *, teeth: bool) -> bool:
    """Whiten one part, unless it shows no teeth."""
    pixels = canvas.pixels
    region, inside = soft_shape([outline], pixels.shape, soft_px=0.012 * face.width_px)
    core = inside > 0.6
    if not core.any():
        return False
    patch = pixels[region.slices].astype(np.float32) / np.float32(255)
    lab = cv2.cvtColor(patch, cv2.COLOR_RGB2LAB)
    light, red, yellow = lab[..., 0], lab[..., 1], lab[..., 2]
    # White is what is lighter than the part's middle and has less colour than it: lips and lids
    # are red, iris and lashes dark.
    bright = np.clip((light - np.percentile(light[core], 55)) / 12, 0, 1)
    usual = np.median(np.hypot(red[core], yellow[core]))
    pale = np.clip((usual + 2 - np.hypot(red, yellow)) / 6, 0, 1)
    if teeth:
        pale = pale * np.clip((14 - red) / 6, 0, 1) * np.clip((light - 35) / 15, 0, 1)
    white = inside * blurred(np.asarray(bright * pale, np.float32), max(0.5, 0.004 * face.width_px))
    if teeth and white.sum() <= (_TEETH * face.width_px) ** 2:
        return False
    if not teeth:  # the rest of the eye is lifted a little with it, as a soft brush does
        white = white + 0.3 * inside
    white = clean(np.asarray(white, np.float32))
    lab[..., 0] = light + amount * (100 - light) * 0.35
    lab[..., 1] = red * (1 - 0.8 * amount)
    lab[..., 2] = yellow * (1 - 0.9 * amount)
    lighter = np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.float32) * 255
    canvas.lay(region, lighter, white)
    return True
