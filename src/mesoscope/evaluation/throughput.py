"""Measure the faces per second of a model on one core of this machine.

The speed depends on the machine, so no card holds it. Models are measured in turns and in CPU time
of the calling thread, so that load or throttling of the machine does not favour one of them.
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

STOCK = 8  # distinct crops, so that no result comes from a cache


def faces_per_second(
    scorers: Sequence[Scorer], *, rounds: int = 7, seconds: float = 0.15
) -> list[float]:
    """Measure models in turns, one crop per call and one thread.

    Args:
        scorers: At least one. They must compute in the calling thread, as
            :class:`mesoscope.detection.scorer.OnnxScorer` does unless it is given more threads.
        rounds: Number of rounds, whose median is taken.
        seconds: CPU time per model and round.

    Returns:
        Crops per second of each model.
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
