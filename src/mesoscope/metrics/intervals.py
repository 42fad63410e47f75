"""Uncertainty of metrics: proportion intervals, bootstrap over groups, calibration noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.errors import OptionError
from mesoscope.metrics.figures import (
    BINS,
    FIGURES,
    METRICS,
    ConfusionCounts,
    Ranked,
    bin_of,
    probabilities,
    ratio,
    validated,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


LEVEL = 0.95  # level of the intervals
_CHUNK = 1 << 18  # weights handled at once: two megabytes stay in the processor's cache


def bootstrap(
    labels: ArrayLike,
    p_fake: ArrayLike,
    groups: ArrayLike,
    *,
    n: int = 1000,
    seed: int | Sequence[int] = 0,
) -> dict[str, Floats]:
    """Compute all of :data:`METRICS` on resamples: as many groups as there are, with replacement.

    Groups are drawn instead of pictures, because frames of one video are correlated (Efron &
    Tibshirani 1993, chapter 8). :func:`interval` makes an interval of the result.

    Args:
        labels: ``(s,)``, 1 = fake, 0 = real.
        p_fake: ``(s,)``, 0 to 1.
        groups: ``(s,)``, comparable group keys.
        n: Number of resamples.
        seed: Seed of the resamples.

    Returns:
        ``(n,)`` for each name; NaN for a resample that lacks a class.

    Raises:
        OptionError: Labels are not 0 or 1, scores are outside 0..1, or lengths differ.
    """
    ranked = Ranked(*probabilities(labels, p_fake))
    found: dict[str, list[Floats]] = {name: [] for name in METRICS}
    for weights in resample(groups, n=n, seed=seed):
        counts = ConfusionCounts(ranked, weights[:, ranked.order])
        for name, figure in FIGURES.items():
            found[name].append(figure(counts))
    return {name: np.concatenate(parts) if parts else np.empty(0) for name, parts in found.items()}


def bootstrap_auc(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, *, n: int, seed: int | Sequence[int]
) -> Floats:
    """Compute the AUC on the resamples of :func:`bootstrap`, for scores of any range.

    Samples of equal score and label are counted first, so scores with few values, such as formats
    or sizes, are cheap.

    Args:
        labels: ``(s,)``, 1 = fake, 0 = real.
        scores: ``(s,)``, higher = more fake.
        groups: ``(s,)``, comparable group keys.
        n: Number of resamples.
        seed: Seed of the resamples.

    Returns:
        ``(n,)``; NaN for a resample that lacks a class.

    Raises:
        OptionError: Labels are not 0 or 1, scores are not numbers, or lengths differ.
    """
    y, s = validated(labels, scores)
    if not y.size:
        return np.full(n, np.nan)
    order = np.lexsort((y, s))
    first = np.append(True, (np.diff(s[order]) != 0) | (np.diff(y[order]) != 0))
    starts = np.flatnonzero(first)
    ranked = Ranked(y[order][starts], s[order][starts])
    found = [
        FIGURES["auc"](
            ConfusionCounts(ranked, np.add.reduceat(w[:, order], starts, axis=1)[:, ranked.order])
        )
        for w in resample(groups, n=n, seed=seed)
    ]
    return np.concatenate(found)


def share(part: ArrayLike, whole: ArrayLike) -> float:
    """Compute ``sum(part) / sum(whole)``, NaN if the whole is 0.

    Args:
        part: ``(s,)``, 1 for items that count.
        whole: ``(s,)``, 1 for items that could count.
    """
    return float(ratio(np.asarray(part, np.float64).sum(), np.asarray(whole, np.float64).sum()))


def bootstrap_share(
    part: ArrayLike, whole: ArrayLike, groups: ArrayLike, *, n: int, seed: int | Sequence[int]
) -> Floats:
    """Compute :func:`share` on the resamples of :func:`bootstrap`, ``(n,)``."""
    parts, wholes = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    found = [ratio(w @ parts, w @ wholes) for w in resample(groups, n=n, seed=seed)]
    return np.concatenate(found) if found else np.empty(0)


def resample(groups: ArrayLike, *, n: int, seed: int | Sequence[int]) -> Iterator[Floats]:
    """Draw groups with replacement, ``n`` times.

    Yields:
        ``(b, s)``: how often each sample was drawn in the next ``b`` resamples.
    """
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    total = int(member.max()) + 1 if member.size else 0
    draw = np.random.default_rng(seed)
    rows = max(1, _CHUNK // max(1, member.size))
    for start in range(0, n, rows):
        weights = np.zeros((min(rows, n - start), member.size))
        for row in weights:
            if total:
                drawn = draw.integers(total, size=total)
                row[:] = np.bincount(drawn, minlength=total)[member]
        yield weights


def interval(values: Floats) -> tuple[float, float]:
    """Return the middle 95 % of resampled values (percentile interval), ignoring NaN.

    Returns:
        ``(low, high)``, both NaN if all values are.
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


_TERMS = 400  # of the continued fraction: more than enough for samples in the millions
_HALVINGS = 60  # 2⁻⁶⁰ is finer than a float near 1


