"""Metrics on weighted samples, and their curves.

A plain measurement has weights of one. In a bootstrap over groups, the samples of a group that was
drawn k times have the weight k. So the samples are sorted once, and a thousand resamples are
cumulative sums over them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


CUT = 0.5  # scores from here on are called fake
FPR_LIMIT = 0.01
BINS = 15  # of the calibration error, as is usual


def measure(labels: ArrayLike, p_fake: ArrayLike) -> dict[str, float]:
    """Compute all of :data:`METRICS`.

    Args:
        labels: ``(n,)``, 1 = fake, 0 = real.
        p_fake: ``(n,)``, 0 to 1, higher = more fake.

    Returns:
        A value for each name. NaN where it is undefined: all of them without a sample, and with one
        class missing those that compare both (``balanced_accuracy``, ``auc``, ``eer``, ``ap``,
        ``tpr_at_fpr_0.01``).

    Raises:
        OptionError: Labels are not 0 or 1, or scores are outside 0..1.
    """
    ranked = Ranked(*probabilities(labels, p_fake))
    counts = ConfusionCounts(ranked, np.ones((1, ranked.n)))
    return {name: float(figure(counts)[0]) for name, figure in FIGURES.items()}


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Compute the area under the ROC curve: the chance that a fake scores above a real, ties half.

    The trapezoidal area equals the rank statistic of Mann & Whitney (1947).

    Args:
        labels: ``(n,)``, 1 = fake, 0 = real.
        scores: ``(n,)``, higher = more fake.

    Returns:
        0 to 1; NaN if a class is missing.
    """
    ranked = Ranked(*validated(labels, scores))
    return float(_auc(ConfusionCounts(ranked, np.ones((1, ranked.n))))[0])


class Ranked:
    """Samples sorted by falling score. Equal scores form one step."""

    def __init__(self, labels: Ints, scores: Floats) -> None:
        self.n = len(scores)
        self.order = np.argsort(-scores, kind="stable")
        self.y, self.p = labels[self.order].astype(np.float64), scores[self.order]
        self.last = np.flatnonzero(np.append(self.p[1:] != self.p[:-1], True)[: self.n])
        self.thresholds = self.p[self.last]

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """``(n,)``: whether the label by the cut at .5 is right."""
        right: NDArray[np.bool_] = (self.p >= CUT) == (self.y == 1)
        return right

    @cached_property
    def gaps(self) -> Floats:
        """``(n, BINS)``: label minus score, in the column of the score's bin."""
        gaps = np.zeros((self.n, BINS))
        gaps[np.arange(self.n), bin_of(self.p, BINS)] = self.y - self.p
        return gaps


class ConfusionCounts:
    """Weighted counts: a row per resample, a column per threshold, the first at infinity."""

    def __init__(self, ranked: Ranked, weights: Floats) -> None:
        self.ranked, self.weights = ranked, weights  # (b, n)
        self.n = weights.sum(axis=1)
        self.tp = self._steps(weights * ranked.y)  # (b, t + 1)
        self.fp = self._steps(weights) - self.tp
        self.n_fake, self.n_real = self.tp[:, -1], self.fp[:, -1]

    def _steps(self, weights: Floats) -> Floats:
        sums = np.cumsum(weights, axis=1)[:, self.ranked.last]
        return np.concatenate([np.zeros((len(sums), 1)), sums], axis=1)

    @cached_property
    def tpr(self) -> Floats:
        """True-positive rates, ``(b, t + 1)``."""
        return ratio(self.tp, self.n_fake[:, None])

    @cached_property
    def fpr(self) -> Floats:
        """False-positive rates, ``(b, t + 1)``."""
        return ratio(self.fp, self.n_real[:, None])

    @cached_property
    def both(self) -> NDArray[np.bool_]:
        """``(b,)``: whether both classes occur."""
        return (self.n_fake > 0) & (self.n_real > 0)


def ratio(part: Floats, whole: Floats) -> Floats:
    """Compute ``part / whole``, NaN where the whole is 0."""
    out = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def bin_of(p_fake: Floats, bins: int) -> Ints:
    """Return equal-width bin indices in 0..1; a bin includes its lower edge, the last also 1."""
    return np.minimum((p_fake * bins).astype(np.int64), bins - 1)


def probabilities(labels: ArrayLike, p_fake: ArrayLike) -> tuple[Ints, Floats]:
    """Validate labels and scores, the scores in 0..1, and return them as arrays.

    Raises:
        OptionError: They are not valid.
    """
    y, p = validated(labels, p_fake)
    if p.size and (p.min() < 0 or p.max() > 1):
        raise OptionError(f"p_fake must lie in 0..1, got {p.min():.3g} to {p.max():.3g}")
    return y, p


def validated(labels: ArrayLike, scores: ArrayLike) -> tuple[Ints, Floats]:
    """Validate labels and scores, and return them as arrays.

    Raises:
        OptionError: Shapes differ, labels are not 0 or 1, or scores are not numbers.
    """
    y, s = np.asarray(labels), np.asarray(scores, np.float64)
    if y.shape != s.shape or y.ndim != 1:
        raise OptionError(f"labels and scores must be (n,) alike, got {y.shape} and {s.shape}")
    if not np.isin(y, (0, 1)).all() or not np.isfinite(s).all():
        raise OptionError("labels must be 0 or 1, and scores finite")
    return y.astype(np.int64), s


def _accuracy(c: ConfusionCounts) -> Floats:
    """Accuracy, with ``p_fake >= .5`` called fake."""
    return ratio(c.weights @ c.ranked.right, c.n)


