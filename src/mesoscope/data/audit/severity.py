"""Severity of findings: every limit with its reason; and choice of examples.

A model that sees pixels can use traces in the pixels; it cannot read EXIF or a file's name. So a
cue of the encoding is severe where a cue of the metadata is a warning. The latter shows that the
classes were made in different ways, and misleads readers of files. Content, such as sharpness, may
be a true cue, so it is at most a warning.

Cues are judged by the lower end of their interval, so small samples raise no alarm. Copies and
groups across splits are judged by the share of held-out pictures that they affect: that share of a
score is memorised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.audit.finding import Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from mesoscope.data.audit.cues import Reach
    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.finding import Severity


STRONG, CLEAR, FAINT = 0.75, 0.65, 0.57  # lower ends of an AUC's interval
MUCH, SOME = 0.01, 0.001  # shares of held-out pictures, or of all
UNEVEN, LOPSIDED = 0.65, 0.8  # share of the larger class
SMALLER = 5  # times; sources smaller than the largest by this factor are named

_BY_REACH: dict[str, tuple[tuple[float, Severity], ...]] = {
    "pixels": ((STRONG, "severe"), (CLEAR, "warning"), (FAINT, "note")),
    "file": ((STRONG, "warning"), (CLEAR, "note")),
    "place": ((STRONG, "warning"), (CLEAR, "note")),
    "content": ((STRONG, "warning"), (FAINT, "note")),
}


def cue_severity(reach: Reach, low: float) -> Severity | None:
    """Return the severity of a cue; ``None`` if it is too weak.

    Args:
        reach: Reach of the fact.
        low: Lower end of its AUC's interval.
    """
    return next((severity for line, severity in _BY_REACH[reach] if low >= line), None)


def leak_severity(share: float) -> Severity:
    """Return the severity of a share of held-out pictures known from training."""
    return "severe" if share >= MUCH else "warning"


def unusable_severity(share: float) -> Severity:
    """Return the severity of a share of unusable pictures."""
    return "warning" if share >= MUCH else "note"


def balance_severity(share: float) -> Severity | None:
    """Return the severity of the larger class' share."""
    if share >= LOPSIDED:
        return "warning"
    return "note" if share >= UNEVEN else None


def drift_severity(low: float) -> Severity | None:
    """Return the severity of a shift between train and held-out pictures, by an AUC's low end.

    Evaluation on other data may be intended, so it is never severe.
    """
    if low >= STRONG:
        return "warning"
    return "note" if low >= FAINT else None


def source_severity(auc: float) -> Severity | None:
    """Return the severity of the AUC with which the source predicts the class.

    Models recognise sources well, so this is a cue in the pixels; it is exact, without interval.
    """
    return cue_severity("pixels", auc)


MOST = 6  # pictures, or pairs of them


def example(facts: Facts, row: int, says: str, beside: int = 0) -> Example:
    """Return one picture as an example."""
    return Example(
        path=facts.names[row],
        label=int(facts.labels[row]),
        source=facts.sources.of(row),
        split=facts.splits.of(row),
        says=says,
        side_by_side=beside,
    )


def row_examples(
    facts: Facts, rows: NDArray[np.int64], says: Callable[[int], str]
) -> tuple[Example, ...]:
    """Return a few of these rows as examples, evenly over their order."""
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, MOST).round().astype(int))]
    return tuple(example(facts, int(r), says(int(r)), n) for n, r in enumerate(chosen))


def class_examples(
    facts: Facts, rows: NDArray[np.int64], says: Callable[[int], str]
) -> tuple[Example, ...]:
    """Return some reals and some fakes as examples, the first of each in the rows."""
    found = []
    for label in (0, 1):
        of = rows[facts.labels[rows] == label][: MOST // 2]
        found += [example(facts, int(r), says(int(r)), label) for r in of]
    return tuple(found)


def set_examples(
    facts: Facts, sets: Iterable[NDArray[np.int64]], says: Callable[[int], str]
) -> tuple[Example, ...]:
    """Return the first few sets of related pictures, at most three of each."""
    found = []
    for number, rows in enumerate(sets):
        if number == MOST:
            break
        found += [example(facts, int(r), says(int(r)), number) for r in rows[:3]]
    return tuple(found)


def format_auc(value: float) -> str:
    """Format an AUC for a finding, without the leading zero: ``.93``."""
    return f"{value:.2f}".lstrip("0")
