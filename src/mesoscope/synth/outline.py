"""The mask of a blend: the outline of a face, deformed and blurred.

A mesh has 81 points in the order of dlib: 0–16 the jaw from left to right in the picture, 17–26 the
brows, 27–35 the nose, 36–47 the eyes, 48–67 the mouth, 68–80 the forehead. From five landmarks it
is fitted by a three-dimensional mean head. Its frontal proportions are anthropometric (distance of
the pupils 1, width at the cheekbones 2.15, from the eyes to the chin 1.75). Its depth lets the
outline follow a rotated head, where the nose is not centred between the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import OptionError, SourceUnsuitable

if TYPE_CHECKING:
    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.types import Json, Pixels


Points = NDArray[np.float32]  # (N, 2), (x, y) in pixels

MESH = 81
MIN_FACE_PX = 12  # shorter side of a face that can be forged
_DLIB = 68  # points of dlib's common model, without the forehead
_RIDGE_PENALTY = 0.06  # regularises the depth component, which five points hardly determine
_REACH = 0.5  # standard deviation of the warp's kernels, in distances between the eyes
_MAX_DEPTH = 0.9  # limit of the depth component relative to the scale: larger rotations are unclear

# The left half in the picture, and the middle: x to the right, y down, z towards the camera. The
# unit is the distance between the eyes; the origin is between them.
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

HULLS: dict[str, tuple[int, ...]] = {  # points of a mesh whose convex hull is the outline
    "face": tuple(range(27)),
    "forehead": (*range(27), *range(68, 81)),
    "features": (*range(17, 27), *range(31, 68)),  # brows, eyes, nose, mouth
    "lower": (*range(3, 14), 28, *range(31, 36), *range(48, 60)),  # nose to chin
    "inner": (*range(4, 13), *range(17, 48)),  # brows to chin, without the cheeks' edges
}


def mesh(landmarks: Landmarks) -> Points:
    """Return a face's mesh from its landmarks.

    Args:
        landmarks: ``(5, 2)`` as in :class:`mesoscope.types.Face`, ``(68, 2)`` or ``(81, 2)`` in
            dlib's order, or ``(N, 2)`` of any points whose hull is the face.

    Returns:
        ``(81, 2)`` for 5, 68 or 81 landmarks; other points unchanged.

    Raises:
        OptionError: The shape is wrong, there are fewer than three points, a value is not finite,
            or all points coincide.
    """
    points = _checked(landmarks)
    if len(points) == 5:
        return _warp_to_landmarks(_fit_head(_FIVE, points), points)
    if len(points) == _DLIB:
        return np.concatenate([points, _fit_head(_HEAD[:_DLIB], points)[_DLIB:]])
    return points


def five_points(landmarks: Landmarks) -> Points:
    """Return left eye, right eye, nose tip, left and right corner of the mouth, ``(5, 2)``.

    Raises:
        OptionError: There are not 5, 68 or 81 landmarks, or they are not valid.
    """
    points = _checked(landmarks)
    if len(points) == 5:
        return points
    if len(points) not in (_DLIB, MESH):
        raise OptionError(
            f"landmarks: the order of {len(points)} points is unknown: give 5, or 68 or 81 in "
            "dlib's order"
        )
    left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    return np.stack([left, right, points[30], points[48], points[54]])


def hull(points: Points, name: str = "face") -> Points:
    """Return the convex hull of a mesh or of a part of it.

    Args:
        points: Result of :func:`mesh`; all points are used if there are not 81.
        name: One of :data:`HULLS`.

    Returns:
        ``(K, 2)``, in order.
    """
    chosen = points[list(HULLS[name])] if len(points) == MESH else points
    outline = cv2.convexHull(np.ascontiguousarray(chosen, np.float32))
    return np.asarray(outline, np.float32).reshape(-1, 2)


def similarity_transform(source: Points, target: Points) -> NDArray[np.float64]:
    """Return the least-squares similarity transform from one set of points to another.

    In closed form after Umeyama 1991, with complex numbers.

    Args:
        source: ``(N, 2)``.
        target: ``(N, 2)``.

    Returns:
        ``(2, 3)``: ``source @ m[:, :2].T + m[:, 2]`` approximates ``target``.
    """
    x, y = (np.asarray(p, np.float64) @ np.array([1, 1j]) for p in (source, target))
    x_mean, y_mean = x.mean(), y.mean()
    variance = (np.abs(x - x_mean) ** 2).sum()
    factor = (np.conj(x - x_mean) * (y - y_mean)).sum() / max(float(variance), 1e-9)
    shift = y_mean - factor * x_mean
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    )


def _checked(landmarks: Landmarks) -> Points:
    points = np.asarray(landmarks, np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise OptionError(f"landmarks: must be (N, 2) points, at least three, got {points.shape}")
    if not np.isfinite(points).all():
        raise OptionError("landmarks: all must be finite numbers")
    if float(np.ptp(points, axis=0).max()) < 1:
        raise OptionError("landmarks: all lie on one spot: give them in pixels of the picture")
    return points


def _fit_head(known: NDArray[np.float64], points: Points) -> Points:
    """Project the mean head so that its ``known`` points match the picture's points.

    The affine camera is fitted by least squares, with a penalty on its depth component.
    """
    mean, middle = known.mean(axis=0), points.mean(axis=0)
    x, y = known - mean, points - middle
    penalty = np.diag([1e-6, 1e-6, _RIDGE_PENALTY * len(known) / 5])
    camera = np.linalg.solve(x.T @ x + penalty, x.T @ y)  # (3, 2)
    depth = float(np.hypot(*camera[2]))
    limit = _MAX_DEPTH * float(np.sqrt(abs(np.linalg.det(camera[:2]))))
    if depth > limit:
        camera[2] *= limit / depth
    return np.asarray((_HEAD - mean) @ camera + middle, np.float32)


def _warp_to_landmarks(fitted: Points, five: Points) -> Points:
    """Warp a mesh smoothly so that its eyes, nose and mouth match five landmarks."""
    at = five_points(fitted).astype(np.float64)
    reach = _REACH * max(1.0, float(np.hypot(*(five[1] - five[0]))))
    weights = np.linalg.solve(_gaussians(at, at, reach) + 1e-3 * np.eye(5), five - at)
    return np.asarray(fitted + _gaussians(fitted, at, reach) @ weights, np.float32)


def _gaussians(
    points: NDArray[np.floating], centres: NDArray[np.float64], sigma: float
) -> NDArray[np.float64]:
    """Return Gaussians of the distances, ``(N, K)``."""
    squared = ((points[:, None] - centres[None]) ** 2).sum(axis=-1)
    return np.asarray(np.exp(-squared / (2 * sigma**2)), np.float64)


def _mirrored(half: tuple[tuple[float, float, float], ...]) -> list[tuple[float, float, float]]:
    """Append the mirrored half to a half that ends in the middle."""
    return [*half, *((-x, y, z) for x, y, z in half[-2::-1])]


def _head() -> NDArray[np.float64]:
    """Return all points of the mean head, ``(81, 3)``."""
    brows = [*_BROW, *((-x, y, z) for x, y, z in _BROW[::-1])]
    # The right eye starts at its inner corner and continues at the upper lid, as the left one.
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


WORK_PX = 176  # longest side at which masks are computed; they are smooth, so this is sufficient
FAINTEST = 1 / 255  # smallest value of an 8-bit mask
_GRID = (3, 6)  # number of grid points of the elastic field per side
_ELASTIC = 0.035  # maximum standard deviation of the elastic field, in face sizes
_BLUR = (0.008, 0.045)  # range of the blurs' standard deviations, in face sizes


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of pixels: ``x1 ≤ x < x2``, ``y1 ≤ y < y2``."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def empty(self) -> bool:
        """Whether the region has no pixels."""
        return self.x2 <= self.x1 or self.y2 <= self.y1

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index into ``(H, W, …)`` arrays."""
        return slice(self.y1, self.y2), slice(self.x1, self.x2)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in OpenCV's order."""
        return self.x2 - self.x1, self.y2 - self.y1


