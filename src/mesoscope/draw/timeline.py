"""The scores of a clip over time: one line per person, interrupted where the face is missing."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mesoscope.draw.palette import (
    BOLD,
    FAKE,
    PAPER,
    PERSONS,
    QUIET,
    REAL,
    REGULAR,
    RULE,
    SMALLEST_PX,
    Rgb,
    Terms,
    clock,
    put_text,
    score_text,
    shorten,
    text_width,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.types import FaceScore, Person, Pixels, Verdict

_GAP = 1.6  # frame intervals between two detections of a person from which a line is interrupted
_SMOOTH = 4  # lines are drawn at 1/16 of a pixel
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


class _Line(NamedTuple):
    """One person's scores."""

    number: int
    colour: Rgb
    faces: Sequence[FaceScore]
    text: str


@dataclass(frozen=True, slots=True)
class _Chart:
    """The plot area, and the scales of its axes."""

    left: int
    top: int
    right: int
    bottom: int
    end_s: float

    def x(self, time_s: float) -> float:
        return self.left + (self.right - self.left) * time_s / self.end_s

    def y(self, p_fake: float) -> float:
        return self.bottom + (self.top - self.bottom) * p_fake


def draw_timeline(
    verdict: Verdict, width_px: int, height_px: int, *, terms: Terms | None = None
) -> Pixels:
    """Draw a clip's scores over time.

    A person's line is interrupted at frames without a detection of that person. Known thresholds
    are drawn, with the ranges of fake and real tinted.

    Args:
        verdict: Verdict of a clip; for a picture the chart has a note instead.
        width_px: Width of the chart with its labels.
        height_px: Height of the chart with its labels.
        terms: Thresholds of the model.

    Returns:
        ``(height_px, width_px, 3) uint8``.
    """
    picture = np.full((height_px, width_px, 3), PAPER, np.uint8)
    size = max(SMALLEST_PX, min(round(min(width_px / 42, height_px / 13)), 40))
    seen = [face for face in verdict.faces if face.time_s is not None]
    if not seen:
        text = "no face was judged in this clip" if verdict.kind == "clip" else "not a clip"
        text = shorten(text, size, width_px - 2)
        x, y = (width_px - text_width(text, size)) // 2, (height_px + size) // 2
        put_text(picture, text, max(0, x), y, size_px=size, colour=QUIET)
        return picture
    lines = _lines(verdict, seen)
    words = max(text_width(line.text, size, BOLD) for line in lines) + size
    right = width_px - min(words, width_px // 3) - size
    end_s = max(verdict.duration_s or 0, *(face.time_s or 0 for face in seen)) or 1.0
    terms = terms or Terms()
    scale = ["0.5", *(text for *_, text in _sides(terms))]
    left = max(text_width(text, size) for text in scale) + size
    chart = _Chart(left, round(1.9 * size), right, height_px - round(2.6 * size), end_s)
    if chart.right - chart.left < 2 or chart.bottom - chart.top < 2:
        return picture  # too small for anything to be read
    _ground(picture, chart, size, terms)
    step = _step_s(verdict, seen)
    times = sorted({face.time_s for face in seen if face.time_s is not None})
    for line in reversed(lines):  # the most suspicious line is drawn last, on top
        _draw_line(picture, chart, line, list(_runs(line.faces, times, step)), size)
    _name_lines(picture, chart, lines, size)
    return picture


def _lines(verdict: Verdict, seen: Sequence[FaceScore]) -> list[_Line]:
    """Return one line per person, the most suspicious first; the number selects the colour."""
    persons = {person.number: person for person in verdict.persons}
    by_number: dict[int, list[FaceScore]] = {}
    for face in seen:
        by_number.setdefault(face.person, []).append(face)
    lines = []
    for number, faces in by_number.items():
        colour = PERSONS[number % len(PERSONS)]
        faces.sort(key=lambda face: face.time_s or 0)
        lines.append(_Line(number, colour, faces, _words(number, persons.get(number))))
    return sorted(lines, key=lambda line: -_suspicion(line, persons))


def _suspicion(line: _Line, persons: dict[int, Person]) -> float:
    person = persons.get(line.number)
    if person is not None and person.p_fake is not None:
        return person.p_fake
    return max(face.p_fake for face in line.faces)


def _words(number: int, person: Person | None) -> str:
    name = f"person {number + 1}"
    if person is not None and person.background:
        name += " (background)"
    if person is None or person.p_fake is None:
        return name
    word = person.label or (person.reason or "").replace("_", " ")
    return f"{name}  {word} {score_text(person.p_fake)}"


def _step_s(verdict: Verdict, seen: Sequence[FaceScore]) -> float:
    """Return the expected interval between judged frames, in seconds."""
    times = sorted({face.time_s or 0.0 for face in seen})
    steps = np.diff(times)
    median = float(np.median(steps)) if steps.size else 0.0
    if verdict.duration_s and verdict.frames_read > 1:
        shortest = float(np.min(steps, initial=np.inf))
        return max(verdict.duration_s / verdict.frames_read, min(median, shortest))
    return median


def _runs(
    faces: Sequence[FaceScore], times: Sequence[float], step_s: float
) -> Iterator[list[FaceScore]]:
    """Split a person's scores at frames without that person."""
    run = [faces[0]]
    for before, face in itertools.pairwise(faces):
        start, end = before.time_s or 0.0, face.time_s or 0.0
        between = bisect.bisect_left(times, end) > bisect.bisect_right(times, start)
        if between or (step_s > 0 and end - start > _GAP * step_s):
            yield run
            run = []
        run.append(face)
    yield run


def _ground(picture: Pixels, chart: _Chart, size: int, terms: Terms) -> None:
    """Draw tints, grid, thresholds and axes."""
    marks: list[tuple[float, str, Rgb]] = [(1, "1", QUIET), (0, "0", QUIET)]
    if terms.thresholds is None:
        marks.insert(0, (0.5, "0.5", QUIET))
    for low, high, colour, _ in _sides(terms):
        top, bottom = round(chart.y(high)), round(chart.y(low))
        region = picture[top:bottom, chart.left : chart.right]
        region[...] = np.rint(region * 0.9 + np.array(colour) * 0.1)
    for level, _, _ in marks:
        y = round(chart.y(level))
        cv2.line(picture, (chart.left, y), (chart.right, y), RULE, 1)
    for low, high, colour, text in _sides(terms):
        cut = low if high == 1 else high
        marks.insert(0, (cut, text, colour))
        y = round(chart.y(cut))
        for x in range(chart.left, chart.right, 10):
            cv2.line(picture, (x, y), (min(x + 5, chart.right), y), colour, 1)
    labelled: list[float] = []
    for level, text, colour in marks:
        at = chart.y(level)
        if all(abs(at - other) >= size for other in labelled):
            x = chart.left - text_width(text, size) - size // 2
            put_text(picture, text, x, round(at + size * 0.35), size_px=size, colour=colour)
            labelled.append(at)
    _times(picture, chart, size)
    put_text(picture, "p_fake", size // 3, round(size * 1.05), size_px=size, colour=QUIET)


def _sides(terms: Terms) -> list[tuple[float, float, Rgb, str]]:
    """Return the score ranges of real and fake: low, high, colour, text."""
    if terms.thresholds is None:
        return []
    real, fake = terms.thresholds.real_below, terms.thresholds.fake_above
    return [
        (0.0, real, REAL.plate, f"real <{real:.2f}"),
        (fake, 1.0, FAKE.plate, f"fake ≥{fake:.2f}"),
    ]


def _times(picture: Pixels, chart: _Chart, size: int) -> None:
    """Draw ticks at round times, as many as fit."""
    room = max(1.0, (chart.right - chart.left) / (6 * size))
    wanted = chart.end_s / room
    step = next((s for s in _STEPS_S if s >= wanted), wanted)
    digits = 1 if step < 1 else 0
    last = -1e9
    for time_s in np.arange(0, chart.end_s + 1e-9, step):
        x = round(chart.x(float(time_s)))
        cv2.line(picture, (x, chart.bottom), (x, chart.bottom + size // 3), QUIET, 1)
        text = clock(float(time_s), digits=digits)
        wide = text_width(text, size)
        at = min(max(0, x - wide // 2), picture.shape[1] - wide - 1)
        if at > last + size // 2 and at >= 0:
            baseline = chart.bottom + round(1.6 * size)
            put_text(picture, text, at, baseline, size_px=size, colour=QUIET)
            last = at + wide


def _draw_line(
    picture: Pixels, chart: _Chart, line: _Line, runs: Sequence[Sequence[FaceScore]], size: int
) -> None:
    thick = max(1, round(size / 7))
    crowded = len(line.faces) * size > (chart.right - chart.left) * 2
    for run in runs:
        points = [(chart.x(face.time_s or 0), chart.y(face.p_fake)) for face in run]
        fixed = np.rint(np.array(points) * 2**_SMOOTH).astype(np.int32)
        cv2.polylines(
            picture, [fixed], isClosed=False, color=line.colour, thickness=thick,
            lineType=cv2.LINE_AA, shift=_SMOOTH,
        )  # fmt: skip
        if not crowded or len(run) == 1:
            for x, y in points:
                _marker(picture, (round(x), round(y)), line, max(2, round(size / 4)))


def _marker(picture: Pixels, at: tuple[int, int], line: _Line, radius: int) -> None:
    """Draw a filled marker whose shape depends on the person's number, besides its colour."""
    x, y = at
    shape = line.number % 4
    if shape == 0:
        cv2.circle(picture, at, radius, line.colour, -1, cv2.LINE_AA)
        return
    around = {
        1: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        2: ((0, -1.3), (1.2, 1), (-1.2, 1)),
        3: ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
    }[shape]
    corners = [(round(x + u * radius), round(y + v * radius)) for u, v in around]
    cv2.fillPoly(picture, [np.array(corners, np.int32)], line.colour, cv2.LINE_AA)


def _name_lines(picture: Pixels, chart: _Chart, lines: Sequence[_Line], size: int) -> None:
    """Draw names to the right, each near the end of its line, without overlap."""
    room = picture.shape[1] - chart.right - round(1.6 * size)
    fitting = max(1, (chart.bottom - chart.top) // round(size * 1.3))
    named = sorted(lines[:fitting], key=lambda line: -line.faces[-1].p_fake)
    y = float(chart.top - size)
    baselines = []
    for line in named:
        y = max(y + size * 1.3, chart.y(line.faces[-1].p_fake) + size * 0.35)
        baselines.append(y)
    over = max(0.0, baselines[-1] - chart.bottom)
    for number in range(len(baselines) - 1, -1, -1):  # move up names below the plot area
        limit = baselines[number + 1] - size * 1.3 if number + 1 < len(baselines) else np.inf
        baselines[number] = min(baselines[number] - (over if limit == np.inf else 0), limit)
    for line, baseline in zip(named, baselines, strict=True):
        x = chart.right + round(0.6 * size)
        _marker(picture, (x, round(baseline - size * 0.35)), line, max(2, round(size / 4)))
        weight = BOLD if line is lines[0] else REGULAR
        text = shorten(line.text, size, room, weight)
        x += round(0.7 * size)
        put_text(picture, text, x, round(baseline), size_px=size, colour=line.colour, weight=weight)
