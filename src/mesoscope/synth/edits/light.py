"""Edits of light: dodge and burn, and whitening of teeth and eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.synth.edits.anatomy import (
    Canvas,
    anatomy,
    blurred,
    mouth_outline,
    soft_shape,
)
from mesoscope.synth.edits.recipe import FULL, DodgeBurnKeys, Span, WhitenKeys
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import Region, bounding_region, clip_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.edits.anatomy import Anatomy, Points
    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.types import Json, Pixels


_DODGE_BURN = DodgeBurnKeys()
# Places that retouchers paint: centre and radii in face coordinates, mirrored to the other side if
# x is not 0; +1 = mostly dodged, -1 = mostly burnt.
_PLACES: dict[str, tuple[float, float, float, float, int]] = {
    "under the eyes": (0.48, 0.24, 0.26, 0.1, 1),
    "eyes": (0.5, 0.0, 0.24, 0.13, 1),
    "bridge of the nose": (0.0, 0.3, 0.09, 0.36, 1),
    "sides of the nose": (0.2, 0.42, 0.08, 0.28, -1),
    "cheekbones": (0.68, 0.42, 0.25, 0.14, 1),
    "hollows of the cheeks": (0.72, 0.85, 0.2, 0.26, -1),
    "forehead": (0.0, -0.6, 0.5, 0.24, 1),
    "jaw": (0.62, 1.35, 0.3, 0.2, -1),
    "lips": (0.0, 1.0, 0.38, 0.16, -1),
    "chin": (0.0, 1.5, 0.24, 0.16, 1),
}


def dodge_burn(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: DodgeBurnKeys = _DODGE_BURN, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Lighten and darken places of a face (dodge and burn), as contouring does.

    Args:
        pixels: A real picture, ``(H, W, 3) uint8``.
        landmarks: Landmarks of its face, see :func:`~mesoscope.synth.edits.anatomy.anatomy`.
        rng: Generator; the same state gives the same forgery.
        keys: Ranges of the parameters.
        strength: Part of each range to draw from, within 0 to 1.

    Raises:
        OptionError: The landmarks are not valid.
        SourceUnsuitable: The face is outside of the picture, or too small.
    """
    face = anatomy(landmarks, pixels.shape)
    names = list(_PLACES)
    count = int(rng.integers(1, keys.strokes_most + 1))
    outline = face.oval(face.at(0, 0.4), 1.15, 1.5)
    region = bounding_region(outline, pixels.shape, pad_px=0)
    stops = np.zeros(region.size[::-1], np.float32)  # (h, w)
    strokes: list[Json] = []
    for index in rng.permutation(len(names))[:count]:
        x, y, rx, ry, sign = _PLACES[names[index]]
        by = strength.draw(rng, keys.stops_min, keys.stops_max)
        by *= sign if rng.random() < 0.8 else -sign
        sides = (x,) if x == 0 else (-x, x)
        size, soft_px = rng.uniform(0.8, 1.25), rng.uniform(0.02, 0.05) * face.width_px
        shapes = [
            face.oval(face.at(side, y), rx * size, ry * size, rng=rng, bends=0.2) for side in sides
        ]
        for shape in shapes:
            part, soft = soft_shape([shape], pixels.shape, soft_px=soft_px)
            _add(stops, region, np.float32(by) * soft, part)
        strokes.append({"place": names[index], "stops": round(by, 4)})
    exposed = _exposed(pixels[region.slices], stops)
    mask = clip_mask(np.abs(stops) / np.float32(max(keys.stops_min, 0.05)))
    canvas = Canvas(pixels)
    canvas.blend(region, exposed, (mask > 0).astype(np.float32), mask=mask)
    return canvas.forgery("dodge_burn", {"strokes": strokes})


def _add(stops: Mask, region: Region, stroke: Mask, part: Region) -> None:
    """Add a stroke in a part of the picture to the sum of a region, in place."""
    x1, y1 = max(part.x1, region.x1), max(part.y1, region.y1)
    x2, y2 = min(part.x2, region.x2), min(part.y2, region.y2)
    if x1 < x2 and y1 < y2:
        shared = stops[y1 - region.y1 : y2 - region.y1, x1 - region.x1 : x2 - region.x1]
        shared += stroke[y1 - part.y1 : y2 - part.y1, x1 - part.x1 : x2 - part.x1]


def _exposed(patch: Pixels, stops: Mask) -> NDArray[np.float32]:
    """Change the exposure by a map of stops; middle tones change most."""
    values = patch.astype(np.float32) / 255
    lightness = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    middle = 4 * lightness * (1 - lightness)  # 1 at middle grey, 0 at the ends
    # Stops are linear light and pixels are gamma-encoded, so a stop is a factor of 2^(1 / 2.2).
    gain = np.exp2(stops * (0.3 + 0.7 * middle) / 2.2)[:, :, None]
    return np.asarray(255 * np.clip(values * gain, 0, 1), np.float32)


_WHITEN = WhitenKeys()
_TEETH = 0.06  # minimum visible area of teeth: side of a square in face widths


def whiten(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: WhitenKeys = _WHITEN, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Whiten eyes, teeth or both; the eyes if no teeth are visible.

    Args:
        pixels: A real picture, ``(H, W, 3) uint8``.
        landmarks: Landmarks of its face, see :func:`~mesoscope.synth.edits.anatomy.anatomy`.
        rng: Generator; the same state gives the same forgery.
        keys: Ranges of the parameters.
        strength: Part of each range to draw from, within 0 to 1.

    Raises:
        OptionError: The landmarks are not valid.
        SourceUnsuitable: The face is outside of the picture, or too small.
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
    """Whiten one part; return whether anything was whitened."""
    pixels = canvas.pixels
    region, inside = soft_shape([outline], pixels.shape, soft_px=0.012 * face.width_px)
    core = inside > 0.6
    if not core.any():
        return False
    patch = pixels[region.slices].astype(np.float32) / np.float32(255)
    lab = cv2.cvtColor(patch, cv2.COLOR_RGB2LAB)
    light, red, yellow = lab[..., 0], lab[..., 1], lab[..., 2]
    # White pixels are lighter and less saturated than the part's median: lips and lids are red, and
    # iris and lashes are dark.
    bright = np.clip((light - np.percentile(light[core], 55)) / 12, 0, 1)
    median = np.median(np.hypot(red[core], yellow[core]))
    pale = np.clip((median + 2 - np.hypot(red, yellow)) / 6, 0, 1)
    if teeth:
        pale = pale * np.clip((14 - red) / 6, 0, 1) * np.clip((light - 35) / 15, 0, 1)
    white = inside * blurred(np.asarray(bright * pale, np.float32), max(0.5, 0.004 * face.width_px))
    if teeth and white.sum() <= (_TEETH * face.width_px) ** 2:
        return False
    if not teeth:  # the rest of the eye is also lightened a little, as by a soft brush
        white = white + 0.3 * inside
    white = clip_mask(np.asarray(white, np.float32))
    lab[..., 0] = light + amount * (100 - light) * 0.35
    lab[..., 1] = red * (1 - 0.8 * amount)
    lab[..., 2] = yellow * (1 - 0.9 * amount)
    lighter = np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.float32) * 255
    canvas.blend(region, lighter, white)
    return True
