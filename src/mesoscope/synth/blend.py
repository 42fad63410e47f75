"""Self-blended pictures: a changed copy of a face blended into the face itself.

After Shiohara & Yamasaki, *Detecting deepfakes with self-blended images*, CVPR 2022, section 3. No
second face is needed, and what is left to find is what every swap leaves: two statistics of colour
and sharpness in one face, landmarks that do not quite fit, and the seam between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.synth.colour import draw_frequency, draw_shift, is_grey
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import HULLS, clean, draw_mask, hull, mesh, mixed, placed, region_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.synth.colour import Frequency, Shift
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.synth.outline import Region
    from mesoscope.types import Json, Pixels

MAKER = "self_blend"
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)  # of the copy in the blend, as in section 3.3
_HULL_CHANCE = {"face": 4, "forehead": 3, "features": 2, "inner": 1, "lower": 2}
_SHIFT, _SCALE = 0.025, 0.045  # of the face's size: how far the copy is moved and resized, at most
_PAD = 0.28  # of the outline's size: room for the elastic field, the blurs and the shift
_LEAST_PX = 12


class _Changes(NamedTuple):
    """The outline's name, and how which side is changed."""

    hull: str
    shift: Shift
    frequency: Frequency
    changed: str

    def of(self, pixels: Pixels) -> Pixels:
        return self.frequency.of(self.shift.of(pixels))


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
    drawn = _draw_changes(rng, strength, hulls, grey=is_grey(pixels))
    outline = hull(mesh(landmarks), drawn.hull)
    region = region_of(outline, pixels.shape, pad=_PAD)
    if region is None or float(np.ptp(outline, axis=0).min()) < _LEAST_PX:
        raise SourceUnsuitable(
            f"the face is smaller than {_LEAST_PX} pixels or outside of the picture"
        )
    base, copy = pixels, pixels[region.slices]
    if drawn.changed == "copy":
        copy = drawn.of(copy)
    else:
        base = drawn.of(base)
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
        "hull": drawn.hull,
        "strength": strength,
        "changed": drawn.changed,
        "colour": drawn.shift.numbers,
        "frequency": drawn.frequency.numbers(),
        "move": moved,
        **numbers,
        "ratio": ratio,
    }
    return Forgery(forged, base, placed(mask, region, pixels.shape), MAKER, numbers)


def twin(
    pixels: Pixels,
    rng: np.random.Generator,
    *,
    strength: float = 1.0,
    hulls: Sequence[str] = tuple(HULLS),
) -> Pixels:
    """A real picture as it must stand beside self-blends: in half of all cases changed as a whole.

    From the same state of the generator it is the very twin of :func:`self_blend`, to the bit, and
    needs no landmarks. A loader that shows reals through it leaves no change of the whole picture
    to tell them by.

    Args:
        pixels: ``(H, W, 3) uint8``.
        rng: Decides everything.
        strength: As of the blends.
        hulls: As of the blends.

    Raises:
        OptionError: As :func:`self_blend`.
    """
    drawn = _draw_changes(rng, strength, hulls, grey=is_grey(pixels))
    return pixels if drawn.changed == "copy" else drawn.of(pixels)


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


def _draw_changes(
    rng: np.random.Generator, strength: float, hulls: Sequence[str], *, grey: bool
) -> _Changes:
    """What does not depend on where the face lies: drawn first, so that a twin needs no more."""
    if not 0 <= strength <= 4:
        raise OptionError(f"strength must lie in 0..4, got {strength}")
    name = draw_hull(rng, hulls)
    shift = draw_shift(rng, strength, grey=grey)
    frequency = draw_frequency(rng, strength)
    return _Changes(name, shift, frequency, "copy" if rng.random() < 0.5 else "picture")


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
