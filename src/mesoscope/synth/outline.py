"""Where a blend takes place: the outline of a face, made soft and irregular.

A mesh has 81 points in the order of dlib's: 0–16 the jaw from left to right in the picture, 17–26
the brows, 27–35 the nose, 36–47 the eyes, 48–67 the mouth, 68–80 the forehead. From five landmarks
it is laid out by a mean head of our own in three dimensions. Its frontal proportions are those of
anthropometry (distance of the pupils 1, from cheekbone to cheekbone 2.15, from the eyes to the chin
1.75); its depth makes the outline follow a head that is turned away, as the nose then leaves the
middle between the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.types import Json, Pixels


Points = NDArray[np.float32]  # (N, 2), (x, y) in pixels

MESH = 81
_DLIB = 68  # without the forehead
_STIFF = 0.06  # holds the depth's part of a fit back: five points say little of it
_REACH = 0.5  # distances between the eyes: how far the pull of a landmark goes
_DEEPEST = 0.9  # of the scale: a head turned by more than this shows no outline worth a guess

# The left half in the picture, and the middle: x to the right, y down, z towards the camera; the
# unit is the distance between the eyes, and the origin lies between them.
_JAW = (
    (-1.06, 0.02, -0.70), (-1.06, 0.30, -0.70), (-1.03, 0.57, -0.65), (-0.97, 0.84, -0.56),
    (-0.86, 1.10, -0.42), (-0.70, 1.34, -0.24), (-0.49, 1.55, -0.06), (-0.25, 1.69, 0.08),
    (0.0, 1.74, 0.14),
)  # fmt: skip
_BROW = (
    (-0.86, -0.22, -0.25), (-0.72, -0.34, -0.08), (-0.53, -0.38, 0.05), (-0.34, -0.35, 0.13),
    (-0.17, -0.29, 0.18),
)  # fmt: skip
_RIDGE = ((0.0, -0.02, 0.22), (0.0, 0.19, 0.33), (0.0, 0.40, 0.44), (0.0, 0.59, 0.50))
_NOSTRILS = ((-0.23, 0.72, 0.26), (-0.12, 0.76, 0.33), (0.0, 0.79, 0.36))
_EYE = (  # the left one: outer corner, upper lid, inner corner, lower lid
    (-0.69, 0.01, -0.08), (-0.57, -0.07, 0.0), (-0.43, -0.07, 0.02), (-0.31, 0.02, -0.02),
    (-0.43, 0.06, 0.02), (-0.57, 0.06, 0.0),
)  # fmt: skip
_UPPER_LIP = ((-0.40, 1.13, 0.12), (-0.25, 1.05, 0.24), (-0.09, 1.00, 0.30), (0.0, 1.02, 0.31))
_LOWER_LIP = ((-0.25, 1.24, 0.22), (-0.10, 1.29, 0.27), (0.0, 1.30, 0.28))
_INSIDE_UPPER = ((-0.34, 1.13, 0.14), (-0.10, 1.11, 0.26), (0.0, 1.11, 0.28))
_INSIDE_LOWER = ((-0.10, 1.15, 0.24), (0.0, 1.16, 0.26))
_FOREHEAD = (
    (-1.02, -0.12, -0.62), (-0.95, -0.30, -0.52), (-0.82, -0.46, -0.38), (-0.64, -0.58, -0.24),
    (-0.43, -0.66, -0.12), (-0.21, -0.70, -0.05), (0.0, -0.71, -0.03),
)  # fmt: skip

HULLS: dict[str, tuple[int, ...]] = {  # which points of a mesh span an outline
    "face": tuple(range(27)),
    "forehead": (*range(27), *range(68, 81)),
    "features": (*range(17, 27), *range(31, 68)),  # brows, eyes, nose, mouth
    "lower": (*range(3, 14), 28, *range(31, 36), *range(48, 60)),  # nose to chin
    "inner": (*range(4, 13), *range(17, 48)),  # brows to chin, without the cheeks' edges
}


def mesh(landmarks: Landmarks) -> Points:
    """A face's mesh from what is known of it.

    Args:
        landmarks: ``(5, 2)`` as in :class:`mesoscope.types.Face`, ``(68, 2)`` or ``(81, 2)`` in
            dlib's order, or ``(N, 2)`` of any points that span the face.

    Returns:
        ``(81, 2)`` for the first three, else the points themselves.

    Raises:
        OptionError: Another shape, fewer than three points, a number that is not finite, or points
            on one spot.
    """
    points = _checked(landmarks)
    if len(points) == 5:
        return _pulled(_laid_out(_FIVE, points), points)
    if len(points) == _DLIB:
        return np.concatenate([points, _laid_out(_HEAD[:_DLIB], points)[_DLIB:]])
    return points


def five_of(landmarks: Landmarks) -> Points:
    """Eye, eye, tip of the nose, corner and corner of the mouth, ``(5, 2)``.

    Raises:
        OptionError: Landmarks other than 5, 68 or 81.
    """
    points = _checked(landmarks)
    if len(points) == 5:
        return points
    if len(points) not in (_DLIB, MESH):
        raise OptionError(
            f"landmarks: {len(points)} points do not tell eyes from mouth: give 5, or 68 or 81 in "
            "dlib's order"
        )
    left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    return np.stack([left, right, points[30], points[48], points[54]])


def hull(points: Points, name: str = "face") -> Points:
    """The convex outline of a mesh or of a part of it.

    Args:
        points: As :func:`mesh` gives them; of a mesh of other points all are taken.
        name: One of :data:`HULLS`.

    Returns:
        ``(K, 2)``, in turn.
    """
    chosen = points[list(HULLS[name])] if len(points) == MESH else points
    outline = cv2.convexHull(np.ascontiguousarray(chosen, np.float32))
    return np.asarray(outline, np.float32).reshape(-1, 2)


def aligned(one: Points, other: Points) -> NDArray[np.float64]:
    """The turn, scale and shift that brings points nearest to others.

    Least squares in closed form, after Umeyama 1991, as complex numbers.

    Args:
        one: ``(N, 2)``.
        other: ``(N, 2)``.

    Returns:
        ``(2, 3)``: ``one @ m[:, :2].T + m[:, 2]`` lies near ``other``.
    """
    x, y = (np.asarray(p, np.float64) @ np.array([1, 1j]) for p in (one, other))
    x_mean, y_mean = x.mean(), y.mean()
    spread = (np.abs(x - x_mean) ** 2).sum()
    turn = (np.conj(x - x_mean) * (y - y_mean)).sum() / max(float(spread), 1e-9)
    shift = y_mean - turn * x_mean
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _checked(landmarks: Landmarks) -> Points:
    points = np.asarray(landmarks, np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise OptionError(f"landmarks: must be (N, 2) points, at least three, got {points.shape}")
    if not np.isfinite(points).all():
        raise OptionError("landmarks: all must be finite numbers")
    if float(np.ptp(points, axis=0).max()) < 1:
        raise OptionError("landmarks: all lie on one spot: give them in pixels of the picture")
    return points


def _laid_out(known: NDArray[np.float64], points: Points) -> Points:
    """The mean head, seen so that its ``known`` points lie where the picture has them.

    An affine camera, by least squares; its third column, which depth moves by, is held back.
    """
    mean, middle = known.mean(axis=0), points.mean(axis=0)
    x, y = known - mean, points - middle
    stiff = np.diag([1e-6, 1e-6, _STIFF * len(known) / 5])
    camera = np.linalg.solve(x.T @ x + stiff, x.T @ y)  # (3, 2)
    deep = float(np.hypot(*camera[2]))
    most = _DEEPEST * float(np.sqrt(abs(np.linalg.det(camera[:2]))))
    if deep > most:
        camera[2] *= most / deep
    return np.asarray((_HEAD - mean) @ camera + middle, np.float32)


def _pulled(laid: Points, five: Points) -> Points:
    """A mesh bent smoothly until its eyes, nose and mouth lie where they were found."""
    at = five_of(laid).astype(np.float64)
    reach = _REACH * max(1.0, float(np.hypot(*(five[1] - five[0]))))
    weights = np.linalg.solve(_bells(at, at, reach) + 1e-3 * np.eye(5), five - at)
    return np.asarray(laid + _bells(laid, at, reach) @ weights, np.float32)


def _bells(
    points: NDArray[np.floating], at: NDArray[np.float64], reach: float
) -> NDArray[np.float64]:
    """Gaussians of the distances, ``(N, K)``."""
    apart = ((points[:, None] - at[None]) ** 2).sum(axis=-1)
    return np.asarray(np.exp(-apart / (2 * reach**2)), np.float64)


def _mirrored(half: tuple[tuple[float, float, float], ...]) -> list[tuple[float, float, float]]:
    """A half that ends in the middle, and then the other half."""
    return [*half, *((-x, y, z) for x, y, z in half[-2::-1])]


def _head() -> NDArray[np.float64]:
    """All points of the mean head, ``(81, 3)``."""
    brows = [*_BROW, *((-x, y, z) for x, y, z in _BROW[::-1])]
    # The right eye begins at its inner corner and goes on above, too.
    right_eye = [(-_EYE[i][0], *_EYE[i][1:]) for i in (3, 2, 1, 0, 5, 4)]
    upper, lower = _mirrored(_UPPER_LIP), _mirrored(_LOWER_LIP)[::-1]
    inside = [*_mirrored(_INSIDE_UPPER), *_mirrored((*_INSIDE_LOWER,))[::-1]]
    nose = [*_RIDGE, *_mirrored(_NOSTRILS)]
    every = [
        *_mirrored(_JAW), *brows, *nose, *_EYE, *right_eye, *upper, *lower, *inside,
        *_mirrored(_FOREHEAD),
    ]  # fmt: skip
    return np.array(every, np.float64)


_HEAD = _head()
_FIVE = np.stack([_HEAD[36:42].mean(0), _HEAD[42:48].mean(0), _HEAD[30], _HEAD[48], _HEAD[54]])


WORK_PX = 176  # longest side at which masks are made: they are smooth, so that more shows nothing
FAINTEST = 1 / 255  # below it, a mask of 8 bits holds nothing
_GRID = (3, 6)  # cells of the elastic field along the region
_ELASTIC = 0.035  # of the face's size: its largest pull, as a standard deviation
_BLUR = (0.008, 0.045)  # of the face's size: the two kernels' standard deviations


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of whole pixels within a picture: ``x1 ≤ x < x2``, ``y1 ≤ y < y2``."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def empty(self) -> bool:
        """Whether it has no pixel."""
        return self.x2 <= self.x1 or self.y2 <= self.y1

    @property
    def slices(self) -> tuple[slice, slice]:
        """To index ``(H, W, …)`` arrays."""
        return slice(self.y1, self.y2), slice(self.x1, self.x2)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as OpenCV asks for them."""
        return self.x2 - self.x1, self.y2 - self.y1


