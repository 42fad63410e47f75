"""Boxes, scores and evidence maps on a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mesoscope.draw.heat import overlay_heat
from mesoscope.draw.palette import (
    ASCENT,
    BOLD,
    DESCENT,
    INK,
    SKIPPED,
    SMALLEST_PX,
    Style,
    Terms,
    put_text,
    score_text,
    style_of,
    text_width,
)
from mesoscope.faces.crop import square

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.types import Box, FaceScore, Pixels, Verdict

    Rectangle = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels, x2 and y2 exclusive

_TEXT_SHARE = 1 / 45  # text size, as a share of the picture's mean side
_LINE_SHARE = 1 / 450
_FACE_LINE_SHARE = 1 / 25  # of a face's longest side: lines stay thinner than small faces
_CROWD, _REACH = 12, 2  # with more faces, a plate is no wider than this multiple of its box
_SURE = 6  # number of faces that always get a plate, if it fits into the picture


class _Mark(NamedTuple):
    """A face to draw: box, style, and texts of its plate, the longest first."""

    box: Box
    style: Style
    texts: tuple[str, ...]


def draw_faces(
    pixels: Pixels,
    verdict: Verdict,
    *,
    heat: bool = True,
    terms: Terms | None = None,
    frame_index: int | None = None,
    scale: float = 1.0,
) -> Pixels:
    """Draw a verdict's faces on a copy of its picture.

    Each face gets a box and a plate with its number in the verdict (from 1, if there are several),
    its label and its score. Plates stay within the picture and do not overlap. In a crowd they
    shrink to score or number, and the least suspicious faces lose theirs first; only plates of the
    most suspicious faces may cover another face.

    Args:
        pixels: The judged frame, ``(H, W, 3) uint8`` RGB, possibly scaled.
        verdict: The verdict.
        heat: Draw the evidence maps, if the verdict has them.
        terms: Thresholds and margins of the model, see :class:`Terms`.
        frame_index: Draw only the faces of this frame of a clip.
        scale: Size of ``pixels`` relative to the judged frame.

    Returns:
        A new picture of the same shape.
    """
    terms = terms or Terms()
    picture = np.array(pixels, np.uint8, order="C")
    faces = [
        (number, face)
        for number, face in enumerate(verdict.faces, 1)
        if frame_index is None or face.frame_index == frame_index
    ]
    if heat:
        for _, face in faces:
            if face.heat is not None:
                overlay_heat(picture, face.heat, square_of(face, verdict, terms, scale=scale))
    faces.sort(key=lambda one: -one[1].p_fake)
    marks = [
        *(_mark(number, face, verdict, terms, scale) for number, face in faces),
        *(
            _Mark(_scaled(face.box, scale), SKIPPED, (SKIPPED.word,))
            for face in verdict.skipped
            if frame_index is None or face.frame_index == frame_index
        ),
    ]
    mean_side = float(np.sqrt(picture.shape[0] * picture.shape[1]))
    width = max(1.0, mean_side * _LINE_SHARE)
    for mark in reversed(marks):  # the most suspicious face is drawn last, on top
        _box(picture, mark, width)
    _plates(picture, marks, max(10, round(mean_side * _TEXT_SHARE)))
    return picture


def square_of(
    face: FaceScore, verdict: Verdict, terms: Terms, *, scale: float = 1.0
) -> tuple[float, float, float]:
    """Return a face's crop square, ``(left, top, side)`` in pixels times ``scale``."""
    left, top, side = square(face.box, margin_of(face, verdict, terms))
    return left * scale, top * scale, side * scale


def margin_of(face: FaceScore, verdict: Verdict, terms: Terms) -> float:
    """Return the crop margin of a face.

    In a clip, frames that were taken as face crops and frames with detections can be mixed. A frame
    that was taken as a face crop has a box from the corner, no landmarks, and confidence 0 or 1.
    """
    whole = "whole" in (verdict.finder or "") and face.box[:2] == (0, 0)
    if whole and face.confidence in (0, 1) and not face.landmarks:
        return terms.crop_margin
    return terms.face_margin


def _scaled(box: Box, scale: float) -> Box:
    return box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale


def _mark(number: int, face: FaceScore, verdict: Verdict, terms: Terms, scale: float) -> _Mark:
    style, score = style_of(face, verdict, terms), score_text(face.p_fake)
    if verdict.kind == "clip":  # a person is judged over all frames, so a frame has no label
        texts: tuple[str, ...] = (f"person {face.person + 1}  {score}", score)
    else:
        plain = f"{style.word} {score}".strip()
        several = len(verdict.faces) > 1
        texts = (f"{number}  {plain}", f"{number}  {score}", score) if several else (plain, score)
    return _Mark(_scaled(face.box, scale), style, texts)


