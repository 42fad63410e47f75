"""Findings about pictures that can be used but are far from all others: dark, bright, drawn out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.data.audit import severity
from mesoscope.data.audit.examples import of_rows
from mesoscope.data.audit.finding import Finding
from mesoscope.data.audit.repeats import BLANK_SPREAD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts

DARK, BRIGHT = 24.0, 232.0  # mean grey values; a face lit as usual lies between 60 and 190
LONG = 2.0  # longer side over shorter: a square of it holds a half


class _Extreme(NamedTuple):
    kind: str
    what: str
    detail: str
    fix: str


_DARK = _Extreme(
    "pictures.dark",
    "nearly black",
    "Little of a face can be seen in them, and noise and compression make up most of it.",
    "Look at them, and leave out what shows no face.",
)
_BRIGHT = _Extreme(
    "pictures.bright",
    "nearly white",
    "Little of a face can be seen in them: light that is cut off has no detail.",
    "Look at them, and leave out what shows no face.",
)
_LONG = _Extreme(
    "pictures.odd_shape",
    f"more than {LONG:.0f} times as long as wide, or the other way round",
    "Training and detection take squares: of these they see a part, or the border mirrored.",
    "Cut them to their faces: mesoscope prepare does.",
)


def of_extremes(facts: Facts) -> list[Finding]:
    """Pictures that are nearly black, nearly white, or long and narrow; blank ones aside."""
    if "spread" not in facts.numbers:
        return []
    seen = facts.readable & (facts.numbers["spread"] >= BLANK_SPREAD)
    brightness, aspect = facts.numbers["brightness"], facts.numbers["aspect"]
    of = (
        (_DARK, seen & (brightness < DARK), "brightness"),
        (_BRIGHT, seen & (brightness > BRIGHT), "brightness"),
        (_LONG, seen & ((aspect > LONG) | (aspect < 1 / LONG)), "aspect"),
    )
    return [
        _of(facts, extreme, np.flatnonzero(mask), number)
        for extreme, mask, number in of
        if mask.any()
    ]


def _of(facts: Facts, extreme: _Extreme, rows: NDArray[np.int64], number: str) -> Finding:
    fakes = int(facts.labels[rows].sum())
    verb = "picture is" if len(rows) == 1 else "pictures are"
    values = facts.numbers[number]
    rows = rows[np.argsort(values[rows], kind="stable")]
    return Finding(
        kind=extreme.kind,
        severity=severity.of_spoilt(len(rows) / len(facts.samples)),
        title=f"{len(rows):,} {verb} {extreme.what}: {len(rows) - fakes:,} real, {fakes:,} fake",
        detail=extreme.detail,
        fix=extreme.fix,
        count=len(rows),
        examples=of_rows(facts, rows, lambda row: _says(facts, number, row)),
    )


def _says(facts: Facts, number: str, row: int) -> str:
    if number == "aspect":
        width, height = (facts.numbers[side][row] for side in ("width", "height"))
        return f"{width:.0f}×{height:.0f}"
    return f"mean brightness {facts.numbers[number][row]:.0f} of 255"
