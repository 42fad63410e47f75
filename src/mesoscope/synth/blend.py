"""Self-blended images: an augmented copy of a face is blended into the same face.

Shiohara & Yamasaki, *Detecting deepfakes with self-blended images*, CVPR 2022, section 3. The
result has the artefacts of face swaps: differing colour and sharpness, misaligned landmarks, and a
blending boundary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mesoscope.errors import OptionError
from mesoscope.synth.colour import draw_frequency, draw_shift, is_grey
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import (
    HULLS,
    alpha_blend,
    clip_mask,
    draw_mask,
    face_region,
    full_mask,
    hull,
    mesh,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.synth.colour import Frequency, Shift
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.synth.outline import Region
    from mesoscope.types import Json, Pixels

MAKER = "self_blend"
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)  # blending ratios, section 3.3
_HULL_CHANCE = {"face": 4, "forehead": 3, "features": 2, "inner": 1, "lower": 2}
_SHIFT, _SCALE = 0.025, 0.045  # maximum translation and scaling of the copy, in face sizes
_PAD = 0.28  # in outline sizes: margin for the elastic deformation, the blurs and the translation


class _Augmentation(NamedTuple):
    """The hull's name, the augmentation, and which of copy and picture is augmented."""

    hull: str
    shift: Shift
    frequency: Frequency
    changed: str

    def apply(self, pixels: Pixels) -> Pixels:
        return self.frequency.apply(self.shift.apply(pixels))


def self_blend(
    pixels: Pixels,
    landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    strength: float = 1.0,
    hulls: Sequence[str] = tuple(HULLS),
) -> Forgery:
    """Blend an augmented copy of a face into its picture.

    Colour and sharpness of either the copy or the whole picture are augmented; the twin gets the
    augmentation of the whole picture too. Outside of the mask, forgery and twin are identical.
    Thread-safe.

    Args:
        pixels: A picture with a face, ``(H, W, 3) uint8``.
        landmarks: Landmarks of the face, see :func:`mesoscope.synth.outline.mesh`.
        rng: Generator; the same state gives the same forgery.
        strength: Strength of the augmentation, 0 to 4: 1 as in the paper, 0 only blends.
        hulls: Outlines to draw from, of :data:`mesoscope.synth.outline.HULLS`.

    Returns:
        The forgery; its mask is that of the copy, without the blending ratio.

    Raises:
        OptionError: The landmarks are not valid, an outline is unknown, or the strength is out of
            range.
        SourceUnsuitable: The face is too small, or outside of the picture.
    """
    augmentation = _draw_augmentation(rng, strength, hulls, grey=is_grey(pixels))
    outline = hull(mesh(landmarks), augmentation.hull)
    region = face_region(outline, pixels.shape, pad=_PAD)
    base, copy = pixels, pixels[region.slices]
    if augmentation.changed == "copy":
        copy = augmentation.apply(copy)
    else:
        base = augmentation.apply(base)
    mask, numbers = draw_mask(outline, region, rng)
    matrix, moved = _draw_affine(outline, region, rng, strength)
    # The copy and its mask get the same affine map.
    patch = cv2.warpAffine(
        copy, matrix, region.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    mask = clip_mask(np.asarray(cv2.warpAffine(mask, matrix, region.size), np.float32))
    ratio = float(rng.choice(RATIOS))
    forged = alpha_blend(base, region, np.asarray(patch, np.uint8), ratio * mask)
    numbers = {
        "hull": augmentation.hull,
        "strength": strength,
        "changed": augmentation.changed,
        "colour": augmentation.shift.numbers,
        "frequency": augmentation.frequency.numbers(),
        "move": moved,
        **numbers,
        "ratio": ratio,
    }
    return Forgery(forged, base, full_mask(mask, region, pixels.shape), MAKER, numbers)


def twin(
    pixels: Pixels,
    rng: np.random.Generator,
    *,
    strength: float = 1.0,
    hulls: Sequence[str] = tuple(HULLS),
) -> Pixels:
    """Return the twin of :func:`self_blend` without making the forgery.

    In half of all cases the whole picture is augmented. With the same state of the generator the
    result is identical to the forgery's twin, and landmarks are not needed. A loader that applies
    it to reals makes augmentation of whole pictures equally frequent in both classes.

    Args:
        pixels: ``(H, W, 3) uint8``.
        rng: Generator.
        strength: As for :func:`self_blend`.
        hulls: As for :func:`self_blend`.

    Raises:
        OptionError: As for :func:`self_blend`.
    """
    augmentation = _draw_augmentation(rng, strength, hulls, grey=is_grey(pixels))
    return pixels if augmentation.changed == "copy" else augmentation.apply(pixels)


def draw_hull(rng: np.random.Generator, hulls: Sequence[str] = tuple(HULLS)) -> str:
    """Draw the name of an outline; outlines of the face are more frequent than those of parts.

    Raises:
        OptionError: An outline is unknown, or there is none.
    """
    unknown = [name for name in hulls if name not in HULLS]
    if unknown or not hulls:
        raise OptionError(f"hulls must be some of {', '.join(HULLS)}, got {list(hulls)}")
    chance = np.array([_HULL_CHANCE[name] for name in hulls], float)
    return str(hulls[int(rng.choice(len(hulls), p=chance / chance.sum()))])


def _draw_augmentation(
    rng: np.random.Generator, strength: float, hulls: Sequence[str], *, grey: bool
) -> _Augmentation:
    """Draw what does not depend on the landmarks; it comes first, as the twin needs only this."""
    if not 0 <= strength <= 4:
        raise OptionError(f"strength must lie in 0..4, got {strength}")
    name = draw_hull(rng, hulls)
    shift = draw_shift(rng, strength, grey=grey)
    frequency = draw_frequency(rng, strength)
    return _Augmentation(name, shift, frequency, "copy" if rng.random() < 0.5 else "picture")


def _draw_affine(
    outline: NDArray[np.float32], region: Region, rng: np.random.Generator, strength: float
) -> tuple[NDArray[np.float64], dict[str, Json]]:
    """Draw scaling about the face's centre and translation, in the region's pixels."""
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
