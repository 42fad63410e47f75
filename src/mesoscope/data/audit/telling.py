"""Findings about cues: what tells real from fake without a look at a face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.audit import severity
from mesoscope.data.audit.cues import FACTS
from mesoscope.data.audit.examples import of_classes
from mesoscope.data.audit.finding import SEVERITIES, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.data.audit.cues import Reach
    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.finding import Cue, Severity, Together

_MEANS = {
    "pixels": "It leaves traces in the pixels, so a model can learn it in place of forgeries.",
    "file": (
        "A model that sees pixels cannot read it, but it shows that the classes came about in "
        "different ways, and whatever reads whole files is misled."
    ),
    "place": (
        "A model that sees pixels cannot read it, but scripts that sort or split by names, and "
        "people who look, can."
    ),
    "content": (
        "It can be a true cue, as where fakes are blurred by their making, or a false one, as "
        "where one class came from better cameras. Look at examples before you decide."
    ),
}
_FIXES = {
    "pixels": (
        "Save both classes in the same way, from the same originals where you have them. `fix` "
        "gives both one size, one history of compression and one encoding."
    ),
    "file": "Take it from all files: `fix` does, and keeps the pixels where it can.",
    "place": "Name pictures by numbers in an order of chance and give all one date: `fix` does.",
    "content": "Compare examples; collect both classes in one way, or augment both alike.",
}
_MEASURED = (
    "Scored by values seen in other groups (five folds); .5 is guessing. Among them: {values}."
)


def of_cues(facts: Facts, cues: Sequence[Cue]) -> list[Finding]:
    """The strongest cue of each family in each scope, where it tells enough."""
    best: dict[tuple[str, str], tuple[Cue, Severity]] = {}
    for cue in cues:
        fact = FACTS[cue.name]
        found = severity.of_cue(fact.reach, cue.low)
        if found is None:
            continue
        key = fact.family, cue.scope
        known = best.get(key)
        rank = SEVERITIES.index(found), -cue.auc
        if known is None or rank < (SEVERITIES.index(known[1]), -known[0].auc):
            best[key] = cue, found
    return [_of_cue(facts, cue, found) for cue, found in best.values()]


def of_together(together: Sequence[Together], cues: Sequence[Cue]) -> list[Finding]:
    """What all facts together tell, of the whole set or a source."""
    found = []
    for one in together:
        reach: Reach = "pixels" if _by_pixels(one, cues) else "file"
        how = severity.of_cue(reach, one.low)
        if how is None:
            continue
        uses = ", ".join(FACTS[name].title for name, _ in one.uses[:4])
        where = one.scope or "this set"
        found.append(
            Finding(
                kind="cue.together",
                severity=how,
                title=(
                    f"{100 * one.accuracy:.0f} % of {where} can be told without looking at a face "
                    f"(AUC {_area(one)})"
                ),
                detail=(
                    "A gradient-boosted model of all facts of the files, without a pixel of a "
                    "face, told real from fake in groups that it had not seen; guessing gives 50 %."
                    + (f" It went by: {uses}." if uses else "")
                ),
                fix="Mend the cues below; `fix` takes those away that the encoding leaves.",
                count=one.pictures,
                scope=one.scope,
                action="encode",
            )
        )
    return found


def _by_pixels(one: Together, cues: Sequence[Cue]) -> bool:
    """Whether what leaves traces in the pixels has a part in it."""
    if any(FACTS[name].reach == "pixels" for name, _ in one.uses):
        return True
    return any(
        FACTS[cue.name].reach == "pixels" and cue.scope == one.scope and cue.low >= severity.CLEAR
        for cue in cues
    )


def _of_cue(facts: Facts, cue: Cue, found: Severity) -> Finding:
    fact = FACTS[cue.name]
    rows = np.flatnonzero(facts.rows_of(cue.scope) & facts.readable)
    values = ", ".join(f"{v.value} ({v.real:,} real, {v.fake:,} fake)" for v in cue.values[:4])
    return Finding(
        kind=f"cue.{fact.family}",
        severity=found,
        title=f"Real and fake are told by {fact.title} alone: AUC {_area(cue)}",
        detail=f"{_MEANS[fact.reach]} {_MEASURED.format(values=values)}",
        fix=_FIXES[fact.reach],
        count=cue.real + cue.fake,
        scope=cue.scope,
        action="" if fact.reach == "content" else "encode",
        examples=of_classes(facts, rows, lambda row: _says(facts, cue.name, row)),
    )


def _says(facts: Facts, name: str, row: int) -> str:
    title = FACTS[name].title
    if name in facts.categories:
        return f"{title}: {facts.categories[name].of(row) or 'none'}"
    value = float(facts.numbers[name][row])
    return f"{title}: {'none' if np.isnan(value) else f'{value:.4g}'}"


def _area(one: Cue | Together) -> str:
    shown = [f"{value:.2f}".lstrip("0") for value in (one.auc, one.low, one.high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"
