"""One group, one split: which split each group that stands in several goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts


def settle_groups(facts: Facts, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give every group one split, so that the splits keep their sizes as nearly as they can.

    Groups that stand in one split stay. Of the others, the largest first, each goes whole into that
    one of its splits which lacks most of what it held before, counted by source and class.

    Args:
        facts: Of all pictures.
        kept: ``(k,)``, the rows that are kept.

    Returns:
        ``(k,)``, each kept row's split as a code of ``facts.splits``.
    """
    splits = facts.splits.codes[kept].astype(np.int64)
    n_splits = len(facts.splits.values)
    _, member = np.unique(facts.groups[kept], return_inverse=True)
    stands = np.zeros((int(member.max(initial=-1)) + 1, n_splits), bool)
    stands[member, splits] = True
    torn = stands.sum(axis=1) > 1
    if not torn.any():
        return splits
    # A cell is a source's class: what each split held of it, and what it holds so far.
    cell = facts.sources.codes[kept].astype(np.int64) * 2 + facts.labels[kept]
    held = np.zeros((n_splits, int(cell.max()) + 1))
    np.add.at(held, (splits, cell), 1)
    settled = np.zeros_like(held)
    stays = ~torn[member]
    np.add.at(settled, (splits[stays], cell[stays]), 1)
    rows_of = _rows_of(member, np.flatnonzero(torn))
    for rows in sorted(rows_of, key=lambda rows: (-len(rows), int(rows[0]))):
        count = np.bincount(cell[rows], minlength=held.shape[1])
        lacks = (held - settled) / np.maximum(held, 1)  # shares, so that small splits are filled
        standing = stands[member[rows[0]]]
        gain = np.where(standing, (lacks * count).sum(axis=1), -np.inf)
        best = int(gain.argmax())
        settled[best] += count
        splits[rows] = best
    return splits


def _rows_of(member: NDArray[np.int64], groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each of these groups."""
    order = np.argsort(member, kind="stable")
    begins = np.searchsorted(member[order], groups, side="left")
    ends = np.searchsorted(member[order], groups, side="right")
    return [order[begin:end] for begin, end in zip(begins, ends, strict=True)]
