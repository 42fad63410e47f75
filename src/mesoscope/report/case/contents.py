"""All that a report shows, put together once for whatever form it is written in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesoscope.report.case.evidence import Evidence, gather
from mesoscope.report.case.tally import Tally, tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mesoscope.report.case.evidence import Judge
    from mesoscope.report.case.facts import CaseDetails, ModelFacts, Settings
    from mesoscope.report.case.items import Item
    from mesoscope.types import Thresholds, Verdict

PICTURES = 24  # items whose evidence is shown, unless another number is asked for


@dataclass(frozen=True, slots=True)
class Contents:
    """What a report shows.

    Attributes:
        details: Of the case.
        items: All items, in their order; read several times.
        tally: Their counts, and which of them are shown with evidence.
        evidence: Of those, in the same order.
        models: That gave the answers.
        settings: By which they were given; ``None`` where that is not known.
        thresholds: In force; ``None`` where they are not known.
    """

    details: CaseDetails
    items: Iterable[Item]
    tally: Tally
    evidence: Sequence[Evidence]
    models: tuple[ModelFacts, ...]
    settings: Settings | None
    thresholds: Thresholds | None

    @property
    def whole(self) -> dict[int, tuple[int, Verdict]]:
        """By place among the items: an item's number in the report, from 1, and its verdict."""
        places = zip(self.tally.pictured, self.evidence, strict=True)
        return {place: (n, one.verdict) for n, (place, one) in enumerate(places, 1)}


def collect(
    items: Iterable[Item],
    details: CaseDetails,
    *,
    models: Callable[[Iterable[str]], tuple[ModelFacts, ...]],
    settings: Settings | None = None,
    thresholds: Thresholds | None = None,
    judge: Judge | None = None,
    pictures: int = PICTURES,
    watch: Callable[[int, int], None] | None = None,
) -> Contents:
    """Count the items, and gather evidence for the most suspicious of them.

    Args:
        items: All of them; read several times, as :class:`~mesoscope.report.case.items.Spool`.
        details: Of the case.
        models: Finds the facts of models by the names that verdicts have.
        settings: By which the answers were given, where that is known.
        thresholds: In force, where that is known.
        judge: Judges once more, for evidence maps.
        pictures: Items whose evidence is shown, at most.
        watch: Called after each of these with how many are done, and of how many.
    """
    counted = tally(items, pictures=pictures)
    wanted = set(counted.pictured)
    gathered: dict[int, Evidence] = {}
    for place, item in enumerate(items):
        if place in wanted:
            gathered[place] = gather(item, judge)
            if watch is not None:
                watch(len(gathered), len(wanted))
            if len(gathered) == len(wanted):
                break
    return Contents(
        details=details,
        items=items,
        tally=counted,
        evidence=[gathered[place] for place in counted.pictured],
        models=models(counted.models),
        settings=settings,
        thresholds=thresholds,
    )
