"""The faces of two persons averaged: a morph in the face's region of one picture.

After Ferrara, Franco & Maltoni, *The magic passport*, IJCB 2014, section 3: both faces are warped
to the weighted mean of their landmarks, and their pixels are averaged with the same weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.synth.blend import draw_hull
from mesoscope.synth.colour import is_grey, match_colour
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import (
    alpha_blend,
    clip_mask,
    draw_mask,
    face_region,
    five_points,
    full_mask,
    hull,
    mesh,
    similarity_transform,
)
from mesoscope.synth.swap import (
    intersection,
    mapped,
    require_similar_light,
    to_grey,
    warp_to_region,
)

if TYPE_CHECKING:
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Pixels

__all__ = ["MAKER", "SHARES", "average"]

MAKER = "averaged"
SHARES = (0.3, 0.7)  # of the donor
HULLS = ("face", "inner")  # the hair of two persons averaged shows as a ghost
_PAD = 0.2
_UNTURNED = np.array([[1.0, 0, 0], [0, 1, 0]])


def average(
    pixels: Pixels,
    landmarks: Landmarks,
    donor: Pixels,
    donor_landmarks: Landmarks,
    rng: np.random.Generator,
) -> Forgery:
    """Average a picture's face with a donor's.

    Args:
        pixels: The picture, ``(H, W, 3) uint8``.
        landmarks: Of its face, 5, 68 or 81 points in its pixels.
        donor: A picture of somebody similar, of any size.
        donor_landmarks: Of the face in it, as many points as above.
        rng: Source of all randomness; the same state gives the same forgery.

    Returns:
        The forgery; its twin is the picture itself.

    Raises:
        OptionError: Landmarks of another form.
        SourceUnsuitable: The face is too small or outside the picture, the donor's does not cover
            it, or is lit too differently.
    """
    name, share = draw_hull(rng, HULLS), float(rng.uniform(*SHARES))
    colour = float(rng.uniform(0.7, 1))
    face, face_donor = five_points(landmarks), five_points(donor_landmarks)
    matrix = similarity_transform(face_donor, face)
    fitted = mapped(face_donor, matrix)
    mean = np.asarray(face + share * (fitted - face), np.float32)
    outlines = (
        hull(mesh(landmarks), name), hull(mapped(mesh(donor_landmarks), matrix), name)
    )  # fmt: skip
    outline = intersection(*outlines)
    region = face_region(outline, pixels.shape, pad=_PAD)
    under, _ = warp_to_region(pixels, _UNTURNED, region, mean, mean - face)
    over, covered = warp_to_region(donor, matrix, region, mean, mean - fitted)
    mask, numbers = draw_mask(outline, region, rng)
    mask = clip_mask(mask * covered)
    if is_grey(pixels[region.slices]):
        over = to_grey(over)
    require_similar_light(over, under, mask)
    over = match_colour(over, under, mask, share=colour)
    both = under + np.float32(share) * (over.astype(np.float32) - under)
    patch = np.asarray(np.clip(np.rint(both), 0, 255), np.uint8)
    numbers = {
        "hull": name,
        "share": round(share, 4),
        "matched": round(colour, 4),
        "turn": [[round(float(v), 5) for v in row] for row in matrix],
        **numbers,
    }
    forged = alpha_blend(pixels, region, patch, mask)
    return Forgery(forged, pixels, full_mask(mask, region, pixels.shape), MAKER, numbers)
