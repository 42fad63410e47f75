"""Examples of findings: a few pictures, evenly over what they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.audit.finding import Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts

MOST = 6  # pictures, or pairs of them


def example(facts: Facts, row: int, says: str, beside: int = 0) -> Example:
    """One picture as an example."""
    return Example(
        path=facts.names[row],
        label=int(facts.labels[row]),
        source=facts.sources.of(row),
        split=facts.splits.of(row),
        says=says,
        side_by_side=beside,
    )


def of_rows(
    facts: Facts, rows: NDArray[np.int64], says: Callable[[int], str]
) -> tuple[Example, ...]:
    """A few of these rows, evenly over their order, each by itself."""
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, MOST).round().astype(int))]
    return tuple(example(facts, int(r), says(int(r)), n) for n, r in enumerate(chosen))


def of_classes(
    facts: Facts, rows: NDArray[np.int64], says: Callable[[int], str]
) -> tuple[Example, ...]:
    """Some reals beside some fakes, the first of each that stand in the rows."""
    found = []
    for label in (0, 1):
        of = rows[facts.labels[rows] == label][: MOST // 2]
        found += [example(facts, int(r), says(int(r)), label) for r in of]
    return tuple(found)


def of_sets(
    facts: Facts, sets: Iterable[NDArray[np.int64]], says: Callable[[int], str]
) -> tuple[Example, ...]:
    """The first few sets of pictures that belong together, at most three of each."""
    found = []
    for number, rows in enumerate(sets):
        if number == MOST:
            break
        found += [example(facts, int(r), says(int(r)), number) for r in rows[:3]]
    return tuple(found)
