"""The face crop, and operations on arrays of boxes: overlap, non-maximum suppression, squares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.errors import OptionError
from mesoscope.types import Face

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.types import Box, Pixels, Point

    Boxes = NDArray[np.float32]  # (n, 4): x1, y1, x2, y2


_ROWS = 512  # of the overlap matrix at a time: 5,000 boxes would take 200 MB at once


def overlaps(one: Boxes, other: Boxes, *, of_smaller: bool = False) -> NDArray[np.float32]:
    """Compute the intersection over union of each pair, ``(len(one), len(other))``.

    Args:
        one: Boxes.
        other: Boxes.
        of_smaller: Divide by the smaller box's area instead of the union.
    """
    left_top = np.maximum(one[:, None, :2], other[None, :, :2])
    right_bottom = np.minimum(one[:, None, 2:], other[None, :, 2:])
    wide, high = np.moveaxis(np.maximum(right_bottom - left_top, 0), -1, 0)
    shared = wide * high
    area = _areas(one)[:, None]
    area_other = _areas(other)[None]
    total = np.minimum(area, area_other) if of_smaller else area + area_other - shared
    return np.asarray(shared / np.maximum(total, 1e-9), np.float32)


def strongest(
    boxes: Boxes, scores: NDArray[np.float32], threshold: float, *, of_smaller: bool = False
) -> NDArray[np.intp]:
    """Non-maximum suppression: return the indices of boxes to keep, the strongest first.

    As in the package ``mtcnn``, a suppressed box still suppresses others.
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
    """Return squares of the boxes' centres and longest sides."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + size * 0.5 - side * 0.5
    return np.concatenate([corner, corner + side], axis=1)


def largest_first(
    boxes: NDArray[np.floating], p_face: NDArray[np.floating], points: NDArray[np.floating]
) -> tuple[Face, ...]:
    """Convert rows to faces, the largest first; boxes that clipping left empty are dropped.

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


RESIZE_FILTERS = ("area",)


def crop(
    pixels: Pixels,
    box: Box,
    *,
    margin: float = 1.0,
    size_px: int = 256,
    resize: str = "area",
    eyes: tuple[Point, Point] | None = None,
) -> Pixels:
    """Crop a square around a face and resize it to the network's input size.

    The square has the centre of the box, and its side is the longest box side times ``margin``;
    outside of the picture, the picture is mirrored at its border. The filter ``area`` averages when
    shrinking and is bicubic when enlarging.

    Args:
        pixels: The frame, ``(H, W, 3) uint8``.
        box: ``(x1, y1, x2, y2)`` in its pixels.
        margin: Side of the square in longest box sides, at least 1 (1.3 is usual).
        size_px: Side of the result in pixels.
        resize: One of :data:`RESIZE_FILTERS`.
        eyes: Left and right eye in the picture, ``(x, y)`` each: the crop is rotated to level them.
            ``None`` does not rotate.

    Returns:
        ``(size_px, size_px, 3) uint8``.

    Raises:
        OptionError: The filter is unknown, or the box lies outside the picture.
    """
    angle = 0.0  # clockwise rotation of the line between the eyes, in degrees
    if eyes is not None:
        (x1, y1), (x2, y2) = eyes
        angle = math.degrees(math.atan2(y2 - y1, x2 - x1))
    if angle:
        return _turned(pixels, box, angle, margin=margin, size_px=size_px, resize=resize)
    if resize not in RESIZE_FILTERS:
        raise OptionError(f"unknown resize filter {resize!r}: use one of {RESIZE_FILTERS}")
    height, width = pixels.shape[:2]
    left, top, side = square(box, margin)
    right, bottom = left + side, top + side
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        raise OptionError(f"the box {box} lies outside a picture of {width}×{height}")
    inside = pixels[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    # Resize first and mirror after: a picture of 100,000×10 must not become 100,000×100,000.
    scale = size_px / side
    wide, high = max(1, round(inside.shape[1] * scale)), max(1, round(inside.shape[0] * scale))
    if (wide, high) != inside.shape[1::-1]:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        inside = np.asarray(cv2.resize(inside, (wide, high), interpolation=how), np.uint8)
    if (wide, high) != (size_px, size_px):
        x = min(max(0, round(-left * scale)), size_px - wide)
        y = min(max(0, round(-top * scale)), size_px - high)
        pads = (y, size_px - high - y, x, size_px - wide - x)
        inside = np.asarray(cv2.copyMakeBorder(inside, *pads, cv2.BORDER_REFLECT_101), np.uint8)
    return np.ascontiguousarray(inside)


def square(box: Box, margin: float) -> tuple[int, int, int]:
    """Return the crop's square, ``(left, top, side)`` in pixels; it may exceed the picture."""
    x1, y1, x2, y2 = box
    side = max(1, round(max(x2 - x1, y2 - y1) * margin))
    return round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2), side


def _turned(
    pixels: Pixels, box: Box, angle: float, *, margin: float, size_px: int, resize: str
) -> Pixels:
    """Crop a box around the rotated square, at its scale; then cut the square."""
    turn = math.radians(angle)
    wider = abs(math.cos(turn)) + abs(math.sin(turn))
    # Of the same parity, so that both centres are on or between pixels.
    large_px = size_px + 2 * math.ceil(size_px * (wider - 1) / 2 - 1e-6)
    large = crop(pixels, box, margin=margin * large_px / size_px, size_px=large_px, resize=resize)
    middle = ((large_px - 1) / 2, (large_px - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, angle, 1.0)
    # Not mirrored at the border as above: OpenCV 5 hangs if it is one pixel.
    matrix[:, 2] = matrix[:, 2] - (large_px - size_px) / 2
    level = cv2.warpAffine(
        large, matrix, (size_px, size_px), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(level, np.uint8)