def _balanced_accuracy(c: ConfusionCounts) -> Floats:
    """Mean of sensitivity and specificity."""
    fakes = c.weights @ (c.ranked.right * c.ranked.y)
    reals = c.weights @ (c.ranked.right * (1 - c.ranked.y))
    return (ratio(fakes, c.n_fake) + ratio(reals, c.n_real)) / 2


def _auc(c: ConfusionCounts) -> Floats:
    area = (np.diff(c.fp, axis=1) * (c.tp[:, 1:] + c.tp[:, :-1])).sum(axis=1) / 2
    return ratio(area, c.n_fake * c.n_real)


def _eer(c: ConfusionCounts) -> Floats:
    """False-positive rate where ``|FNR - FPR|`` is smallest.

    The difference falls from threshold to threshold, so at most two thresholds are equally near,
    one on either side; the result is the mean of their false-positive rates. So scores that are all
    equal give .5, not 0.
    """
    fn = c.n_fake[:, None] - c.tp
    # Integers up to 2^53 are exact, and so is the comparison.
    gap = np.abs(fn * c.n_real[:, None] - c.fp * c.n_fake[:, None])
    nearest = gap == gap.min(axis=1, keepdims=True)
    rows = np.arange(len(gap))
    first = np.argmax(nearest, axis=1)
    final = nearest.shape[1] - 1 - np.argmax(nearest[:, ::-1], axis=1)
    return np.where(c.both, (c.fpr[rows, first] + c.fpr[rows, final]) / 2, np.nan)


def _ap(c: ConfusionCounts) -> Floats:
    """Average precision: precision at each threshold, weighted by the increase of recall."""
    tp, fp = c.tp[:, 1:], c.fp[:, 1:]
    precision = tp / np.maximum(tp + fp, 1)  # 0 before any weight: it adds no recall
    total = ratio((np.diff(c.tp, axis=1) * precision).sum(axis=1), c.n_fake)
    return np.where(c.both, total, np.nan)


def _tpr_at_fpr(c: ConfusionCounts) -> Floats:
    """Highest true-positive rate at a false-positive rate of at most 1 %."""
    best = np.where(c.fpr <= FPR_LIMIT, c.tpr, 0).max(axis=1)
    return np.where(c.both, best, np.nan)


def _ece(c: ConfusionCounts) -> Floats:
    """Mean of ``|share of fakes - mean p_fake|`` over bins, weighted by size (Guo 2017)."""
    return ratio(np.abs(c.weights @ c.ranked.gaps).sum(axis=1), c.n)


def _brier(c: ConfusionCounts) -> Floats:
    """Mean of ``(p_fake - label)²`` (Brier 1950)."""
    return ratio(c.weights @ (c.ranked.p - c.ranked.y) ** 2, c.n)


FIGURES: Mapping[str, Callable[[ConfusionCounts], Floats]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "auc": _auc,
    "eer": _eer,
    "ap": _ap,
    "tpr_at_fpr_0.01": _tpr_at_fpr,
    "ece": _ece,
    "brier": _brier,
}
METRICS = tuple(FIGURES)


class Curve(NamedTuple):
    """One point per threshold, from the strictest to the most lenient.

    Attributes:
        x: ``(t,)``, false-positive rate or recall.
        y: ``(t,)``, true-positive rate or precision.
        thresholds: ``(t,)``, falling; scores from there on are called fake. The ROC curve begins at
            infinity, where nothing is called fake.
    """

    x: Floats
    y: Floats
    thresholds: Floats


class Reliability(NamedTuple):
    """Predicted and observed shares of fakes, in bins of equal width.

    Attributes:
        edges: ``(bins + 1,)``, 0 to 1; a bin holds its lower edge, the last also its upper one.
        samples: ``(bins,)``, number of samples.
        mean_p_fake: ``(bins,)``, NaN for an empty bin.
        share_fake: ``(bins,)``, NaN for an empty bin.
    """

    edges: Floats
    samples: Ints
    mean_p_fake: Floats
    share_fake: Floats


def roc(labels: ArrayLike, scores: ArrayLike) -> Curve:
    """Compute the ROC curve, from (0, 0) to (1, 1): false-positive rate, true-positive rate.

    Returns:
        A point for every threshold; NaN on an axis whose class is missing.
    """
    ranked = Ranked(*validated(labels, scores))
    counts = ConfusionCounts(ranked, np.ones((1, ranked.n)))
    thresholds = np.concatenate([[np.inf], ranked.thresholds])
    return Curve(counts.fpr[0], counts.tpr[0], thresholds)


def precision_recall(labels: ArrayLike, scores: ArrayLike) -> Curve:
    """Compute the precision–recall curve: recall, precision.

    Returns:
        A point for every threshold; recall is NaN without a fake.
    """
    ranked = Ranked(*validated(labels, scores))
    counts = ConfusionCounts(ranked, np.ones((1, ranked.n)))
    tp, fp = counts.tp[0, 1:], counts.fp[0, 1:]
    return Curve(counts.tpr[0, 1:], tp / (tp + fp), ranked.thresholds)


def reliability(labels: ArrayLike, p_fake: ArrayLike, *, bins: int = BINS) -> Reliability:
    """Compute the reliability diagram: predicted and observed shares of fakes by score."""
    y, p = probabilities(labels, p_fake)
    where = bin_of(p, bins)
    count = np.bincount(where, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(where, p, bins) / count
        share = np.bincount(where, y.astype(np.float64), bins) / count
    return Reliability(np.linspace(0, 1, bins + 1), count, mean, share)
