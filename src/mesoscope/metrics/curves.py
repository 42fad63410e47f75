"""The curves behind the figures, for plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.metrics.figures import BINS, Counts, Ranked, bin_of, checked, probabilities

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


class Curve(NamedTuple):
    """One point a threshold, from the strictest to the most lenient.

    Attributes:
        x: ``(t,)``, false-positive rate or recall.
        y: ``(t,)``, true-positive rate or precision.
        thresholds: ``(t,)``, falling; what scores from there on is called fake. The ROC curve
            begins with infinity: nothing is called fake.
    """

    x: Floats
    y: Floats
    thresholds: Floats


class Reliability(NamedTuple):
    """What the scores promise and what is the case, in bins of equal width.

    Attributes:
        edges: ``(bins + 1,)``, 0 to 1; a bin holds its lower edge, the last also its upper one.
        samples: ``(bins,)``, how many stand in it.
        mean_p_fake: ``(bins,)``, ``nan`` where a bin is empty.
        share_fake: ``(bins,)``, ``nan`` where a bin is empty.
    """

    edges: Floats
    samples: Ints
    mean_p_fake: Floats
    share_fake: Floats


def roc(labels: ArrayLike, scores: ArrayLike) -> Curve:
    """The ROC curve, from (0, 0) to (1, 1): false-positive rate, true-positive rate.

    Returns:
        Every threshold; all ``nan`` on an axis whose class is missing.
    """
    ranked = Ranked(*checked(labels, scores))
    counts = Counts(ranked, np.ones((1, ranked.n)))
    thresholds = np.concatenate([[np.inf], ranked.thresholds])
    return Curve(counts.fpr[0], counts.tpr[0], thresholds)


def precision_recall(labels: ArrayLike, scores: ArrayLike) -> Curve:
    """The precision–recall curve: recall, precision.

    Returns:
        Every threshold; recall is ``nan`` without a fake.
    """
    ranked = Ranked(*checked(labels, scores))
    counts = Counts(ranked, np.ones((1, ranked.n)))
    tp, fp = counts.tp[0, 1:], counts.fp[0, 1:]
    return Curve(counts.tpr[0, 1:], tp / (tp + fp), ranked.thresholds)


def reliability(labels: ArrayLike, p_fake: ArrayLike, *, bins: int = BINS) -> Reliability:
    """Promised and true share of fakes, by score."""
    y, p = probabilities(labels, p_fake)
    where = bin_of(p, bins)
    count = np.bincount(where, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(where, p, bins) / count
        share = np.bincount(where, y.astype(np.float64), bins) / count
    return Reliability(np.linspace(0, 1, bins + 1), count, mean, share)
