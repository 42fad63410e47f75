"""Self-blended pictures: a changed copy of a face blended into the face itself.

After Shiohara & Yamasaki, *Detecting deepfakes with self-blended images*, CVPR 2022, section 3. No
second face is needed, and what is left to find is what every swap leaves: two statistics of colour
and sharpness in one face, landmarks that do not quite fit, and the seam between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.synth.colour import draw_frequency, draw_shift, is_grey
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.masks import clean, draw_mask, mixed, placed, region_of
from mesoscope.synth.outline import HULLS, hull, mesh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.synth.forgery import Landmarks
    from mesoscope.synth.masks import Region
    from mesoscope.types import Json, Pixels

MAKER = "self_blend"
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)  # of the copy in the blend, as in section 3.3
_HULL_CHANCE = {"face": 4, "forehead": 3, "features": 2, "inner": 1, "lower": 2}
_SHIFT, _SCALE = 0.025, 0.045  # of the face's size: how far the copy is moved and resized, at most
_PAD = 0.28  # of the outline's size: room for the elastic field, the blurs and the shift
_LEAST_PX = 12


def self_blend(
    pixels: Pixels,
    landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    strength: float = 1.0,
    hulls: Sequence[str] = tuple(HULLS),
) -> Forgery:
    """Blend a changed copy of a face into the picture that it is from.

    Colour and sharpness of either the copy or the whole picture are changed; where it is the whole
    picture, so is the twin, and outside of the mask both are equal to the bit. Safe in threads.

    Args:
        pixels: A picture with a face, ``(H, W, 3) uint8``.
        landmarks: Of the face, in its pixels, as :func:`mesoscope.synth.outline.mesh` takes them.
        rng: Decides everything; the same state gives the same forgery.
        strength: How far the two sides differ: 1 as in the paper, 0 leaves the blend alone.
        hulls: Outlines to draw from, of :data:`mesoscope.synth.outline.HULLS`.

    Returns:
        The forgery; its mask is where the copy lies, before the blend's ratio.

    Raises:
        OptionError: Landmarks of a wrong form, an unknown outline, a negative strength.
        SourceUnsuitable: The face is too small, or lies outside of the picture.
    """
    if not 0 <= strength <= 4:
        raise OptionError(f"strength must lie in 0..4, got {strength}")
    name = draw_hull(rng, hulls)
    outline = hull(mesh(landmarks), name)
    region = region_of(outline, pixels.shape, pad=_PAD)
    if region is None or float(np.ptp(outline, axis=0).min()) < _LEAST_PX:
        raise SourceUnsuitable(
            f"the face is smaller than {_LEAST_PX} pixels or outside of the picture"
        )
    grey = is_grey(pixels)
    shift = draw_shift(rng, strength, grey=grey)
    frequency = draw_frequency(rng, strength)
    changed = "copy" if rng.random() < 0.5 else "picture"
    base, copy = pixels, pixels[region.slices]
    if changed == "copy":
        copy = frequency.of(shift.of(copy))
    else:
        base = frequency.of(shift.of(base))
    mask, numbers = draw_mask(outline, region, rng)
    matrix, moved = _draw_move(outline, region, rng, strength)
    # The copy and its mask are moved together, so that the outline goes with its face.
    patch = cv2.warpAffine(
        copy, matrix, region.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    mask = clean(np.asarray(cv2.warpAffine(mask, matrix, region.size), np.float32))
    ratio = float(rng.choice(RATIOS))
    forged = mixed(base, region, np.asarray(patch, np.uint8), ratio * mask)
    numbers = {
        "hull": name,
        "strength": strength,
        "changed": changed,
        "colour": shift.numbers,
        "frequency": frequency.numbers(),
        "move": moved,
        **numbers,
        "ratio": ratio,
    }
    return Forgery(forged, base, placed(mask, region, pixels.shape), MAKER, numbers)


def draw_hull(rng: np.random.Generator, hulls: Sequence[str] = tuple(HULLS)) -> str:
    """Draw the name of an outline, whole faces more often than parts of them.

    Raises:
        OptionError: An outline that is not known, or none.
    """
    unknown = [name for name in hulls if name not in HULLS]
    if unknown or not hulls:
        raise OptionError(f"hulls must be some of {', '.join(HULLS)}, got {list(hulls)}")
    chance = np.array([_HULL_CHANCE[name] for name in hulls], float)
    return str(hulls[int(rng.choice(len(hulls), p=chance / chance.sum()))])


def _draw_move(
    outline: NDArray[np.float32], region: Region, rng: np.random.Generator, strength: float
) -> tuple[NDArray[np.float64], dict[str, Json]]:
    """Scale and shift of the copy about the face's middle, in the region's pixels."""
    drawn = rng.uniform(-1, 1, 4) * min(strength, 1)
    size = np.ptp(outline, axis=0)
    scale = 1 + _SCALE * drawn[:2]
    shift = _SHIFT * drawn[2:] * size
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2 - (region.x1, region.y1)
    offset = middle - scale * middle + shift
    matrix = np.array([[scale[0], 0, offset[0]], [0, scale[1], offset[1]]], np.float64)
    numbers: dict[str, Json] = {
        "scale": [round(float(v), 4) for v in scale],
        "shift_px": [round(float(v), 3) for v in shift],
    }
    return matrix, numbers
