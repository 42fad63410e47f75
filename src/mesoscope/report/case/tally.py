"""One pass over a report's items: their counts, how scores lie, which are most suspicious."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesoscope.report.case.items import Item
    from mesoscope.types import Verdict

BINS = 20
LABELS = ("fake", "inconclusive", "real", "none", "unreadable")  # in the order they are shown
_RANK = {"fake": 2, "inconclusive": 1}


@dataclass(slots=True)
class Tally:
    """What a report's items come to.

    Attributes:
        labels: Items by :func:`standing`.
        kinds: ``image`` and ``clip``.
        bins: ``{label: counts}`` of ``p_fake`` in :data:`BINS` equal bins; 1 is in the last.
        models: Verdicts by the model that gave them.
        pictured: Places of the items to be shown with their evidence, the most suspicious first.
    """

    labels: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    bins: dict[str, list[int]] = field(default_factory=dict)
    models: Counter[str] = field(default_factory=Counter)
    pictured: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All items."""
        return self.labels.total()

    @property
    def scored(self) -> int:
        """Items with a score."""
        return sum(sum(counts) for counts in self.bins.values())


def standing(verdict: Verdict) -> str:
    """How an item is counted: by its label; ``unreadable`` with an error; ``none`` otherwise."""
    if verdict.error is not None:
        return "unreadable"
    return verdict.label or "none"


def tally(items: Iterable[Item], *, pictures: int) -> Tally:
    """Count items and choose those whose evidence is shown.

    These are the most suspicious: fakes before undecided ones before the rest, and among alike the
    higher score; what could not be read has nothing to show.

    Args:
        items: All of them.
        pictures: How many are shown at most.
    """
    found = Tally()
    worst: list[tuple[tuple[int, float, int], int]] = []
    for at, item in enumerate(items):
        verdict = item.verdict
        label = standing(verdict)
        found.labels[label] += 1
        found.kinds[verdict.kind] += 1
        found.models[verdict.model] += 1
        if verdict.p_fake is not None:
            counts = found.bins.setdefault(label, [0] * BINS)
            counts[min(int(verdict.p_fake * BINS), BINS - 1)] += 1
        if label != "unreadable" and pictures:
            p_fake = -1.0 if verdict.p_fake is None else verdict.p_fake
            entry = ((_RANK.get(label, 0), p_fake, -at), at)
            if len(worst) < pictures:
                heapq.heappush(worst, entry)
            else:
                heapq.heappushpop(worst, entry)
    found.pictured = [at for _, at in sorted(worst, reverse=True)]
    return found
