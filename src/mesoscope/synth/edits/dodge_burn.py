"""Dodge and burn: places of a face made lighter or darker with a soft brush, in stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.synth.edits.anatomy import anatomy, region_of, soft_shape
from mesoscope.synth.edits.canvas import Canvas
from mesoscope.synth.edits.keys import FULL, DodgeBurnKeys, Span
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.masks import Region, clean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.types import Json, Pixels

_KEYS = DodgeBurnKeys()
# What retouchers paint: the place's centre and radii in face coordinates, mirrored to the other
# side where x is not 0; +1 = mostly dodged, -1 = mostly burnt.
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
    keys: DodgeBurnKeys = _KEYS, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Paint light and shade onto a face, as contouring does.

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
    names = list(_PLACES)
    count = int(rng.integers(1, keys.strokes_most + 1))
    outline = face.oval(face.at(0, 0.4), 1.15, 1.5)
    region = region_of(outline, pixels.shape, pad_px=0)
    stops = np.zeros(region.size[::-1], np.float32)  # (h, w)
    told: list[Json] = []
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
        told.append({"place": names[index], "stops": round(by, 4)})
    patch = pixels[region.slices]
    exposed = _exposed(patch, stops)
    where = clean(np.abs(stops) / np.float32(max(keys.stops_min, 0.05)))
    canvas = Canvas(pixels)
    canvas.lay(region, exposed, (where > 0).astype(np.float32), where=where)
    return canvas.forgery("dodge_burn", {"strokes": told})


def _add(stops: Mask, region: Region, stroke: Mask, part: Region) -> None:
    """Add a stroke that lies in a part of the picture to those of a region."""
    x1, y1 = max(part.x1, region.x1), max(part.y1, region.y1)
    x2, y2 = min(part.x2, region.x2), min(part.y2, region.y2)
    if x1 < x2 and y1 < y2:
        here = stops[y1 - region.y1 : y2 - region.y1, x1 - region.x1 : x2 - region.x1]
        here += stroke[y1 - part.y1 : y2 - part.y1, x1 - part.x1 : x2 - part.x1]


def _exposed(patch: Pixels, stops: Mask) -> NDArray[np.float32]:
    """More or less light, held at black and white: middle tones change most."""
    values = patch.astype(np.float32) / 255
    lightness = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    middle = 4 * lightness * (1 - lightness)  # 1 at middle grey, 0 at the ends
    # Stops count light, pixels are gamma-encoded: a stop is a factor of 2^(1 / 2.2).
    gain = np.exp2(stops * (0.3 + 0.7 * middle) / 2.2)[:, :, None]
    return np.asarray(255 * np.clip(values * gain, 0, 1), np.float32)