def region_of(outline: Points, shape: tuple[int, ...], *, pad: float) -> Region | None:
    """The rectangle about an outline, wider by ``pad`` of its size; ``None`` beside the picture."""
    height, width = shape[:2]
    low, high = outline.min(axis=0), outline.max(axis=0)
    more = pad * float((high - low).max())
    x1, y1 = (int(v) for v in np.maximum(np.floor(low - more), 0))
    x2, y2 = (int(v) for v in np.minimum(np.ceil(high + more) + 1, (width, height)))
    return Region(x1, y1, x2, y2) if x2 - x1 > 1 and y2 - y1 > 1 else None


def draw_mask(
    outline: Points, region: Region, rng: np.random.Generator, *, softest: float = 1.0
) -> tuple[Mask, dict[str, Json]]:
    """Fill an outline, bend it elastically, and blur it twice with a threshold between.

    After Shiohara & Yamasaki 2022, section 3.2: between the two blurs all that is not wholly inside
    goes, so that the first one eats into the outline and the second one spreads from there: the
    mask shrinks or grows by which of them is wider.

    Args:
        outline: ``(K, 2)`` in pixels of the picture.
        region: Where the mask is wanted.
        rng: Decides everything.
        softest: Times the widths of the blurs.

    Returns:
        ``(h, w) float32`` of the region, 0 to 1, 0 where it would be below 1/255; and the numbers.
    """
    width, height = region.size
    scale = min(1.0, WORK_PX / max(width, height))
    wide, high = max(2, round(width * scale)), max(2, round(height * scale))
    ratio = np.array([wide / width, high / height])
    places = (outline + 0.5 - (region.x1, region.y1)) * ratio - 0.5
    face_px = max(1.0, float(np.ptp(places, axis=0).max()))
    filled = np.zeros((high, wide), np.uint8)
    cv2.fillPoly(filled, [np.rint(places * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    cells = int(rng.integers(_GRID[0], _GRID[1] + 1))
    pull = float(rng.uniform(0.3, 1)) * _ELASTIC
    bent = _bent(filled, rng.normal(0, pull * face_px, (2, cells, cells)))
    first, second = (float(v) for v in rng.uniform(*_BLUR, 2) * softest)
    inner = cv2.GaussianBlur(bent, (0, 0), max(0.4, first * face_px))
    inner = ((inner >= 250) * np.uint8(255)).astype(np.uint8)
    soft = cv2.GaussianBlur(inner.astype(np.float32), (0, 0), max(0.6, second * face_px)) / 255
    if (wide, high) != (width, height):
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    mask = clean(np.asarray(soft, np.float32))
    numbers: dict[str, Json] = {
        "elastic": {"cells": cells, "pull": round(pull, 4)},
        "blurs": [round(first, 4), round(second, 4)],
    }
    return mask, numbers


def clean(mask: Mask) -> Mask:
    """A mask within 0 to 1, 0 where an 8-bit one would hold nothing."""
    return np.asarray(np.where(mask < FAINTEST, 0, np.minimum(mask, 1)), np.float32)


def placed(mask: Mask, region: Region, shape: tuple[int, ...]) -> Mask:
    """A region's mask within one of the whole picture."""
    whole = np.zeros(shape[:2], np.float32)
    whole[region.slices] = mask
    return whole


def mixed(picture: Pixels, region: Region, patch: Pixels, share: Mask) -> Pixels:
    """A copy of the picture with a patch mixed in; where the share is 0, not a bit changes.

    Args:
        picture: ``(H, W, 3) uint8``.
        region: Where the patch lies.
        patch: ``(h, w, 3) uint8``.
        share: ``(h, w)``, of the patch, 0 to 1.
    """
    result: Pixels = picture.copy()
    under = picture[region.slices].astype(np.float32)
    over = under + share[:, :, None] * (patch - under)
    result[region.slices] = np.asarray(over + np.float32(0.5), np.uint8)
    return result


def _bent(filled: NDArray[np.uint8], field: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A shape pulled about by a smooth field, given on a coarse grid in pixels."""
    high, wide = filled.shape
    pulls = [
        cv2.resize(part.astype(np.float32), (wide, high), interpolation=cv2.INTER_CUBIC)
        for part in field
    ]
    x = pulls[0] + np.arange(wide, dtype=np.float32)
    y = pulls[1] + np.arange(high, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(filled, x, y, cv2.INTER_LINEAR, borderValue=0), np.uint8)
