"""The most suspicious frames of a clip, side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.draw.faces import draw_faces
from mesoscope.draw.palette import (
    INK,
    PAPER,
    QUIET,
    SMALLEST_PX,
    Terms,
    clock,
    put_text,
    score_text,
    shorten,
)
from mesoscope.errors import OptionError
from mesoscope.imaging.filters import scaled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import FaceScore, Frame, Pixels, Verdict

STRIP_FRAMES = 6
_APART = 24  # selected frames are at least 1/24 of the clip apart
_SAME_S = 5e-4


def most_suspicious(verdict: Verdict, count: int = STRIP_FRAMES) -> tuple[float, ...]:
    """Return the times of the frames with the highest scores, in temporal order.

    Of frames within 1/24 of the clip's duration only the highest is selected, unless too few others
    remain.

    Args:
        verdict: Verdict of a clip.
        count: Maximum number of frames.

    Returns:
        Times in seconds; empty if no face was judged.
    """
    best: dict[float, float] = {}
    for face in verdict.faces:
        if face.time_s is not None:
            best[face.time_s] = max(face.p_fake, best.get(face.time_s, 0.0))
    ranked = sorted(best, key=lambda time: (-best[time], time))
    apart = (verdict.duration_s or max(best, default=0.0)) / _APART
    chosen: list[float] = []
    for time in ranked:
        if all(abs(time - other) >= apart for other in chosen):
            chosen.append(time)
    chosen += [time for time in ranked if time not in chosen]
    return tuple(sorted(chosen[:count]))


def contact_strip(
    frames: Sequence[Frame],
    verdict: Verdict,
    *,
    width_px: int = 1200,
    columns: int | None = None,
    heat: bool = True,
    terms: Terms | None = None,
) -> Pixels:
    """Draw frames of a clip in rows, with their faces, times and highest scores.

    Args:
        frames: Frames with times, such as those of :func:`most_suspicious`.
        verdict: Verdict of the clip.
        width_px: Width of the strip.
        columns: Frames per row; by default three, or all frames if there are fewer.
        heat: Draw the evidence maps.
        terms: Thresholds and margins of the model.

    Returns:
        ``(h, width_px, 3) uint8``; the height depends on the number of rows.

    Raises:
        OptionError: There are no frames.
    """
    if not frames:
        raise OptionError(f"{verdict.source}: a strip needs at least one frame")
    across = min(columns or 3, len(frames))
    gap = max(2, width_px // 150)
    wide = (width_px - gap * (across - 1)) // across
    size = max(SMALLEST_PX, round(wide / 22))
    high = _tile_height(frames[0], wide)
    caption = round(1.8 * size)
    rows = math.ceil(len(frames) / across)
    strip = np.full((rows * (high + caption + gap) - gap, width_px, 3), PAPER, np.uint8)
    for number, frame in enumerate(frames):
        top = (number // across) * (high + caption + gap)
        left = (number % across) * (wide + gap)
        tile = _tile(frame, verdict, (wide, high), heat, terms or Terms())
        strip[top : top + high, left : left + wide] = tile
        faces = faces_of(frame, verdict)
        text = clock(frame.time_s or 0.0)
        if faces:
            text += f"   p_fake {score_text(max(face.p_fake for face in faces))}"
        put_text(
            strip, shorten(text, size, wide), left, top + high + round(1.3 * size),
            size_px=size, colour=INK if faces else QUIET,
        )  # fmt: skip
    return strip


def faces_of(frame: Frame, verdict: Verdict) -> list[FaceScore]:
    """Return the verdict's faces in a frame, matched by time, or by index without a time."""
    return [
        face
        for face in verdict.faces
        if (
            abs(face.time_s - frame.time_s) < _SAME_S
            if face.time_s is not None and frame.time_s is not None
            else face.frame_index == frame.index
        )
    ]


def _tile_height(frame: Frame, wide: int) -> int:
    """Return the tile height for the first frame's shape, at most 1.25 times the width."""
    height, width = (int(side) for side in frame.pixels.shape[:2])
    return max(8, min(round(wide * height / width), round(wide * 1.25)))


def _tile(
    frame: Frame, verdict: Verdict, size: tuple[int, int], heat: bool, terms: Terms
) -> Pixels:
    """Draw a frame with its faces, fitted into the tile."""
    height, width = frame.pixels.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    small = scaled(frame.pixels, scale)
    high, wide = small.shape[:2]
    faces = faces_of(frame, verdict)
    index = faces[0].frame_index if faces else frame.index
    drawn = draw_faces(small, verdict, heat=heat, terms=terms, frame_index=index, scale=scale)
    tile = np.full((size[1], size[0], 3), INK, np.uint8)
    left, top = (size[0] - wide) // 2, (size[1] - high) // 2
    tile[top : top + high, left : left + wide] = drawn
    return tile
