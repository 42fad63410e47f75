"""Intervals of shares that hold for few samples, for none among them, and for groups."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import OptionError
from mesoscope.metrics.resampling import LEVEL

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_TERMS = 400  # of the continued fraction: far more than it needs for samples in the millions
_HALVINGS = 60  # 2⁻⁶⁰ is finer than a float near 1


def proportion_interval(
    hits: float, n: float, *, effective_n: float | None = None, level: float = LEVEL
) -> tuple[float, float]:
    """The interval of Clopper & Pearson (1934) for ``hits`` out of ``n``.

    It says something even where nothing or all was hit, when a bootstrap would give an interval
    without width. Samples that belong together, such as the frames of a video, say less than their
    number; ``effective_n`` is the number that they are worth, and the same formula then takes it
    in place of ``n`` (Korn & Graubard 1998).

    Args:
        hits: How many, 0 to ``n``.
        n: Out of how many.
        effective_n: Of :func:`effective_count`; ``n`` where it is left out.
        level: How often such an interval should hold the true share, between 0 and 1.

    Returns:
        ``(low, high)``; ``(0, 1)`` without a sample, as nothing is known then.

    Raises:
        OptionError: Counts that cannot be, or a level outside 0..1.
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
    """How many samples drawn one by one these are worth at least: ``(Σ mᵢ)² / Σ mᵢ²``.

    ``mᵢ`` is the size of a group, and all in a group are taken to err together: the worst case of
    Kish's design effect (1965). Without groups it is their number.

    Args:
        groups: ``(n,)``, whatever can be compared.

    Returns:
        0 without a sample.
    """
    _, sizes = np.unique(np.asarray(groups), return_counts=True)
    total = float(sizes.sum())
    return total * total / float((sizes.astype(np.float64) ** 2).sum()) if total else 0.0


def _beta_quantile(share: float, a: float, b: float) -> float:
    """Where the Beta(a, b) distribution has so much of itself below, by bisection."""
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
    # The fraction converges quickly on this side of the mean; the other side is its mirror.
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
