"""How many faces a model scores a second, here and now, on one core.

The rate belongs to a machine and not to a model, so it stands in no card: whoever wants it measures
it. Models are measured in turns and in processor time of the calling thread, so that a machine that
is busy or grows slower on the way does not favour one of them.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.detection.scorer import Scorer

__all__ = ["faces_per_second"]

STOCK = 8  # different crops, so that no answer comes from a cache


def faces_per_second(
    scorers: Sequence[Scorer], *, rounds: int = 7, seconds: float = 0.15
) -> list[float]:
    """Measure models in turns, one crop a call and one thread.

    Args:
        scorers: At least one. They must compute in the thread that calls, as
            :class:`mesoscope.detection.scorer.OnnxScorer` does unless it is given more threads.
        rounds: Of which the median is taken.
        seconds: Processor time of a model in a round.

    Returns:
        Crops a second, one number a model.
    """
    stocks = [_noise(scorer.card.input_px) for scorer in scorers]
    found: list[list[float]] = [[] for _ in scorers]
    for scorer, stock in zip(scorers, stocks, strict=True):
        scorer.score(stock[:1])  # the first call also allocates
    for _ in range(rounds):
        for scorer, stock, rates in zip(scorers, stocks, found, strict=True):
            done, started = 0, time.thread_time()
            while (taken := time.thread_time() - started) < seconds or not done:
                at = done % STOCK
                scorer.score(stock[at : at + 1])
                done += 1
            rates.append(done / taken if taken else 0.0)
    return [statistics.median(rates) for rates in found]


def _noise(side_px: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (STOCK, side_px, side_px, 3), dtype=np.uint8)
