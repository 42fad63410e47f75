"""One pass over a report's items: their counts, how scores lie, which are most suspicious."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesoscope.types.label import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mesoscope.report.case.items import Item
    from mesoscope.types import Answer

BINS = 20
_RANK: Mapping[Answer, int] = {"fake": 2, "inconclusive": 1}
SHOWN = sorted(ANSWERS, key=lambda answer: -_RANK.get(answer, 0))  # as they are shown


@dataclass(slots=True)
class Tally:
    """What a report's items come to.

    Attributes:
        labels: Items by their answer.
        kinds: ``image`` and ``clip``.
        bins: ``{label: counts}`` of ``p_fake`` in :data:`BINS` equal bins; 1 is in the last.
        models: Verdicts by the model that gave them.
        pictured: Places of the items to be shown with their evidence, the most suspicious first.
    """

    labels: Counter[Answer] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    bins: dict[Answer, list[int]] = field(default_factory=dict)
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
        label = verdict.answer
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
