"""Charts as numbers from 0 to 1, which HTML and PDF each draw in their own way."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.report.case.tally import BINS, SHOWN

if TYPE_CHECKING:
    from mesoscope.report.case.tally import Tally
    from mesoscope.types import Verdict


_GAP = 1.6  # times the usual step between frames, as in draw/timeline.py


class Bar(NamedTuple):
    """A piece of a stacked bar: which bin, which label, from where to where (0 to 1), how many."""

    bin: int
    label: str
    low: float
    high: float
    n: int


class Dot(NamedTuple):
    """A face of a clip: where it lies in time and in ``p_fake``, both 0 to 1."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """One person of a clip through time.

    Attributes:
        person: From 0.
        dots: In the order of time.
        gap: A longer step between two of them is a time when the person was not seen.
    """

    person: int
    dots: tuple[Dot, ...]
    gap: float

    @property
    def runs(self) -> list[list[Dot]]:
        """The dots without the gaps: runs of frames in which the person was seen."""
        found: list[list[Dot]] = []
        for dot in self.dots:
            if found and dot.x - found[-1][-1].x <= self.gap:
                found[-1].append(dot)
            else:
                found.append([dot])
        return found


@dataclass(frozen=True, slots=True)
class Timeline:
    """``p_fake`` of every judged face of a clip over time.

    Attributes:
        lines: One a person.
        end_s: Time at the right end; the left end is 0.
    """

    lines: tuple[Line, ...]
    end_s: float


def distribution(tally: Tally) -> tuple[list[Bar], int]:
    """Stacked bars of ``p_fake``, and what the full height counts; no bars where nothing scored."""
    most = max((sum(c[at] for c in tally.bins.values()) for at in range(BINS)), default=0)
    bars: list[Bar] = []
    for at in range(BINS):
        base = 0
        for label in reversed(SHOWN):
            count = tally.bins[label][at] if label in tally.bins else 0
            if count:
                bars.append(Bar(at, label, base / most, (base + count) / most, count))
                base += count
    return bars, most


def timeline(verdict: Verdict) -> Timeline | None:
    """The timeline of a clip's verdict; ``None`` where there is none to draw."""
    timed = [(face, face.time_s) for face in verdict.faces if face.time_s is not None]
    if verdict.kind != "clip" or not timed:
        return None
    end = max(verdict.duration_s or 0.0, max(time for _, time in timed)) or 1.0
    times = sorted({time for _, time in timed})
    steps = sorted(b - a for a, b in itertools.pairwise(times))
    gap = _GAP * steps[len(steps) // 2] / end if steps else 1.0
    dots: dict[int, list[Dot]] = {}
    for face, time in sorted(timed, key=lambda one: one[1]):
        dots.setdefault(face.person, []).append(Dot(time / end, face.p_fake))
    return Timeline(tuple(Line(who, tuple(dots[who]), gap) for who in sorted(dots)), end)
