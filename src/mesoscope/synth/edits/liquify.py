"""Smooth local warps of eyes, nose, mouth, jaw, chin and brows, as Photoshop's Liquify.

Each stroke has a displacement field with compact support, ``(1 - r²)²`` within its radius and 0
outside, like the brushes of such tools (Gustafsson 1993, *Interactive Image Warping*, section 4.4,
with another profile). The fields are summed, and the picture is resampled once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mesoscope.synth.edits.anatomy import anatomy
from mesoscope.synth.edits.recipe import FULL, LiquifyKeys, Span
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import Region, bounding_region, clip_mask, full_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.edits.anatomy import Anatomy, Points
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Json, Pixels

_KEYS = LiquifyKeys()
MOVES = ("eyes", "eye", "nose", "mouth", "smile", "jaw", "chin", "brows")
_BLOAT_PEAK = 0.2862  # max of r (1 - r²)²: displacement of a bloat of strength 1 and radius 1
_NO_MAP = np.empty(0, np.float32)  # OpenCV's second map, not needed for one map of (x, y)
_STEEPEST = 0.45  # maximum slope of a push; at 1 the picture would fold
# Limits of a bloat's strength s at its centre, where the magnification is 1 / (1 - s).
_BLOATED, _PINCHED = 0.32, -0.45


class _Move(NamedTuple):
    """One stroke: a push along ``way``, or a bloat or pinch about the centre."""

    centre: Points  # (2,) px
    radius_px: float
    way: Points  # (2,) px: displacement of a push; (0, 0) for a bloat
    bloat: float  # maximum displacement in px; negative for a pinch
    along: Points | None  # (2,) unit vector: direction of a one-dimensional bloat


def liquify(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    keys: LiquifyKeys = _KEYS, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Warp parts of a face.

    The twin is resampled by the same neutral sub-pixel warp as the unchanged part of the forgery,
    so that resampling is no cue.

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
    share = strength.draw(rng, keys.displacement_min, keys.displacement_max)
    moves, records = _moves(face, rng, share * face.width_px, keys.moves_most)
    region, field, reach = _field(moves, pixels.shape)
    longest = float(np.hypot(field[..., 0], field[..., 1]).max(initial=0))
    if longest > share * face.width_px:  # bound the sum of overlapping strokes
        field *= share * face.width_px / longest
    share = min(share, longest / face.width_px)
    numbers: dict[str, Json] = {"displacement": round(share, 5), "moves": records}
    neutral, numbers["neutral"] = _neutral(pixels.shape, rng, keys.neutral_px)
    twin = pixels if neutral is None else _resampled(pixels, neutral)
    if region.empty:
        return Forgery(twin, twin, np.zeros(pixels.shape[:2], np.float32), "liquify", numbers)
    grid = _grid(region) if neutral is None else neutral[region.slices]
    moved = _resampled(pixels, grid - field)
    # The centre of a bloat is not displaced, but its surroundings are.
    distance = np.maximum(np.hypot(field[..., 0], field[..., 1]), reach)
    # The mask rises from 0 at 0.05 pixels, below rounding, to 1 at 0.5 pixels.
    changed = clip_mask(np.asarray((distance - 0.05) / 0.45, np.float32))
    forged = twin.copy()
    part = forged[region.slices]
    part[changed > 0] = moved[changed > 0]
    return Forgery(forged, twin, full_mask(changed, region, pixels.shape), "liquify", numbers)


def neutral_warp(pixels: Pixels, rng: np.random.Generator, *, keys: LiquifyKeys = _KEYS) -> Pixels:
    """Resample a real picture as the twins of :func:`liquify`."""
    grid, _ = _neutral(pixels.shape, rng, keys.neutral_px)
    return pixels if grid is None else _resampled(pixels, grid)


def _moves(
    face: Anatomy, rng: np.random.Generator, longest_px: float, most: int
) -> tuple[list[_Move], list[Json]]:
    """Draw the strokes, mostly symmetric ones; also return their parameters."""
    count = int(rng.integers(1, most + 1))
    kinds = rng.permutation(MOVES)
    moves: list[_Move] = []
    records: list[Json] = []
    for place, kind in enumerate(kinds[:count]):
        # The first stroke is the strongest, so that the drawn displacement is reached.
        far = longest_px * (1.0 if place == 0 else rng.uniform(0.4, 1.0))
        sign = 1.0 if rng.random() < 0.6 else -1.0
        moves += _strokes(str(kind), face, rng, far * sign)
        records.append({"part": str(kind), "share": round(far * sign / face.width_px, 5)})
    return moves, records


def _strokes(kind: str, face: Anatomy, rng: np.random.Generator, far: float) -> list[_Move]:
    """Return the strokes of one kind; ``far`` > 0 enlarges, lifts or slims, < 0 the opposite."""
    right = face.across / np.hypot(*face.across)
    down = face.down / np.hypot(*face.down)
    size = float(rng.uniform(0.85, 1.2)) * face.width_px
    eyes, nose, corners = face.five[:2], face.five[2], face.five[3:]
    one_way = rng.random() < 0.55

    def push(at: Points, radius: float, way: Points) -> _Move:
        return _Move(at, radius * size, way * far, 0.0, None)

    def bloat(at: Points, radius: float, along: Points | None = None) -> _Move:
        return _Move(at, radius * size, np.zeros(2), far, along)

    base = nose + 0.05 * face.width_px * down
    return {
        "eyes": [bloat(eye, 0.23) for eye in eyes],
        "eye": [bloat(eyes[int(one_way)], 0.23)],
        "nose": [bloat(base, 0.24, right) if one_way else push(base, 0.26, down)],
        "mouth": [bloat(corners.mean(0), 0.3, right if one_way else None)],
        "smile": [
            push(corner, 0.2, side * 0.5 * right - 0.85 * down)
            for corner, side in zip(corners, (-1.0, 1.0), strict=True)
        ],
        "jaw": [push(face.at(side * 0.82, 1.15), 0.34, -side * right) for side in (-1.0, 1.0)],
        "chin": [push(face.at(0, 1.65), 0.34, -down)],
        "brows": [push(eye - 0.33 * face.down, 0.2, -down) for eye in eyes],
    }[kind]


def _field(
    moves: list[_Move], shape: tuple[int, ...]
) -> tuple[Region, NDArray[np.float32], NDArray[np.float32]]:
    """Return the region of all strokes, the sum of their displacements and their reach.

    Shapes are ``(h, w, 2)`` and ``(h, w)``, in pixels.
    """
    spans = [np.stack([m.centre - m.radius_px, m.centre + m.radius_px]) for m in moves]
    region = bounding_region(np.concatenate(spans), shape, pad_px=1)
    width, height = region.size
    total = np.zeros((max(height, 0), max(width, 0), 2), np.float32)
    reach = np.zeros(total.shape[:2], np.float32)
    for move, span in zip(moves, spans, strict=True):
        part = bounding_region(span, shape, pad_px=1)
        if part.empty:
            continue
        offset = (_grid(part) - move.centre.astype(np.float32)) / np.float32(move.radius_px)
        weight = np.clip(1 - (offset**2).sum(2), 0, 1) ** 2  # (h, w)
        inside = (
            slice(part.y1 - region.y1, part.y2 - region.y1),
            slice(part.x1 - region.x1, part.x2 - region.x1),
        )
        stroke = _stroke(move, offset, weight)
        total[inside] += stroke
        peak = np.hypot(stroke[..., 0], stroke[..., 1]).max()
        reach[inside] = np.maximum(reach[inside], weight * peak)
    return region, total, reach


def _stroke(
    move: _Move, offset: NDArray[np.float32], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return a stroke's displacement, ``(h, w, 2)`` px, with a slope that does not fold."""
    if not move.bloat:
        limit = _STEEPEST * move.radius_px / 1.54  # 1.54: steepest slope of (1 - r²)²
        length = max(float(np.hypot(*move.way)), 1e-9)
        way = (move.way * min(1.0, limit / length)).astype(np.float32)
        return np.asarray(weight[..., None] * way, np.float32)
    if move.along is not None:
        along = move.along.astype(np.float32)
        offset = (offset @ along)[..., None] * along
    strength = np.clip(move.bloat / (_BLOAT_PEAK * move.radius_px), _PINCHED, _BLOATED)
    return np.asarray(offset * (weight * strength * move.radius_px)[..., None], np.float32)