def bounding_region(
    points: NDArray[np.floating], shape: tuple[int, ...], *, pad_px: float
) -> Region:
    """Return the bounding box of points with a margin, clipped to the picture; may be empty."""
    low = np.floor(points.min(axis=0) - pad_px).astype(int)
    high = np.ceil(points.max(axis=0) + pad_px).astype(int) + 1
    x1, y1, x2, y2 = (int(v) for v in np.clip([*low, *high], 0, [shape[1], shape[0]] * 2))
    return Region(x1, y1, x2, y2)


def region_of(outline: Points, shape: tuple[int, ...], *, pad: float) -> Region | None:
    """Return an outline's bounding box with a margin of ``pad`` times its size.

    ``None`` if it does not overlap the picture.
    """
    pad_px = pad * float(np.ptp(outline, axis=0).max())
    region = bounding_region(outline, shape, pad_px=pad_px)
    return region if min(region.size) > 1 else None


def face_region(outline: Points, shape: tuple[int, ...], *, pad: float) -> Region:
    """Return the region of a face that is to be forged, see :func:`region_of`.

    Raises:
        SourceUnsuitable: The face is too small or outside of the picture.
    """
    region = region_of(outline, shape, pad=pad)
    return require_face(region, float(np.ptp(outline, axis=0).min()))


