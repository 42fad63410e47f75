"""Cross-fitting: every picture is judged by what was learnt without its group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Codes

FOLDS = 5
_SHRINK = 2.0  # pictures of the mean rate that are added to each value's


def folds_of(groups: Codes, labels: NDArray[np.int8], *, seed: int) -> NDArray[np.int8]:
    """Deal groups into :data:`FOLDS` folds, with about as many of each class in each.

    Args:
        groups: ``(n,)``.
        labels: ``(n,)``.
        seed: Decides which group goes where.

    Returns:
        ``(n,)``, 0 to 4.
    """
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    fakes = np.bincount(member, weights=labels, minlength=len(sizes)) / sizes
    luck = np.random.default_rng(seed).random(len(sizes))
    fold = np.empty(len(sizes), np.int8)
    # Like a sorted deck: groups of one share of fakes and one size go to all folds in turn.
    fold[np.lexsort((luck, -sizes, fakes))] = np.arange(len(sizes)) % FOLDS
    return fold[member]


def rates(codes: Codes, labels: NDArray[np.int8], folds: NDArray[np.int8]) -> NDArray[np.float64]:
    """How fake each value is in the other folds, less their share of fakes.

    Rare values are drawn towards nothing, and one that other folds do not hold says nothing. This
    is target encoding (Micci-Barreca 2001, formula 3) without the leak of one's own label.

    Args:
        codes: ``(n,)``, each picture's value, not negative.
        labels: ``(n,)``.
        folds: ``(n,)``.

    Returns:
        ``(n,)``, higher = more fake.
    """
    scores = np.empty(len(codes))
    values = int(codes.max(initial=-1)) + 1
    for fold in range(FOLDS):
        held = folds == fold
        known, y = codes[~held], labels[~held]
        mean = float(y.mean()) if y.size else 0.5
        n = np.bincount(known, minlength=values)
        fakes = np.bincount(known, weights=y, minlength=values)
        rate = (fakes + _SHRINK * mean) / (n + _SHRINK) - mean
        scores[held] = rate[codes[held]]
    return scores
