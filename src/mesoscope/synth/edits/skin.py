"""Edits of skin: cloning and healing, inpainting, smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.synth.edits.anatomy import (
    MIN_WIDTH_PX,
    Canvas,
    anatomy,
    blurred,
    fill_outlines,
    skin_mask,
)
from mesoscope.synth.edits.recipe import FULL, CloneKeys, InpaintKeys, RetouchKeys, Span
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import Region, bounding_region, clip_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.edits.anatomy import Anatomy, Points
    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.types import Json, Pixels

    Patch = NDArray[np.float32]


_CLONE = CloneKeys()
_TRIED = 12  # number of candidate sources


def clone(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: CloneKeys = _CLONE, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Copy patches of a face's skin to other places of the skin.

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
    region, skin = skin_mask(pixels, face)
    rows, columns = np.nonzero(skin > 0.5 * skin.max(initial=0))
    points = np.stack([columns + region.x1, rows + region.y1], 1)  # (N, 2)
    if not len(points):
        points = np.rint(face.five.clip(0, np.array(pixels.shape[1::-1]) - 1)).astype(int)
    canvas = Canvas(pixels)
    stamps: list[Json] = []
    for _ in range(int(rng.integers(1, keys.stamps_most + 1))):
        size = strength.draw(rng, keys.size_min, keys.size_max) * face.width_px
        target, source = _pair(canvas.pixels, points, size, face, rng)
        heal = bool(rng.random() < keys.heal)
        _stamp(canvas, target, source, size, face, rng, heal=heal)
        stamps.append({
            "to": [int(v) for v in target], "from": [int(v) for v in source],
            "size": round(size / face.width_px, 5), "heal": heal,
        })  # fmt: skip
    return canvas.forgery("clone", {"stamps": stamps})


def _pair(
    pixels: Pixels, points: NDArray[np.int64], size: float, face: Anatomy, rng: np.random.Generator
) -> tuple[Points, Points]:
    """Draw a target and a nearby source of similar colour."""
    target = points[rng.integers(len(points))]
    sources = points[rng.integers(len(points), size=_TRIED)]
    distance = np.hypot(*(sources - target).T)
    # Nearer than its size a patch would overlap its copy; skin farther away differs.
    clipped = np.clip(distance, 0.9 * size, 0.35 * face.width_px)
    penalty = np.abs(clipped - distance) / face.width_px
    colours = pixels[sources[:, 1], sources[:, 0]].astype(np.float64)
    difference = np.abs(colours - pixels[target[1], target[0]]).mean(1) / 255
    return target, sources[int(np.argmin(4 * penalty + difference))]


def _stamp(
    canvas: Canvas, target: Points, source: Points, size: float, face: Anatomy,
    rng: np.random.Generator, *, heal: bool,
) -> None:  # fmt: skip
    pixels = canvas.pixels
    scale = size / 2 / np.array([np.hypot(*face.across), np.hypot(*face.down)])
    outline = face.oval(np.asarray(target, float), scale[0], scale[1], rng=rng, bends=0.2)
    soft_px = float(np.clip(rng.uniform(0.08, 0.22) * size, 0.5, 12))
    region = bounding_region(outline, pixels.shape, pad_px=3 * soft_px + 1)
    step = np.asarray(source - target, int)
    # Clip the region so that the source is within the picture.
    height, width = pixels.shape[:2]
    region = Region(
        max(region.x1, -step[0]), max(region.y1, -step[1]),
        min(region.x2, width - step[0]), min(region.y2, height - step[1]),
    )  # fmt: skip
    if region.empty:
        return
    source_region = Region(
        region.x1 + step[0], region.y1 + step[1], region.x2 + step[0], region.y2 + step[1]
    )
    patch = pixels[source_region.slices].astype(np.float32)
    under = pixels[region.slices].astype(np.float32)
    alpha = fill_outlines([outline], region, soft_px=soft_px)
    if heal:  # grain of the source, light of the target
        wide = max(1.0, 0.5 * size)
        patch += blurred(under, wide) - blurred(patch, wide)
    canvas.blend(region, patch, alpha)


_INPAINT = InpaintKeys()


def inpaint(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: InpaintKeys = _INPAINT, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Remove spots of the skin, such as moles, and sometimes a line, by inpainting.

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
    region, skin = skin_mask(pixels, face)
    patch = np.ascontiguousarray(pixels[region.slices])
    count = 1 + int(strength.draw(rng, 0, keys.spots_most - 1) + rng.random())
    places = _spots(patch, skin, min(count, keys.spots_most), face, rng)
    method, name = (
        (cv2.INPAINT_TELEA, "telea") if rng.random() < 0.6 else (cv2.INPAINT_NS, "navier-stokes")
    )
    grain = bool(rng.random() < 0.4)
    mask = np.zeros_like(skin)
    filled = patch.astype(np.float32)
    removed: list[Json] = []
    marks = [rng.random() < keys.mark] + [False] * (len(places) - 1)
    for place, mark in zip(places, marks, strict=False):
        size = strength.draw(rng, keys.size_min, keys.size_max) * face.width_px
        hole, at = _hole(skin.shape, place, max(1.2, size / 2), face, rng, long=bool(mark))
        if at.empty:
            continue
        part = at.slices
        healed = cv2.inpaint(patch[part], hole, 3, method).astype(np.float32)
        if grain:
            healed += 1.5 * rng.standard_normal(hole.shape, np.float32)[:, :, None]
        soft = clip_mask(np.float32(cv2.GaussianBlur(hole, (0, 0), 0.7)) / 255)
        filled[part] += soft[:, :, None] * (healed - filled[part])
        mask[part] = np.maximum(mask[part], soft)
        removed.append({
            "x": int(place[0]) + region.x1, "y": int(place[1]) + region.y1,
            "size": round(size / face.width_px, 5), "mark": bool(mark),
        })  # fmt: skip
    canvas = Canvas(pixels)
    canvas.blend(region, filled, (mask > 0).astype(np.float32), mask=mask)
    numbers: dict[str, Json] = {"method": name, "grain": grain, "spots": removed}
    return canvas.forgery("inpaint", numbers)


def _spots(
    patch: Pixels, skin: Mask, count: int, face: Anatomy, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Return the most salient of random places on the skin, ``(x, y)`` in the patch."""
    candidates = np.argwhere(skin > 0.5 * skin.max(initial=0))
    if not len(candidates):
        height, width = skin.shape
        return [(width // 2, height // 2)] if height and width else []
    grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = (blurred(grey, s * face.width_px) for s in (0.008, 0.03))
    salience = np.abs(fine - coarse)
    chosen = candidates[rng.integers(len(candidates), size=8 * count)]
    best = chosen[np.argsort(-salience[chosen[:, 0], chosen[:, 1]], kind="stable")]
    return [(int(x), int(y)) for y, x in best[:count]]


def _hole(
    shape: tuple[int, ...], place: tuple[int, int], radius_px: float, face: Anatomy,
    rng: np.random.Generator, *, long: bool,
) -> tuple[np.ndarray, Region]:  # fmt: skip
    """Draw the shape to inpaint, ``(h, w) uint8``, and its region in the patch."""
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
    thick = int(np.clip(radius_px, 2, MIN_WIDTH_PX))
    cv2.line(hole, ends[0], ends[1], 255, thick, cv2.LINE_8)


_RETOUCH = RetouchKeys()
METHODS = ("frequency", "bilateral", "guided")


def retouch(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: RetouchKeys = _RETOUCH, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Smooth a face's skin, without eyes, brows, mouth and hair.

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
    region, skin = skin_mask(pixels, face)
    amount = strength.draw(rng, keys.amount_min, keys.amount_max)
    method = METHODS[int(rng.integers(len(METHODS)))]
    width = rng.uniform(0.018, 0.035)  # scale of the smoothing, in face widths
    grain = float(rng.uniform(0.5, 2.5)) if rng.random() < keys.grain else 0.0
    numbers: dict[str, Json] = {
        "method": method, "amount": round(amount, 5), "width": round(width, 5),
        "grain": round(grain, 3),
    }  # fmt: skip
    patch = pixels[region.slices]
    smooth = _SMOOTHERS[method](patch, max(1.0, width * face.width_px))
    if grain:
        smooth = smooth + grain * rng.standard_normal(skin.shape, np.float32)[:, :, None]
    canvas = Canvas(pixels)
    canvas.blend(region, smooth, skin * np.float32(amount), mask=skin)
    return canvas.forgery("retouch", numbers)


def _frequency(patch: Pixels, sigma: float) -> Patch:
    """Frequency separation: remove the middle of three bands, which has the blotches."""
    values = patch.astype(np.float32)
    fine, coarse = blurred(values, max(0.6, 0.18 * sigma)), blurred(values, 1.6 * sigma)
    pores = values - fine
    middle = fine - coarse
    # Edges have a larger amplitude than blotches and are kept.
    kept = np.clip((np.abs(middle).max(2, keepdims=True) - 20) / 20, 0, 1)
    return np.asarray(coarse + kept * middle + 0.45 * pores, np.float32)


def _bilateral(patch: Pixels, sigma: float) -> Patch:
    diameter = int(np.clip(2 * round(sigma) + 1, 5, 11))
    return np.asarray(cv2.bilateralFilter(patch, diameter, 42, max(2.0, sigma)), np.float32)


def _guided(patch: Pixels, sigma: float) -> Patch:
    """Guided filter with the picture as its guide, per channel (He et al. 2013, section 3)."""
    side = 2 * round(1.2 * sigma) + 1
    values = patch.astype(np.float32)
    mean = cv2.blur(values, (side, side))
    variance = np.maximum(cv2.blur(values * values, (side, side)) - mean * mean, 0)
    gain = cv2.blur(variance / (variance + np.float32(18.0**2)), (side, side))
    return np.asarray(mean + gain * (values - mean), np.float32)


_SMOOTHERS = {"frequency": _frequency, "bilateral": _bilateral, "guided": _guided}