def _neutral(
    shape: tuple[int, ...], rng: np.random.Generator, largest_px: float
) -> tuple[NDArray[np.float32] | None, Json]:
    """Return the source coordinates of a sub-pixel translation, rotation and scaling."""
    shift = rng.uniform(0.25, 0.75, 2) * rng.choice([-1.0, 1.0], 2) * largest_px
    turn, scale = rng.uniform(-1, 1, 2)
    if largest_px <= 0:
        return None, None
    height, width = shape[:2]
    half = max(height, width) / 2
    turn, scale = 0.25 * largest_px * turn / half, 0.25 * largest_px * scale / half
    grid = _grid(Region(0, 0, width, height))
    x, y = grid[..., 0] - width / 2, grid[..., 1] - height / 2
    grid[..., 0] += (shift[0] + scale * x - turn * y).astype(np.float32)
    grid[..., 1] += (shift[1] + turn * x + scale * y).astype(np.float32)
    numbers: Json = {
        "shift_px": [round(float(v), 4) for v in shift],
        "turn_rad": round(float(turn), 7),
        "scale": round(1 + float(scale), 7),
    }
    return grid, numbers


def _grid(region: Region) -> NDArray[np.float32]:
    """Return the coordinates ``(x, y)`` of a region's pixels, ``(h, w, 2)``."""
    width, height = region.size
    grid = np.empty((height, width, 2), np.float32)
    grid[..., 0] = np.arange(region.x1, region.x2, dtype=np.float32)
    grid[..., 1] = np.arange(region.y1, region.y2, dtype=np.float32)[:, None]
    return grid


def _resampled(pixels: Pixels, places: NDArray[np.float32]) -> Pixels:
    picture = cv2.remap(pixels, places, _NO_MAP, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(picture, np.uint8)
