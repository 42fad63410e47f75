"""How good a probability is, and the calibration error that chance alone would show."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.metrics.figures import BINS, bin_of, probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_CHUNK = 1 << 18  # labels drawn at once
_SMALLEST = 1e-12  # a certainty that turns out wrong costs 28, and not infinity


class NoiseFloor(NamedTuple):
    """The calibration error of a model that is calibrated perfectly, on so few samples.

    Attributes:
        mean: Of the simulated ones.
        high: Below this lie 95 % of them.
    """

    mean: float
    high: float


def ece_by_chance(p_fake: ArrayLike, *, n: int = 1000, seed: int | Sequence[int] = 0) -> NoiseFloor:
    """What the calibration error would be if ``p_fake`` were true probabilities.

    The error is a mean of absolute gaps, so chance makes it larger and never smaller: a source
    with a hundred faces shows several hundredths without any fault of the model (Bröcker & Smith,
    *Increasing the reliability of reliability diagrams*, 2007). Here labels are drawn from the
    scores themselves, again and again, and the error is measured each time. Faces are drawn one by
    one; where many belong to one video, chance reaches further still.

    Args:
        p_fake: ``(s,)``, 0 to 1.
        n: Simulations.
        seed: The same seed draws the same labels.

    Returns:
        Mean and 95 % quantile; ``nan`` without a sample or a simulation.

    Raises:
        OptionError: Scores outside 0..1.
    """
    p = np.asarray(p_fake, np.float64)
    probabilities(np.zeros(p.shape, np.int64), p)
    if not p.size or not n:
        return NoiseFloor(float("nan"), float("nan"))
    in_order = np.sort(p)  # so that each bin is a run, and its sum a difference
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
    """Mean negative log-likelihood of the labels, in nats; ``nan`` without a sample.

    Raises:
        OptionError: Labels other than 0 and 1, scores outside 0..1.
    """
    y, p = probabilities(labels, p_fake)
    if not y.size:
        return float("nan")
    right = np.where(y == 1, p, 1 - p)
    return float(-np.log(np.maximum(right, _SMALLEST)).mean())
