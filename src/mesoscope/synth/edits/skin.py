"""Edits of skin: cloned and healed, painted out, made smooth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.synth.edits.anatomy import (
    LEAST_WIDTH_PX,
    Canvas,
    anatomy,
    blurred,
    drawn,
    region_of,
    skin,
)
from mesoscope.synth.edits.recipe import FULL, CloneKeys, InpaintKeys, RetouchKeys, Span
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import Region, clean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.edits.anatomy import Anatomy, Points
    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.types import Json, Pixels

    Patch = NDArray[np.float32]


_CLONE = CloneKeys()
_TRIED = 12  # sources from which the best is taken


def clone(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: CloneKeys = _CLONE, strength: Span = FULL,
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


_INPAINT = InpaintKeys()


def inpaint(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: InpaintKeys = _INPAINT, strength: Span = FULL,
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


_RETOUCH = RetouchKeys()
METHODS = ("frequency", "bilateral", "guided")


def retouch(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: RetouchKeys = _RETOUCH, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Smooth a face's skin; eyes, brows, mouth and hair stay.

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
    amount = strength.draw(rng, keys.amount_min, keys.amount_max)
    method = METHODS[int(rng.integers(len(METHODS)))]
    width = rng.uniform(0.018, 0.035)  # of what is smoothed away, in face widths
    grain = float(rng.uniform(0.5, 2.5)) if rng.random() < keys.grain else 0.0
    numbers: dict[str, Json] = {
        "method": method, "amount": round(amount, 5), "width": round(width, 5),
        "grain": round(grain, 3),
    }  # fmt: skip
    patch = pixels[region.slices]
    smooth = _SMOOTHERS[method](patch, max(1.0, width * face.width_px))
    if grain:
        smooth = smooth + grain * rng.standard_normal(where.shape, np.float32)[:, :, None]
    canvas = Canvas(pixels)
    canvas.lay(region, smooth, where * np.float32(amount), where=where)
    return canvas.forgery("retouch", numbers)


def _frequency(patch: Pixels, sigma: float) -> Patch:
    """Blotches are the middle of three layers: it goes, and pores and form stay."""
    values = patch.astype(np.float32)
    fine, coarse = blurred(values, max(0.6, 0.18 * sigma)), blurred(values, 1.6 * sigma)
    pores = values - fine
    middle = fine - coarse
    # An edge is more than a blotch: what stands out far is kept.
    kept = np.clip((np.abs(middle).max(2, keepdims=True) - 20) / 20, 0, 1)
    return np.asarray(coarse + kept * middle + 0.45 * pores, np.float32)


def _bilateral(patch: Pixels, sigma: float) -> Patch:
    diameter = int(np.clip(2 * round(sigma) + 1, 5, 11))
    return np.asarray(cv2.bilateralFilter(patch, diameter, 42, max(2.0, sigma)), np.float32)


def _guided(patch: Pixels, sigma: float) -> Patch:
    """The picture guides itself, channel by channel (He et al. 2013, section 3)."""
    side = 2 * round(1.2 * sigma) + 1
    values = patch.astype(np.float32)
    mean = cv2.blur(values, (side, side))
    variance = np.maximum(cv2.blur(values * values, (side, side)) - mean * mean, 0)
    gain = cv2.blur(variance / (variance + np.float32(18.0**2)), (side, side))
    return np.asarray(mean + gain * (values - mean), np.float32)


_SMOOTHERS = {"frequency": _frequency, "bilateral": _bilateral, "guided": _guided}
