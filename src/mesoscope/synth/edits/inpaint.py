"""Spots, and larger marks, painted out from their surroundings (``cv2.inpaint``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.synth.edits.anatomy import LEAST_WIDTH_PX, anatomy, skin
from mesoscope.synth.edits.canvas import Canvas, blurred
from mesoscope.synth.edits.keys import FULL, InpaintKeys, Span
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.masks import Region, clean

if TYPE_CHECKING:
    from mesoscope.synth.edits.anatomy import Anatomy, Points
    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.types import Json, Pixels

_KEYS = InpaintKeys()


def inpaint(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: InpaintKeys = _KEYS, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Remove what stands out from the skin, such as moles and spots, and here and there a line.

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
    patch = np.ascontiguousarray(pixels[region.slices])
    count = 1 + int(strength.draw(rng, 0, keys.spots_most - 1) + rng.random())
    places = spots(patch, where, min(count, keys.spots_most), face, rng)
    method, name = (
        (cv2.INPAINT_TELEA, "telea") if rng.random() < 0.6 else (cv2.INPAINT_NS, "navier-stokes")
    )
    grain = bool(rng.random() < 0.4)
    share = np.zeros_like(where)
    filled = patch.astype(np.float32)
    told: list[Json] = []
    marks = [rng.random() < keys.mark] + [False] * (len(places) - 1)
    for place, mark in zip(places, marks, strict=False):
        size = strength.draw(rng, keys.size_min, keys.size_max) * face.width_px
        hole, at = _hole(where.shape, place, max(1.2, size / 2), face, rng, long=bool(mark))
        if at.empty:
            continue
        here = at.slices
        healed = cv2.inpaint(patch[here], hole, 3, method).astype(np.float32)
        if grain:
            healed += 1.5 * rng.standard_normal(hole.shape, np.float32)[:, :, None]
        soft = clean(np.float32(cv2.GaussianBlur(hole, (0, 0), 0.7)) / 255)
        filled[here] += soft[:, :, None] * (healed - filled[here])
        share[here] = np.maximum(share[here], soft)
        told.append({
            "x": int(place[0]) + region.x1, "y": int(place[1]) + region.y1,
            "size": round(size / face.width_px, 5), "mark": bool(mark),
        })  # fmt: skip
    canvas = Canvas(pixels)
    canvas.lay(region, filled, (share > 0).astype(np.float32), where=share)
    numbers: dict[str, Json] = {"method": name, "grain": grain, "spots": told}
    return canvas.forgery("inpaint", numbers)


def spots(
    patch: Pixels, where: Mask, count: int, face: Anatomy, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Places to heal, ``(x, y)`` in the patch: those that stand out most, among random ones."""
    near = np.argwhere(where > 0.5 * where.max(initial=0))
    if not len(near):
        height, width = where.shape
        return [(width // 2, height // 2)] if height and width else []
    grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = (blurred(grey, s * face.width_px) for s in (0.008, 0.03))
    odd = np.abs(fine - coarse)
    tried = near[rng.integers(len(near), size=8 * count)]
    best = tried[np.argsort(-odd[tried[:, 0], tried[:, 1]], kind="stable")]
    return [(int(x), int(y)) for y, x in best[:count]]


def _hole(
    shape: tuple[int, ...], place: tuple[int, int], radius_px: float, face: Anatomy,
    rng: np.random.Generator, *, long: bool,
) -> tuple[np.ndarray, Region]:  # fmt: skip
    """What is painted out, ``(h, w) uint8``, and where it lies in the patch."""
    centre = np.asarray(place, np.float64)
    half = np.zeros(2)
    if long:
        way = rng.uniform(0, np.pi)
        half = rng.uniform(0.05, 0.12) * face.width_px * np.array([np.cos(way), np.sin(way)])
    reach = np.abs(half) + radius_px + 6
    height, width = shape
    low = np.clip(np.floor(centre - reach), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(centre + reach) + 1, 0, (width, height)).astype(int)
    at = Region(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    if at.empty or min(at.size) < 3:
        return np.zeros((0, 0), np.uint8), Region(0, 0, 0, 0)
    hole = np.zeros(at.size[::-1], np.uint8)
    if long:
        _line(hole, centre - low, half, radius_px)
    else:
        axes = np.maximum(np.rint(radius_px * rng.uniform(0.8, 1.2, 2) * 16), 8).astype(int)
        middle = tuple(int(v) for v in np.rint((centre - low) * 16))
        turn = float(rng.uniform(0, 180))
        points = cv2.ellipse2Poly((0, 0), (int(axes[0]), int(axes[1])), int(turn), 0, 360, 15)
        cv2.fillPoly(hole, [points + np.asarray(middle, np.int32)], 255, cv2.LINE_8, 4)
    return hole, at


def _line(hole: np.ndarray, centre: Points, half: Points, radius_px: float) -> None:
    ends = [tuple(int(v) for v in np.rint(end)) for end in (centre - half, centre + half)]
    thick = int(np.clip(radius_px, 2, LEAST_WIDTH_PX))
    cv2.line(hole, ends[0], ends[1], 255, thick, cv2.LINE_8)
