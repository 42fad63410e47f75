"""Findings about duplicates and groups across splits, which inflate test scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.audit import severity
from mesoscope.data.audit.finding import AuditFinding
from mesoscope.data.audit.repeats import same_files
from mesoscope.data.audit.severity import set_examples
from mesoscope.data.sample import SPLITS
from mesoscope.types.label import CLASSES, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.repeats import NearPairs

    Ints = NDArray[np.int64]

# Priority of splits to keep a picture: evaluation splits before train.
_KEEPS = {split: rank for rank, split in enumerate(reversed(SPLITS))}


def repeat_findings(facts: Facts, near: NearPairs) -> list[AuditFinding]:
    """Report equal or nearly equal pictures with both labels, in several splits, or within one.

    Args:
        facts: Facts of all pictures.
        near: Pairs from :func:`mesoscope.data.audit.repeats.near_repeats`.
    """
    same = same_files(facts)
    two_labels = [rows for rows in same if len(set(facts.labels[rows])) > 1]
    others = [rows for rows in same if len(set(facts.labels[rows])) == 1]
    torn = [rows for rows in others if len(set(facts.splits.codes[rows])) > 1]
    within = [part for rows in others for part in _by_split(facts, rows) if len(part) > 1]
    found = []
    if two_labels:
        found.append(_both_labels(facts, two_labels))
    across = near.where(facts.splits.codes[near.first] != facts.splits.codes[near.second])
    if torn or len(across):
        found.append(_across(facts, torn, across))
    inner = near.where(facts.splits.codes[near.first] == facts.splits.codes[near.second])
    alike = facts.labels[inner.first] == facts.labels[inner.second]
    # Pairs across sources are reported by mesoscope.data.audit.sources.
    own = alike & (facts.sources.codes[inner.first] == facts.sources.codes[inner.second])
    if within or own.any():
        found.append(_within(facts, within, inner.where(own)))
    if not alike.all():
        found.append(_near_both(facts, inner.where(~alike)))
    return found


def group_findings(facts: Facts) -> list[AuditFinding]:
    """Report groups that occur in several splits."""
    sizes = np.bincount(facts.groups)
    splits = len(facts.splits.values)
    present = np.zeros((len(sizes), splits), bool)
    present[facts.groups, facts.splits.codes] = True
    torn = np.flatnonzero(present.sum(axis=1) > 1)
    if not len(torn):
        return []
    rows = np.flatnonzero(np.isin(facts.groups, torn))
    share = _share_of_held_out(facts, rows)
    sets = [_one_a_split(facts, np.flatnonzero(facts.groups == group)) for group in torn[:6]]
    return [
        AuditFinding(
            kind="groups.across_splits",
            severity=severity.leak_severity(share),
            title=(
                f"{plural(len(torn), 'group')} stand in several splits, with {100 * share:.1f} % "
                "of the held-out pictures"
            ),
            detail=(
                "Pictures of one video, person or original are alike. A model that has seen some "
                "of a group knows the others, so their score is memory."
            ),
            fix="Keep each group in one split: `fix` moves it whole, and keeps the splits' sizes.",
            count=len(rows),
            examples=set_examples(facts, sets, lambda row: f"group {facts.samples[row].group}"),
        )
    ]


def _both_labels(facts: Facts, sets: Sequence[Ints]) -> AuditFinding:
    rows = np.concatenate(sets)
    return AuditFinding(
        kind="repeats.both_labels",
        severity="severe",
        title=f"{plural(len(sets), 'file')} stand under both labels",
        detail="The same bytes are called real in one place and fake in another: one is wrong.",
        fix="Find out which label is right; `fix` leaves all copies out.",
        count=len(rows),
        action="drop",
        drop=_names(facts, rows),
        examples=set_examples(facts, sets, lambda row: f"called {CLASSES[facts.labels[row]]}"),
    )


def _across(facts: Facts, same: Sequence[Ints], near: NearPairs) -> AuditFinding:
    """Report repeats across splits; the copy in the split of lower priority is dropped."""
    gone: set[int] = set()
    touched: set[int] = set()
    for rows in same:
        ranks = [_KEEPS[facts.splits.of(int(row))] for row in rows]
        gone |= {int(r) for r, rank in zip(rows, ranks, strict=True) if rank > min(ranks)}
        touched |= set(map(int, rows))
    for first, second in zip(near.first.tolist(), near.second.tolist(), strict=True):
        one, other = (_KEEPS[facts.splits.of(row)] for row in (first, second))
        gone.add(first if one > other else second)
        touched |= {first, second}
    every = np.array(sorted(touched), np.int64)
    share = _share_of_held_out(facts, every)
    sets: list[Ints] = [*(_one_a_split(facts, rows) for rows in same[:3]), *_pairs(near)]
    copies = sum(len(rows) for rows in same)
    return AuditFinding(
        kind="repeats.across_splits",
        severity=severity.leak_severity(share),
        title=f"{100 * share:.1f} % of the held-out pictures stand in another split, too",
        detail=(
            f"{'No' if not copies else f'{copies:,}'} pictures are the same file in two splits, "
            f"and {plural(len(near), 'pair')} look the same but for size, compression, light or a "
            f"mirror{_by_source(facts, near)}. What is asked in validation was seen in training, "
            "so the score is memory."
        ),
        fix="Leave them out of the split that is trained on: `fix` does.",
        count=len(every),
        action="drop",
        drop=_names(facts, np.array(sorted(gone), np.int64)),
        examples=set_examples(facts, sets, lambda row: f"in {facts.splits.of(row)}"),
    )


def _within(facts: Facts, same: Sequence[Ints], near: NearPairs) -> AuditFinding:
    gone = np.concatenate([rows[1:] for rows in same]) if same else np.empty(0, np.int64)
    count = len(gone) + len(near)
    return AuditFinding(
        kind="repeats.within_split",
        severity=severity.unusable_severity(count / len(facts.samples)),
        title=" and ".join(
            [f"{plural(len(gone), 'file')} there again in one split"] * bool(len(gone))
            + [f"{plural(len(near), 'pair')} of one split that look nearly the same"]
            * bool(len(near))
        ),
        detail=(
            "What is there twice counts twice, in training and in a score."
            + (f" Pairs{_by_source(facts, near)}." if len(near) else "")
        ),
        fix=" ".join(
            ["`fix` leaves out files that are there again."] * bool(len(gone))
            + ["Put near copies into one group."] * bool(len(near))
        ),
        count=count,
        action="drop" if len(gone) else "",
        drop=_names(facts, gone),
        examples=set_examples(facts, [*same[:3], *_pairs(near)], lambda _: "looks the same"),
    )


def _near_both(facts: Facts, near: NearPairs) -> AuditFinding:
    return AuditFinding(
        kind="repeats.near_both_labels",
        severity="note",
        title=f"{plural(len(near), 'pair')} of a real and a fake look nearly the same",
        detail=(
            "A forgery beside the picture that it was made from looks like that, and is good to "
            "train on. If it is not one, a label is wrong."
        ),
        fix="Look at the pairs. Give a forgery and its original one group.",
        count=2 * len(near),
        examples=set_examples(
            facts, _pairs(near), lambda row: f"called {CLASSES[facts.labels[row]]}"
        ),
    )


def _by_source(facts: Facts, near: NearPairs) -> str:
    """Count pairs by source, the most first: ``: 57 in dfdc, 18 in openforensics``."""
    count = np.bincount(facts.sources.codes[near.first], minlength=len(facts.sources.values))
    order = [int(code) for code in np.argsort(-count, kind="stable") if count[code]]
    shown = ", ".join(f"{count[code]:,} in {facts.sources.values[code]}" for code in order[:6])
    return f": {shown}" if shown else ""


def _pairs(near: NearPairs) -> list[Ints]:
    """Return the pairs, the least alike first, as the most doubtful."""
    order = np.argsort(near.likeness, kind="stable")[:6]
    return [np.array([near.first[i], near.second[i]], np.int64) for i in order]


def _by_split(facts: Facts, rows: Ints) -> list[Ints]:
    """Return rows grouped by split."""
    codes = facts.splits.codes[rows]
    return [rows[codes == code] for code in np.unique(codes)]


def _one_a_split(facts: Facts, rows: Ints) -> Ints:
    _, first = np.unique(facts.splits.codes[rows], return_index=True)
    return rows[first]


def _share_of_held_out(facts: Facts, rows: Ints) -> float:
    """Return the share of the pictures outside ``train`` among these rows."""
    if "train" not in facts.splits.values:
        return len(rows) / len(facts.samples)
    train = facts.splits.values.index("train")
    held_out = int((facts.splits.codes != train).sum())
    among = int((facts.splits.codes[rows] != train).sum())
    return among / held_out if held_out else 0.0


def _names(facts: Facts, rows: Ints) -> tuple[str, ...]:
    return tuple(facts.names[int(row)] for row in rows)
