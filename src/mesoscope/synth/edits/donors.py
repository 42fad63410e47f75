"""Which faces fit as donors: turned and lit much like the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesoscope.synth.edits.anatomy import anatomy, region_of
from mesoscope.synth.edits.splice import turned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Pixels

Look = NDArray[np.float64]  # (5,): turn, nod, height by width, lightness, log of the width
# What a step of 1 in each is worth: a turn shows at once, a difference in size hardly does.
_WORTH = np.array([3.0, 2.0, 1.5, 1.5, 0.3])


def look(pixels: Pixels, landmarks: Landmarks) -> Look:
    """How a face is turned, shaped and lit, ``(5,)``, to compare with others.

    Turned to the left and to the right count the same, since a donor is mirrored where that fits.

    Raises:
        OptionError: Landmarks that describe no face within the picture.
    """
    face = anatomy(landmarks, pixels.shape)
    axes = np.stack([face.across, face.down], 1)
    nod = float(np.linalg.solve(axes, face.five[2] - face.origin)[1])
    shape = float(np.hypot(*face.down) / np.hypot(*face.across))
    part = pixels[region_of(face.five, pixels.shape, pad_px=0).slices]
    light = float(part.mean()) / 255 if part.size else 0.5
    return np.array([abs(turned(face)), nod, shape, light, np.log(face.width_px)])


def nearest(
    wanted: Look, looks: NDArray[np.float64], rng: np.random.Generator, *,
    most: int = 5, tried: int = 64, without: Sequence[int] = (),
) -> int | None:  # fmt: skip
    """Choose a donor: one of the most alike among some drawn at random.

    Args:
        wanted: Of the target.
        looks: ``(N, 5)``, of all who may give.
        rng: Decides.
        most: One of so many most alike is taken, so that no face always has the same donor.
        tried: So many are drawn at random and compared.
        without: Places that are not taken: the target itself, or others of its group.

    Returns:
        Its place; ``None`` where nobody is left.
    """
    places = np.arange(len(looks))
    if len(without):
        places = np.setdiff1d(places, np.asarray(without))
    if not len(places):
        return None
    if len(places) > tried:
        places = rng.choice(places, tried, replace=False)
    apart = np.linalg.norm((looks[places] - wanted) * _WORTH, axis=1)
    best = places[np.argsort(apart, kind="stable")[:most]]
    return int(best[int(rng.integers(len(best)))])
