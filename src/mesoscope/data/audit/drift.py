"""Findings about differences between splits and between sources, regardless of class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.audit import severity
from mesoscope.data.audit.cues import FACTS, codes_of, cue_auc, enough_groups
from mesoscope.data.audit.finding import AuditFinding
from mesoscope.data.audit.severity import format_auc, set_examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.options import AuditOptions

    Ints = NDArray[np.int64]

_SEEN = ("pixels", "content")  # reaches that a network sees
_OF_ENCODING = ("format", "size", "tables")
# Relative error reduction over always naming the largest source; less is not reported.
_GAIN_MIN = 0.2
_SHOWN = 4
_MIDDLE = (0.4, 0.5, 0.6)  # quantiles from which example pictures are taken


def drift_findings(facts: Facts, options: AuditOptions) -> list[AuditFinding]:
    """Report held-out pictures of a source that differ from its train pictures.

    Args:
        facts: Facts of all pictures.
        options: Number of resamples and seed.

    Returns:
        One finding for each source and held-out split in which a fact differs clearly.
    """
    if "train" not in facts.splits.values:
        return []
    found = []
    for source in facts.sources.values:
        for split in facts.splits.values:
            if split != "train":
                found += _of_split(facts, source, split, options)
    return found


def encoding_findings(facts: Facts) -> list[AuditFinding]:
    """Report how well the encoding alone predicts the source of a picture."""
    if len(facts.sources.values) < 2:
        return []
    rows = np.flatnonzero(facts.readable)
    if not len(rows):
        return []
    kinds, names = _encodings(facts, rows)
    count = np.zeros((len(names), len(facts.sources.values)), np.int64)
    np.add.at(count, (kinds, facts.sources.codes[rows]), 1)
    accuracy = count.max(axis=1).sum() / len(rows)
    guessed = count.sum(axis=0).max() / len(rows)
    if accuracy - guessed < _GAIN_MIN * (1 - guessed):
        return []
    commonest = count.argmax(axis=0)
    shown = "; ".join(
        f"{source}: {names[commonest[code]]}" for code, source in enumerate(facts.sources.values)
    )
    return [
        AuditFinding(
            kind="sources.encoded_apart",
            severity="note",
            title=(
                f"Format, size and compression alone name the source of {100 * accuracy:.0f} % of "
                f"the pictures; always naming the largest is right for {100 * guessed:.0f} %"
            ),
            detail=(
                f"Commonest are {shown}. Where each source holds both classes alike that tells "
                "no class, but a model can learn a rule for each source, and a source of another "
                "encoding is then new to it."
            ),
            fix=(
                "Keep both classes of each source balanced, and change size and compression at "
                "random in training (augment)."
            ),
            count=len(rows),
        )
    ]


def _encodings(facts: Facts, rows: Ints) -> tuple[Ints, list[str]]:
    """Return a code for each distinct encoding, and descriptions."""
    columns = [facts.categories[name] for name in _OF_ENCODING if name in facts.categories]
    table = np.column_stack([column.codes[rows] for column in columns])
    values, kinds = np.unique(table, axis=0, return_inverse=True)
    names = [
        ", ".join(c.values[code] for c, code in zip(columns, value, strict=True) if code >= 0)
        for value in values
    ]
    return kinds.reshape(-1), names


def _of_split(facts: Facts, source: str, split: str, options: AuditOptions) -> list[AuditFinding]:
    train, held = (facts.splits.values.index(name) for name in ("train", split))
    rows = np.flatnonzero(
        facts.rows_of(source) & facts.readable & np.isin(facts.splits.codes, (train, held))
    )
    is_held = (facts.splits.codes[rows] == held).astype(np.int8)
    groups = facts.groups[rows]
    if not enough_groups(is_held, groups):
        return []
    differing: list[tuple[float, float, float, str]] = []  # low, AUC, high, name
    for name, fact in FACTS.items():
        codes = codes_of(facts, name, rows) if fact.reach in _SEEN else None
        if codes is None or codes.min() < 0 or codes.min() == codes.max():
            continue
        auc, low, high = cue_auc(codes, is_held, groups, options)
        differing.append((low, auc, high, name))
    differing = [
        one
        for one in sorted(differing, reverse=True)
        if severity.drift_severity(one[0]) is not None
    ]
    how = severity.drift_severity(differing[0][0]) if differing else None
    if how is None:
        return []
    low, auc, high, strongest = differing[0]
    every = ", ".join(
        f"{FACTS[name].title} ({format_auc(one)})" for _, one, _, name in differing[:_SHOWN]
    )
    return [
        AuditFinding(
            kind="splits.differ",
            severity=how,
            title=(
                f"{source}: {split} differs from train in {FACTS[strongest].title}: AUC "
                f"{format_auc(auc)} [{format_auc(low)}, {format_auc(high)}]"
                f"{_medians(facts, strongest, rows, is_held)}"
            ),
            detail=(
                f"So well do facts alone tell the two splits apart (.5 is not at all): {every}. A "
                "score there tells of somewhat other pictures than those of training, and a "
                "threshold chosen on the one may not fit the other."
            ),
            fix="Split one pool of groups by chance, or know that the split is harder or easier.",
            count=len(rows),
            scope=source,
            examples=set_examples(
                facts,
                _pairs(facts, strongest, rows, is_held),
                lambda row: (
                    f"{facts.splits.of(row)}: {FACTS[strongest].title} "
                    f"{facts.numbers[strongest][row]:.3g}"
                ),
            ),
        )
    ]


def _medians(facts: Facts, name: str, rows: Ints, is_held: NDArray[np.int8]) -> str:
    if name not in facts.numbers:
        return ""
    values = facts.numbers[name][rows]
    held, train = (float(np.median(values[is_held == side])) for side in (1, 0))
    return f", median {held:.3g} against {train:.3g}"


def _pairs(facts: Facts, name: str, rows: Ints, is_held: NDArray[np.int8]) -> list[Ints]:
    """Pair train pictures with held-out ones, each from about the middle of its split."""
    if name not in facts.numbers:
        return []
    sides = []
    for side in (0, 1):
        of = rows[is_held == side]
        order = of[np.argsort(facts.numbers[name][of], kind="stable")]
        sides.append([order[int(place * (len(order) - 1))] for place in _MIDDLE])
    return [np.array(pair, np.int64) for pair in zip(*sides, strict=True)]