def proportion_interval(
    hits: float, n: float, *, effective_n: float | None = None, level: float = LEVEL
) -> tuple[float, float]:
    """Compute the interval of Clopper & Pearson (1934) for ``hits`` out of ``n``.

    It has a width even at 0 or ``n`` hits, where a bootstrap interval has none. Correlated samples,
    such as the frames of a video, carry less information than their number; ``effective_n`` is
    their effective number, which the same formula then uses in place of ``n`` (Korn & Graubard
    1998).

    Args:
        hits: Number of hits, 0 to ``n``.
        n: Number of trials.
        effective_n: Result of :func:`effective_count`; default ``n``.
        level: Coverage, between 0 and 1.

    Returns:
        ``(low, high)``; ``(0, 1)`` without trials.

    Raises:
        OptionError: The counts are not valid, or the level is outside 0..1.
    """
    if not 0 <= hits <= n or not 0 < level < 1:
        raise OptionError(f"an interval needs 0 <= hits <= n and 0 < level < 1, got {hits}, {n}")
    if n == 0:
        return 0.0, 1.0
    worth = n if effective_n is None else effective_n
    k, tail = hits / n * worth, (1 - level) / 2
    low = 0.0 if hits == 0 else _beta_quantile(tail, k, worth - k + 1)
    high = 1.0 if hits == n else _beta_quantile(1 - tail, k + 1, worth - k)
    return low, high


def effective_count(groups: ArrayLike) -> float:
    """Compute the effective number of grouped samples: ``(Σ mᵢ)² / Σ mᵢ²``.

    ``mᵢ`` is the size of a group; samples of a group are taken as fully correlated, the worst case
    of Kish's design effect (1965). Without groups it is their number.

    Args:
        groups: ``(n,)``, comparable group keys.

    Returns:
        The effective number; 0 without a sample.
    """
    _, sizes = np.unique(np.asarray(groups), return_counts=True)
    total = float(sizes.sum())
    return total * total / float((sizes.astype(np.float64) ** 2).sum()) if total else 0.0


def _beta_quantile(share: float, a: float, b: float) -> float:
    """Quantile of the Beta(a, b) distribution, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _beta_below(middle, a, b) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_below(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function (Abramowitz & Stegun 1964, 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x))
    # The fraction converges quickly below the mean; the other side follows by symmetry.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Its continued fraction, by Lentz's method as changed by Thompson & Barnett (1986)."""
    tiny = 1e-300
    c, d = 1.0, 1 / _off_zero(1 - (a + b) * x / (a + 1), tiny)
    value = d
    for m in range(1, _TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _off_zero(1 + term * d, tiny)
            c = _off_zero(1 + term / c, tiny)
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return value


def _off_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


_SMALLEST = 1e-12  # probabilities are clipped to this, so a wrong certainty costs 28 nats


class NoiseFloor(NamedTuple):
    """Calibration error of a perfectly calibrated model, at a finite sample size.

    Attributes:
        mean: Mean of the simulated errors.
        high: 95 % quantile of the simulated errors.
    """

    mean: float
    high: float


def ece_by_chance(p_fake: ArrayLike, *, n: int = 1000, seed: int | Sequence[int] = 0) -> NoiseFloor:
    """Simulate the calibration error under the assumption that ``p_fake`` is calibrated.

    The error is a mean of absolute gaps, so noise only increases it: a source with a hundred faces
    shows several hundredths with a perfect model (Bröcker & Smith, *Increasing the reliability of
    reliability diagrams*, 2007). Labels are drawn repeatedly from the scores themselves, and the
    error is measured each time. Faces are drawn independently; with many faces of one video the
    noise is larger.

    Args:
        p_fake: ``(s,)``, 0 to 1.
        n: Number of simulations.
        seed: Seed of the labels.

    Returns:
        Mean and 95 % quantile; NaN without a sample or a simulation.

    Raises:
        OptionError: Scores are outside 0..1.
    """
    p = np.asarray(p_fake, np.float64)
    probabilities(np.zeros(p.shape, np.int64), p)
    if not p.size or not n:
        return NoiseFloor(float("nan"), float("nan"))
    in_order = np.sort(p)  # sorted, so that each bin is a run, and its sum a difference
    ends = np.searchsorted(bin_of(in_order, BINS), np.arange(BINS + 1))
    draw = np.random.default_rng(seed)
    rows = max(1, _CHUNK // p.size)
    found = []
    for start in range(0, n, rows):
        labels = draw.random((min(rows, n - start), p.size)) < in_order
        gaps = np.cumsum(labels - in_order, axis=1)
        sums = np.concatenate([np.zeros((len(gaps), 1)), gaps], axis=1)[:, ends]
        found.append(np.abs(np.diff(sums, axis=1)).sum(axis=1) / p.size)
    errors = np.concatenate(found)
    return NoiseFloor(float(errors.mean()), float(np.quantile(errors, 0.95)))


def log_loss(labels: ArrayLike, p_fake: ArrayLike) -> float:
    """Compute the mean negative log-likelihood of the labels, in nats; NaN without a sample.

    Raises:
        OptionError: Labels are not 0 or 1, or scores are outside 0..1.
    """
    y, p = probabilities(labels, p_fake)
    if not y.size:
        return float("nan")
    right = np.where(y == 1, p, 1 - p)
    return float(-np.log(np.maximum(right, _SMALLEST)).mean())
