"""How far the figures would move with other data: bootstrap over groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.metrics.figures import (
    FIGURES,
    METRICS,
    Counts,
    Ranked,
    checked,
    probabilities,
    ratio,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

LEVEL = 0.95  # of the intervals
_CHUNK = 1 << 18  # weights handled at once: two megabytes stay in the processor's cache


def bootstrap(
    labels: ArrayLike,
    p_fake: ArrayLike,
    groups: ArrayLike,
    *,
    n: int = 1000,
    seed: int | Sequence[int] = 0,
) -> dict[str, Floats]:
    """All of :data:`METRICS` on resamples: as many groups as there are, drawn with replacement.

    Groups are drawn and not pictures, because the frames of one video say less than as many
    pictures of their own (Efron & Tibshirani 1993, chapter 8). :func:`interval` makes an interval
    of the result.

    Args:
        labels: ``(s,)``, 1 = fake, 0 = real.
        p_fake: ``(s,)``, 0 to 1.
        groups: ``(s,)``, whatever can be compared.
        n: Resamples.
        seed: The same seed gives the same resamples.

    Returns:
        ``(n,)`` for each name; ``nan`` for a resample that lacks a class.

    Raises:
        OptionError: Labels other than 0 and 1, scores outside 0..1, other lengths.
    """
    ranked = Ranked(*probabilities(labels, p_fake))
    found: dict[str, list[Floats]] = {name: [] for name in METRICS}
    for weights in resample(groups, n=n, seed=seed):
        counts = Counts(ranked, weights[:, ranked.order])
        for name, figure in FIGURES.items():
            found[name].append(figure(counts))
    return {name: np.concatenate(parts) if parts else np.empty(0) for name, parts in found.items()}


def bootstrap_auc(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, *, n: int, seed: int | Sequence[int]
) -> Floats:
    """The AUC on the resamples of :func:`bootstrap`, for scores of any range.

    Samples of one score and one label stand or fall together, so they are counted first: scores
    that take few values, such as those of a format or a size, cost little.

    Args:
        labels: ``(s,)``, 1 = fake, 0 = real.
        scores: ``(s,)``, higher = more fake.
        groups: ``(s,)``, whatever can be compared.
        n: Resamples.
        seed: The same seed gives the same resamples.

    Returns:
        ``(n,)``; ``nan`` for a resample that lacks a class.

    Raises:
        OptionError: Labels other than 0 and 1, scores that are no numbers, other lengths.
    """
    y, s = checked(labels, scores)
    if not y.size:
        return np.full(n, np.nan)
    order = np.lexsort((y, s))
    first = np.append(True, (np.diff(s[order]) != 0) | (np.diff(y[order]) != 0))
    starts = np.flatnonzero(first)
    ranked = Ranked(y[order][starts], s[order][starts])
    found = [
        FIGURES["auc"](
            Counts(ranked, np.add.reduceat(w[:, order], starts, axis=1)[:, ranked.order])
        )
        for w in resample(groups, n=n, seed=seed)
    ]
    return np.concatenate(found)


def share(part: ArrayLike, whole: ArrayLike) -> float:
    """``sum(part) / sum(whole)``, ``nan`` where the whole is nothing.

    Args:
        part: ``(s,)``, 1 where an item counts.
        whole: ``(s,)``, 1 where it could have counted.
    """
    return float(ratio(np.asarray(part, np.float64).sum(), np.asarray(whole, np.float64).sum()))


def bootstrap_share(
    part: ArrayLike, whole: ArrayLike, groups: ArrayLike, *, n: int, seed: int | Sequence[int]
) -> Floats:
    """:func:`share` on the resamples of :func:`bootstrap`, ``(n,)``."""
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
    """The middle 95 % of resampled values (the percentile interval); ``nan`` ones are left out.

    Returns:
        ``(low, high)``, both ``nan`` where no resample gave a value.
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
