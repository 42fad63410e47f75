"""The clone stamp and the healing brush: a patch of skin copied over another with a soft edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.synth.edits.anatomy import anatomy, drawn, region_of, skin
from mesoscope.synth.edits.canvas import Canvas, blurred
from mesoscope.synth.edits.keys import FULL, CloneKeys, Span
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.masks import Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.edits.anatomy import Anatomy, Points
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Json, Pixels

_KEYS = CloneKeys()
_TRIED = 12  # sources from which the best is taken


def clone(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: CloneKeys = _KEYS, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Copy patches of a face's skin onto other places of it.

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
    within, where = skin(pixels, face)
    rows, columns = np.nonzero(where > 0.5 * where.max(initial=0))
    points = np.stack([columns + within.x1, rows + within.y1], 1)  # (N, 2)
    if not len(points):
        points = np.rint(face.five.clip(0, np.array(pixels.shape[1::-1]) - 1)).astype(int)
    canvas = Canvas(pixels)
    told: list[Json] = []
    for _ in range(int(rng.integers(1, keys.stamps_most + 1))):
        size = strength.draw(rng, keys.size_min, keys.size_max) * face.width_px
        target, source = _pair(canvas.pixels, points, size, face, rng)
        heal = bool(rng.random() < keys.heal)
        _stamp(canvas, target, source, size, face, rng, heal=heal)
        told.append({
            "to": [int(v) for v in target], "from": [int(v) for v in source],
            "size": round(size / face.width_px, 5), "heal": heal,
        })  # fmt: skip
    return canvas.forgery("clone", {"stamps": told})


def _pair(
    pixels: Pixels, points: NDArray[np.int64], size: float, face: Anatomy, rng: np.random.Generator
) -> tuple[Points, Points]:
    """A place and one nearby that looks much like it, as a retoucher picks it."""
    target = points[rng.integers(len(points))]
    tried = points[rng.integers(len(points), size=_TRIED)]
    far = np.hypot(*(tried - target).T)
    # Closer than its own size a patch would copy itself; far away skin differs.
    fits = np.abs(np.clip(far, 0.9 * size, 0.35 * face.width_px) - far) / face.width_px
    colours = pixels[tried[:, 1], tried[:, 0]].astype(np.float64)
    apart = np.abs(colours - pixels[target[1], target[0]]).mean(1) / 255
    return target, tried[int(np.argmin(4 * fits + apart))]


def _stamp(
    canvas: Canvas, target: Points, source: Points, size: float, face: Anatomy,
    rng: np.random.Generator, *, heal: bool,
) -> None:  # fmt: skip
    pixels = canvas.pixels
    scale = size / 2 / np.array([np.hypot(*face.across), np.hypot(*face.down)])
    outline = face.oval(np.asarray(target, float), scale[0], scale[1], rng=rng, bends=0.2)
    soft_px = float(np.clip(rng.uniform(0.08, 0.22) * size, 0.5, 12))
    region = region_of(outline, pixels.shape, pad_px=3 * soft_px + 1)
    step = np.asarray(source - target, int)
    # Where the copied place would lie beyond the border, there is nothing to copy.
    height, width = pixels.shape[:2]
    region = Region(
        max(region.x1, -step[0]), max(region.y1, -step[1]),
        min(region.x2, width - step[0]), min(region.y2, height - step[1]),
    )  # fmt: skip
    if region.empty:
        return
    from_there = Region(
        region.x1 + step[0], region.y1 + step[1], region.x2 + step[0], region.y2 + step[1]
    )
    patch = pixels[from_there.slices].astype(np.float32)
    under = pixels[region.slices].astype(np.float32)
    share = drawn([outline], region, soft_px=soft_px)
    if heal:  # grain from there, light from here
        wide = max(1.0, 0.5 * size)
        patch += blurred(under, wide) - blurred(patch, wide)
    canvas.lay(region, patch, share)
