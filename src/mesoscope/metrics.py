"""The field's figures of merit, each once, in plain numpy. Fake = 1 is the positive class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "METRICS",
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "bootstrap",
    "brier",
    "ece",
    "eer",
    "measure",
    "reliability",
    "roc",
    "roc_auc",
    "tpr_at_fpr",
]


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a fake scores above a real, ties half.

    By ranks (Mann & Whitney 1947).

    Args:
        labels: ``(n,)``, 1 = fake, 0 = real.
        scores: ``(n,)``, higher = more fake.

    Returns:
        0 to 1; ``nan`` where a class is missing.
    """
    y, s = _checked(labels, scores)
    n_fake = int(y.sum())
    n_real = len(y) - n_fake
    if not n_fake or not n_real:
        return float("nan")
    _, where, count = np.unique(s, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # the mean rank of each tied run
    return float((rank[where][y == 1].sum() - n_fake * (n_fake + 1) / 2) / (n_fake * n_real))


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    y, s = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    if y.shape != s.shape or y.ndim != 1:
        raise OptionError(f"labels and scores must be (n,) alike, got {y.shape} and {s.shape}")
    if not np.isin(y, (0, 1)).all() or not np.isfinite(s).all():
        raise OptionError("labels must be 0 or 1, and scores finite")
    return y, s
