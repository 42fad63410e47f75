"""Boxes in arrays: overlap, the strongest of those that overlap, squares. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.types import Face

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.types import Box

    Boxes = NDArray[np.float32]  # (n, 4): x1, y1, x2, y2

_ROWS = 512  # of the overlap matrix at a time: 5,000 boxes would take 200 MB at once


def overlaps(one: Boxes, other: Boxes, *, of_smaller: bool = False) -> NDArray[np.float32]:
    """Intersection over union of each pair, ``(len(one), len(other))``.

    Args:
        one: Boxes.
        other: Boxes.
        of_smaller: Over the smaller box's area in place of the union.
    """
    left_top = np.maximum(one[:, None, :2], other[None, :, :2])
    right_bottom = np.minimum(one[:, None, 2:], other[None, :, 2:])
    wide, high = np.moveaxis(np.maximum(right_bottom - left_top, 0), -1, 0)
    shared = wide * high
    area = _areas(one)[:, None]
    area_other = _areas(other)[None]
    whole = np.minimum(area, area_other) if of_smaller else area + area_other - shared
    return np.asarray(shared / np.maximum(whole, 1e-9), np.float32)


def strongest(
    boxes: Boxes, scores: NDArray[np.float32], threshold: float, *, of_smaller: bool = False
) -> NDArray[np.intp]:
    """Non-maximum suppression: which boxes overlap no stronger one, the strongest first.

    As in the package ``mtcnn``, a box that is suppressed itself still suppresses others.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    keep = np.ones(len(boxes), bool)
    for start in range(0, len(boxes), _ROWS):
        rows = slice(start, min(start + _ROWS, len(boxes)))
        over = overlaps(boxes[rows], boxes[: rows.stop], of_smaller=of_smaller) > threshold
        keep[rows] = ~np.tril(over, start - 1).any(axis=1)
    return order[keep]


def squares(boxes: Boxes) -> Boxes:
    """Each box made a square on its middle, of its longest side."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + size * 0.5 - side * 0.5
    return np.concatenate([corner, corner + side], axis=1)


def largest_first(
    boxes: NDArray[np.floating], p_face: NDArray[np.floating], points: NDArray[np.floating]
) -> tuple[Face, ...]:
    """Rows as faces, the largest first; boxes that clipping left empty fall away.

    Args:
        boxes: ``(n, 4)``.
        p_face: ``(n,)``, 0 to 1.
        points: Landmarks, ``(n, 5, 2)``.
    """
    size = boxes[:, 2:] - boxes[:, :2]
    order = np.argsort(-size.prod(axis=1), kind="stable")
    return tuple(
        Face(_four(boxes[i]), float(p_face[i]), tuple((float(x), float(y)) for x, y in points[i]))
        for i in order
        if (size[i] > 0).all()
    )


def _four(row: NDArray[np.floating]) -> Box:
    x1, y1, x2, y2 = row.tolist()
    return x1, y1, x2, y2


def _areas(boxes: Boxes) -> NDArray[np.float32]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float32)