def require_face(region: Region | None, side_px: float) -> Region:
    """Return a face's region, unless there is none or its shorter side is too short.

    Raises:
        SourceUnsuitable: The face is too small or outside of the picture.
    """
    if region is None or side_px < MIN_FACE_PX:
        raise SourceUnsuitable(
            f"the face is smaller than {MIN_FACE_PX} pixels or outside of the picture"
        )
    return region


def draw_mask(
    outline: Points, region: Region, rng: np.random.Generator
) -> tuple[Mask, dict[str, Json]]:
    """Fill an outline, deform it elastically, and blur it twice with a threshold in between.

    Shiohara & Yamasaki 2022, section 3.2. The first blur and the threshold erode the mask, and the
    second blur dilates it, so it shrinks or grows with the ratio of the two.

    Args:
        outline: ``(K, 2)`` in pixels of the picture.
        region: Region of the mask.
        rng: Generator.

    Returns:
        Mask of the region, ``(h, w) float32``, 0 to 1, with values below 1/255 set to 0; and the
        parameters.
    """
    width, height = region.size
    scale = min(1.0, WORK_PX / max(width, height))
    wide, high = max(2, round(width * scale)), max(2, round(height * scale))
    ratio = np.array([wide / width, high / height])
    points = (outline + 0.5 - (region.x1, region.y1)) * ratio - 0.5
    face_px = max(1.0, float(np.ptp(points, axis=0).max()))
    filled = np.zeros((high, wide), np.uint8)
    cv2.fillPoly(filled, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    cells = int(rng.integers(_GRID[0], _GRID[1] + 1))
    pull = float(rng.uniform(0.3, 1)) * _ELASTIC
    deformed = _deformed(filled, rng.normal(0, pull * face_px, (2, cells, cells)))
    first, second = (float(v) for v in rng.uniform(*_BLUR, 2))
    inner = cv2.GaussianBlur(deformed, (0, 0), max(0.4, first * face_px))
    inner = ((inner >= 250) * np.uint8(255)).astype(np.uint8)
    soft = cv2.GaussianBlur(inner.astype(np.float32), (0, 0), max(0.6, second * face_px)) / 255
    if (wide, high) != (width, height):
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    mask = clip_mask(np.asarray(soft, np.float32))
    numbers: dict[str, Json] = {
        "elastic": {"cells": cells, "pull": round(pull, 4)},
        "blurs": [round(first, 4), round(second, 4)],
    }
    return mask, numbers


def clip_mask(mask: Mask) -> Mask:
    """Clip a mask to 0..1, with values that an 8-bit mask cannot hold set to 0."""
    return np.asarray(np.where(mask < FAINTEST, 0, np.minimum(mask, 1)), np.float32)


def full_mask(mask: Mask, region: Region, shape: tuple[int, ...]) -> Mask:
    """Extend a region's mask to the whole picture, with zeros."""
    full = np.zeros(shape[:2], np.float32)
    full[region.slices] = mask
    return full


def alpha_blend(picture: Pixels, region: Region, patch: Pixels, alpha: Mask) -> Pixels:
    """Blend a patch into a copy of a picture; pixels with alpha 0 are unchanged.

    Args:
        picture: ``(H, W, 3) uint8``.
        region: Position of the patch.
        patch: ``(h, w, 3) uint8``.
        alpha: Opacity of the patch, ``(h, w)``, 0 to 1.
    """
    result: Pixels = picture.copy()
    under = picture[region.slices].astype(np.float32)
    over = under + alpha[:, :, None] * (patch - under)
    result[region.slices] = np.asarray(over + np.float32(0.5), np.uint8)
    return result


def _deformed(filled: NDArray[np.uint8], field: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Deform a shape by a displacement field on a coarse grid, in pixels."""
    high, wide = filled.shape
    displacement = [
        cv2.resize(part.astype(np.float32), (wide, high), interpolation=cv2.INTER_CUBIC)
        for part in field
    ]
    x = displacement[0] + np.arange(wide, dtype=np.float32)
    y = displacement[1] + np.arange(high, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(filled, x, y, cv2.INTER_LINEAR, borderValue=0), np.uint8)
