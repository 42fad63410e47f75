"""Findings about pictures that cannot be used, and about classes that are not of one size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.audit import severity
from mesoscope.data.audit.cues import LEAST_GROUPS
from mesoscope.data.audit.examples import of_rows
from mesoscope.data.audit.finding import Finding, Part
from mesoscope.data.audit.repeats import BLANK_SPREAD
from mesoscope.data.sample import SPLITS
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.finding import Action

TINY_PX = 48  # a short side below shows no detail that a forgery could betray itself by


def parts_of(facts: Facts) -> list[Part]:
    """Counts by source and split."""
    found = []
    for source in facts.sources.values:
        for split in SPLITS:
            if split not in facts.splits.values:
                continue
            of = facts.rows_of(source) & (facts.splits.codes == facts.splits.values.index(split))
            if of.any():
                fakes = int(facts.labels[of].sum())
                found.append(Part(source, split, int(of.sum()) - fakes, fakes))
    return found


def of_pictures(facts: Facts) -> list[Finding]:
    """Unreadable, blank and tiny pictures."""
    found = []
    spoilt = np.array(sorted(facts.unreadable), np.int64)
    if len(spoilt):
        why = "; ".join(dict.fromkeys(facts.unreadable[int(row)] for row in spoilt[:3]))
        found.append(
            _of_rows(facts, spoilt, "pictures.unreadable", "cannot be read", f"Such as: {why}.",
                     "Fetch them again, or leave them out: --fix does.", "drop"),
        )  # fmt: skip
    if "spread" not in facts.numbers:
        return found
    blank = np.flatnonzero(facts.readable & (facts.numbers["spread"] < BLANK_SPREAD))
    if len(blank):
        found.append(
            _of_rows(facts, blank, "pictures.blank", "show nothing",
                     "All their pixels have nearly one colour.", "--fix leaves them out.", "drop"),
        )  # fmt: skip
    short = np.minimum(facts.numbers["width"], facts.numbers["height"])
    tiny = np.flatnonzero(facts.readable & (short < TINY_PX))
    if len(tiny):
        found.append(
            _of_rows(facts, tiny, "pictures.tiny", f"are smaller than {TINY_PX} pixels",
                     "Blown up for a network, they are smooth: what betrays a forgery is gone.",
                     "Leave them out, or crop them from larger originals.", ""),
        )  # fmt: skip
    return found


def of_balance(facts: Facts) -> list[Finding]:
    """Splits and sources where one class is much larger, or alone; and sources that are small."""
    found = []
    for part_of, name, mask in _parts(facts):
        count = [int((facts.labels[mask] == label).sum()) for label in (0, 1)]
        larger = int(np.argmax(count))
        share = count[larger] / sum(count)
        if not min(count):
            found.append(_one_class(part_of, name, larger, sum(count)))
        elif (how := severity.of_balance(share)) is not None:
            found.append(
                Finding(
                    kind="balance.classes",
                    severity=how,
                    title=f"{100 * share:.0f} % of {name} are {CLASSES[larger]}",
                    detail=(
                        "A model that always says so is right that often, and accuracy says "
                        "little. AUC does not depend on it."
                    ),
                    fix="Balance the classes in training (data.balance_classes), or collect more.",
                    count=sum(count),
                    scope=name if part_of == "source" else "",
                )
            )
    return found


def too_few(facts: Facts) -> list[str]:
    """Sources that are too small for a figure, in words."""
    lines = []
    for source in facts.sources.values:
        of = facts.rows_of(source) & facts.readable
        groups = [len(np.unique(facts.groups[of & (facts.labels == y)])) for y in (0, 1)]
        if min(groups) < LEAST_GROUPS:
            lines.append(
                f"Cues in {source}: {groups[0]} groups of reals and {groups[1]} of fakes are too "
                f"few, {LEAST_GROUPS} of each are needed."
            )
    return lines


def _parts(facts: Facts) -> list[tuple[str, str, NDArray[np.bool_]]]:
    splits = [
        ("split", name, facts.splits.codes == code) for code, name in enumerate(facts.splits.values)
    ]
    sources = [("source", name, facts.rows_of(name)) for name in facts.sources.values]
    return splits + (sources if len(sources) > 1 else [])


def _one_class(part_of: str, name: str, label: int, count: int) -> Finding:
    source = part_of == "source"
    return Finding(
        kind="balance.one_class",
        severity="warning",
        title=f"{name} holds {CLASSES[label]} pictures only",
        detail=(
            "Whatever tells this source from the others tells the class, too: its cameras, sizes, "
            "places."
            if source
            else "Nothing can be measured there that compares the classes."
        ),
        fix="Add pictures of the other class that came about in the same way.",
        count=count,
        scope=name if source else "",
    )


def _of_rows(
    facts: Facts,
    rows: NDArray[np.int64],
    kind: str,
    what: str,
    detail: str,
    fix: str,
    action: Action,
) -> Finding:
    fakes = int(facts.labels[rows].sum())
    one = len(rows) == 1
    return Finding(
        kind=kind,
        severity=severity.of_spoilt(len(rows) / len(facts.samples)),
        title=(
            f"{len(rows):,} {'picture' if one else 'pictures'} {what}: {len(rows) - fakes:,} real, "
            f"{fakes:,} fake"
        ),
        detail=detail,
        fix=fix,
        count=len(rows),
        action=action,
        drop=tuple(facts.names[int(row)] for row in rows) if action else (),
        examples=of_rows(facts, rows, lambda row: _size(facts, row)),
    )


def _size(facts: Facts, row: int) -> str:
    if row in facts.unreadable:
        return "unreadable"
    return f"{facts.numbers['width'][row]:.0f}×{facts.numbers['height'][row]:.0f}"