def _box(picture: Pixels, mark: _Mark, width: float) -> None:
    """Draw the box with a dark edge on both sides, visible on any background."""
    height, wide = picture.shape[:2]
    side = max(mark.box[2] - mark.box[0], mark.box[3] - mark.box[1])
    thick = max(1, round(min(width, side * _FACE_LINE_SHARE) * mark.style.weight))
    edge = max(1, round(thick / 4))
    inset = thick // 2 + edge  # keeps lines along the border fully visible
    x1, y1, x2, y2 = _rounded(mark.box)
    x1, x2 = (int(np.clip(x, inset, max(inset, wide - 1 - inset))) for x in (x1, x2))
    y1, y2 = (int(np.clip(y, inset, max(inset, height - 1 - inset))) for y in (y1, y2))
    across = [(x, x + on) for x, on in _dashes(x1, x2, mark.style.dash, thick)]
    down = [(y, y + on) for y, on in _dashes(y1, y2, mark.style.dash, thick)]
    pieces = [
        *((start, y, end, y) for y in (y1, y2) for start, end in across),
        *((x, start, x, end) for x in (x1, x2) for start, end in down),
    ]
    before, after = thick // 2, thick - thick // 2
    for colour, more in ((INK, edge), (mark.style.line, 0)):
        for left, top, right, bottom in pieces:
            rows = slice(max(0, top - before - more), bottom + after + more)
            columns = slice(max(0, left - before - more), right + after + more)
            picture[rows, columns] = colour


def _dashes(
    start: int, end: int, dash: tuple[float, float] | None, thick: int
) -> Iterator[tuple[int, int]]:
    """Yield start and length of each dash of a side; the last dash ends at ``end``."""
    length = end - start
    if dash is None or length <= 0:
        yield start, max(0, length)
        return
    on, period = max(1, round(dash[0] * thick)), max(2, round((dash[0] + dash[1]) * thick))
    for begin in range(start, end, period):
        yield begin, min(on, end - begin)


def _plates(picture: Pixels, marks: Sequence[_Mark], size_px: int) -> None:
    """Draw the plates, the most suspicious first; omit those that would overlap another.

    Only plates of the ``_SURE`` most suspicious faces may cover another face.
    """
    taken: list[Rectangle] = []
    boxes = [_rounded(mark.box) for mark in marks]
    for number, mark in enumerate(marks):
        others = [*taken, *boxes[:number], *boxes[number + 1 :]]
        placed = _place(picture.shape[:2], mark, size_px, others)
        if placed is None and number < _SURE:
            placed = _place(picture.shape[:2], mark, SMALLEST_PX, taken)
        if placed is None:
            continue
        text, at, size = placed
        taken.append(at)
        x1, y1, x2, y2 = at
        cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), INK, -1)
        cv2.rectangle(picture, (x1 + 1, y1 + 1), (x2 - 2, y2 - 2), mark.style.plate, -1)
        put_text(
            picture,
            text,
            x1 + _pad(size),
            y2 - _pad(size) - round(DESCENT * size / 2),
            size_px=size,
            colour=mark.style.ink,
            weight=BOLD,
        )


def _place(
    shape: tuple[int, ...], mark: _Mark, size_px: int, taken: Sequence[Rectangle]
) -> tuple[str, Rectangle, int] | None:
    """Return the longest text that fits in the largest size, its rectangle, and the size."""
    height, width = shape[0], shape[1]
    sizes = {max(SMALLEST_PX, round(size_px * share)) for share in (1, 0.7, 0)}
    for size in sorted(sizes, reverse=True):
        for text in mark.texts:
            wide = text_width(text, size, BOLD) + 2 * _pad(size)
            high = round((ASCENT + DESCENT / 2) * size) + 2 * _pad(size)
            if wide > width or high > height:
                continue
            if len(taken) > _CROWD and wide > _REACH * (mark.box[2] - mark.box[0]):
                continue  # would seem to belong to a neighbour
            for x, y in _corners(mark.box, wide, high):
                x = min(max(0, x), width - wide)
                y = min(max(0, y), height - high)
                at = (x, y, x + wide, y + high)
                if not any(_meet(at, other) for other in taken):
                    return text, at, size
    return None


def _rounded(box: Box) -> Rectangle:
    return round(box[0]), round(box[1]), round(box[2]), round(box[3])


def _corners(box: Box, wide: int, high: int) -> tuple[tuple[int, int], ...]:
    """Return candidate positions of a plate: above the box, below, inside, to the right."""
    x1, y1, x2, y2 = _rounded(box)
    return (x1, y1 - high), (x1, y2), (x2 - wide, y1 - high), (x1, y1), (x2, y1), (x1, y2 - high)


def _meet(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _pad(size: int) -> int:
    return max(2, round(size * 0.25))
