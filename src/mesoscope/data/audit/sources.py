"""Findings about sources: those that predict the class, are small, or lie in one split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope import metrics
from mesoscope.data.audit import severity
from mesoscope.data.audit.finding import AuditFinding
from mesoscope.data.audit.severity import format_auc, set_examples
from mesoscope.types.label import CLASSES, plural

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.repeats import NearPairs

    Ints = NDArray[np.int64]


def source_findings(facts: Facts, near: NearPairs) -> list[AuditFinding]:
    """Report problems of the sources of a set and of their groups.

    Args:
        facts: Facts of all pictures.
        near: Pairs from :func:`mesoscope.data.audit.repeats.near_repeats`.
    """
    found = _ungrouped(facts)
    if len(facts.sources.values) > 1:
        found += [
            *_predictive_sources(facts),
            *_shared(facts, near),
            *_in_one_split(facts),
            *_small(facts),
        ]
    return found


def _counts(facts: Facts) -> Ints:
    """``(sources, 2)``: numbers of reals and fakes."""
    count = np.zeros((len(facts.sources.values), 2), np.int64)
    np.add.at(count, (facts.sources.codes, facts.labels.astype(np.int64)), 1)
    return count


def _predictive_sources(facts: Facts) -> list[AuditFinding]:
    """Report how well the source alone predicts the class."""
    count = _counts(facts)
    share = count[:, 1] / count.sum(axis=1)
    auc = metrics.roc_auc(facts.labels, share[facts.sources.codes])
    how = severity.source_severity(auc)
    if how is None:
        return []
    order = np.argsort(share, kind="stable")
    ends = dict.fromkeys((int(order[0]), int(order[-1])))
    shown = ", ".join(
        f"{facts.sources.values[code]} ({count[code, 0]:,} real, {count[code, 1]:,} fake)"
        for code in ends
    )
    return [
        AuditFinding(
            kind="sources.tell",
            severity=how,
            title=f"To know a picture's source tells its class: AUC {format_auc(auc)}",
            detail=(
                f"Sources differ in their share of fakes, most of all {shown}. Sources differ in "
                "camera, size and compression, too, and a model that learns to tell them is right "
                "more often than by chance without a look at a face."
            ),
            fix=(
                "Add pictures of the class that is rare in a source, or draw both classes of each "
                "source alike in training (data.balance_classes)."
            ),
            count=len(facts.samples),
        )
    ]


def _shared(facts: Facts, near: NearPairs) -> list[AuditFinding]:
    """Report sources that share pictures."""
    codes = facts.sources.codes
    ours, theirs = codes[near.first], codes[near.second]
    alike = facts.labels[near.first] == facts.labels[near.second]
    found = []
    pairs = np.unique(
        np.sort(np.column_stack((ours, theirs))[(ours != theirs) & alike], axis=1), axis=0
    )
    for one, other in pairs:
        of = alike & (((ours == one) & (theirs == other)) | ((ours == other) & (theirs == one)))
        some = near.where(of)
        rows = np.unique(np.concatenate((some.first, some.second)))
        sizes = [int((codes == code).sum()) for code in (one, other)]
        in_each = [int((codes[rows] == code).sum()) for code in (one, other)]
        share = max(count / size for count, size in zip(in_each, sizes, strict=True))
        names = [facts.sources.values[code] for code in (one, other)]
        fakes = int(facts.labels[rows].sum())
        kinds = {0: CLASSES[0], len(rows): CLASSES[1]}.get(fakes, "real and fake")
        sets = [np.array([a, b]) for a, b in zip(some.first, some.second, strict=True)]
        found.append(
            AuditFinding(
                kind="repeats.across_sources",
                severity=severity.unusable_severity(share),
                title=(
                    f"{names[0]} and {names[1]} hold the same {kinds} pictures: {in_each[0]:,} of "
                    f"{sizes[0]:,} and {in_each[1]:,} of {sizes[1]:,}"
                ),
                detail=(
                    "They look the same but for size, compression, light or a mirror. Held out for "
                    "a test, the one source is no stranger to a model that has seen the other."
                ),
                fix="Hold both out together; give the same picture one group in both.",
                count=len(rows),
                examples=set_examples(facts, sets, lambda row: f"in {facts.sources.of(row)}"),
            )
        )
    return found


def _in_one_split(facts: Facts) -> list[AuditFinding]:
    """Report sources that lie in one of several splits only."""
    if len(facts.splits.values) < 2:
        return []
    found = []
    for source in facts.sources.values:
        rows = facts.rows_of(source)
        splits = np.unique(facts.splits.codes[rows])
        if len(splits) > 1:
            continue
        split = facts.splits.values[splits[0]]
        trained = split == "train"
        found.append(
            AuditFinding(
                kind="sources.one_split",
                severity="note",
                title=f"{source} stands in {split} only",
                detail=(
                    "How well a model does on it is not measured."
                    if trained
                    else "Its figures tell of pictures from elsewhere, if that is what is meant."
                ),
                fix="Fine, if it is meant so; else split its groups as those of other sources.",
                count=int(rows.sum()),
                scope=source,
            )
        )
    return found


def _small(facts: Facts) -> list[AuditFinding]:
    """Report sources that are too small beside the others."""
    sizes = _counts(facts).sum(axis=1)
    largest = int(sizes.argmax())
    small = np.flatnonzero(sizes * severity.SMALLER < sizes[largest])
    if not len(small):
        return []
    names = ", ".join(
        f"{facts.sources.values[code]} ({sizes[code]:,})"
        for code in small[np.argsort(sizes[small])]
    )
    return [
        AuditFinding(
            kind="sources.small",
            severity="note",
            title=(
                f"{plural(len(small), 'source')} with less than a fifth of the pictures of "
                f"{facts.sources.values[largest]} ({sizes[largest]:,}): {names}"
            ),
            detail=(
                "Drawn as they lie, small sources hardly count in training and in a figure over "
                "all; drawn as often as others, a network learns their pictures by heart."
            ),
            fix=(
                "Balance by source and augment (data.source_power); read figures by source, "
                "with their intervals."
            ),
            count=int(sizes[small].sum()),
        )
    ]


def _ungrouped(facts: Facts) -> list[AuditFinding]:
    """Report sources in which every picture is a group of its own."""
    names, count = [], 0
    for source in facts.sources.values:
        of = facts.rows_of(source)
        if len(np.unique(facts.groups[of])) == of.sum():
            names.append(source)
            count += int(of.sum())
    if not names:
        return []
    every = len(names) == len(facts.sources.values)
    where = "" if every else f" in {', '.join(names)}"
    return [
        AuditFinding(
            kind="groups.unknown",
            severity="note",
            title=f"No groups are known{where}: each picture is one of its own",
            detail=(
                "Whether one person, video or original stands in two splits can be told from near "
                "copies only. Intervals take pictures for independent, and may be too narrow."
            ),
            fix="Name groups in the manifest, if the set tells of videos, people or originals.",
            count=count,
        )
    ]
