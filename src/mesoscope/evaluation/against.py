"""Compare two evaluations of the same items, item by item.

Two models err on the same hard pictures, so their figures rise and fall together from one draw of
pictures to the next. The interval of the difference takes that into account: each resample draws
groups once, and both models are measured on it (the paired bootstrap; Efron & Tibshirani, *An
Introduction to the Bootstrap*, 1993, chapter 16). It is often far narrower than the two intervals
side by side suggest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mesoscope import metrics
from mesoscope.errors import OptionError
from mesoscope.report.against import ALL, FIGURES, MEAN, Against, Difference
from mesoscope.report.record import columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.report.record import Evaluation, Prediction

    Floats = NDArray[np.float64]
    Pair = tuple[Prediction, Prediction]
    Drawn = dict[str, tuple[Difference, Floats]]

__all__ = ["compare_evaluations"]


def compare_evaluations(
    model: Evaluation, against: Evaluation, *, seed: int = 0, resamples: int = 1000
) -> Against:
    """Compute the figures of two models on the items that both scored, and their differences.

    Args:
        model: Evaluation of the model in question.
        against: Evaluation of another model on the same samples, in the same order.
        seed: Seed of the bootstrap.
        resamples: Number of bootstrap resamples; 0 leaves out the intervals.

    Returns:
        Figures by source, of all items, and means over sources.

    Raises:
        OptionError: The evaluations are of different samples.
    """
    if [_item(p) for p in model.predictions] != [_item(p) for p in against.predictions]:
        raise OptionError("two models are compared on the same samples, in the same order")
    pairs = [
        (one, other)
        for one, other in zip(model.predictions, against.predictions, strict=True)
        if one.p_fake is not None and other.p_fake is not None
    ]
    sources = sorted({one.source for one, _ in pairs})
    drawn: dict[str, Drawn] = {}
    count: dict[str, int] = {}
    for number, source in enumerate(sources, start=1):
        of_it = [pair for pair in pairs if pair[0].source == source]
        drawn[source], count[source] = _compared(of_it, [seed, number], resamples), len(of_it)
    found = {source: {name: one for name, (one, _) in d.items()} for source, d in drawn.items()}
    if len(sources) > 1:
        together = _compared(pairs, [seed], resamples)
        found[ALL] = {name: one for name, (one, _) in together.items()}
        found[MEAN] = {name: _mean([drawn[s][name] for s in sources]) for name in FIGURES}
        count[ALL] = len(pairs)
    return Against(
        str(model.conditions.get("model", model.card.name)),
        str(against.conditions.get("model", against.card.name)),
        count,
        found,
    )


def _item(one: Prediction) -> tuple[str, int, str, str]:
    return one.path, one.label, one.source, one.group


def _compared(pairs: Sequence[Pair], seed: Sequence[int], resamples: int) -> Drawn:
    """Return each figure's difference, and the differences on the resamples."""
    values, resampled = [], []
    for items in ([one for one, _ in pairs], [other for _, other in pairs]):
        labels, p_fake, _, groups = columns_of(items)
        measured = metrics.measure(labels, p_fake)
        # One seed and the same groups: each resample draws the same items for both models.
        several = metrics.bootstrap(labels, p_fake, groups, n=resamples, seed=seed)
        for truth in ("fake", "real"):
            whole = labels == (truth == "fake")
            for told in ("fake", "real"):
                part = whole & np.array([p.verdict == told for p in items], bool)
                name = f"{truth}_told_{told}"
                measured[name] = metrics.share(part, whole)
                several[name] = metrics.bootstrap_share(part, whole, groups, n=resamples, seed=seed)
        values.append(measured)
        resampled.append(several)
    alone = len({(one.source, one.group) for one, _ in pairs}) == 1  # all resamples are equal
    found = {}
    for name in FIGURES:
        new, old = values[0][name], values[1][name]
        differences = resampled[0][name] - resampled[1][name]
        span = (math.nan, math.nan) if alone else metrics.interval(differences)
        found[name] = Difference(new, old, new - old, span), differences
    return found


def _mean(of: Sequence[tuple[Difference, Floats]]) -> Difference:
    """Average over the sources that have the figure; their resamples are independent."""
    known = [(one, drawn) for one, drawn in of if not math.isnan(one.difference)]
    if not known:
        return Difference(math.nan, math.nan, math.nan, (math.nan, math.nan))
    new, old = (float(np.mean([one[i] for one, _ in known])) for i in (0, 1))
    alone = any(math.isnan(one.interval[0]) for one, _ in known)
    drawn = np.mean([several for _, several in known], axis=0)
    span = (math.nan, math.nan) if alone else metrics.interval(drawn)
    return Difference(new, old, new - old, span)
