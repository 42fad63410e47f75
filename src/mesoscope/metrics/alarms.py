"""Alarms of a threshold: false-positive and detection rates, and the precision at a prevalence."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.errors import OptionError
from mesoscope.metrics.figures import probabilities
from mesoscope.metrics.intervals import LEVEL, effective_count, proportion_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FALSE_ALARMS_MIN = 5  # reals above a threshold that support its false-positive rate


class Rate(NamedTuple):
    """A proportion of counted faces.

    Attributes:
        hits: Number of hits.
        n: Number of trials.
        effective_n: Effective number of trials, see :func:`mesoscope.metrics.effective_count`.
    """

    hits: int
    n: int
    effective_n: float

    @property
    def share(self) -> float:
        """``hits / n``; NaN without trials."""
        return self.hits / self.n if self.n else float("nan")

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the interval of :func:`mesoscope.metrics.proportion_interval`."""
        return proportion_interval(self.hits, self.n, effective_n=self.effective_n, level=level)


class Alarms(NamedTuple):
    """Rates of reals and fakes above a threshold.

    Attributes:
        threshold: A ``p_fake`` at or above it is an alarm.
        false: Reals above it: the false-positive rate.
        found: Fakes above it: the detection rate.
    """

    threshold: float
    false: Rate
    found: Rate


def alarms_at(
    labels: ArrayLike, p_fake: ArrayLike, threshold: float, groups: ArrayLike | None = None
) -> Alarms:
    """Count the alarms of a threshold.

    Args:
        labels: ``(n,)``, 1 = fake, 0 = real.
        p_fake: ``(n,)``, 0 to 1.
        threshold: Scores at or above it are called fake.
        groups: ``(n,)``, group codes; without them every face is its own group.

    Raises:
        OptionError: Labels are not 0 or 1, scores are outside 0..1, or lengths differ.
    """
    y, p = probabilities(labels, p_fake)
    codes = np.arange(len(y)) if groups is None else np.asarray(groups)
    if codes.shape != y.shape:
        raise OptionError(f"groups must be (n,) as the labels, got {codes.shape} and {y.shape}")
    alarm = p >= threshold
    false, found = (
        Rate(int(alarm[of].sum()), int(of.sum()), effective_count(codes[of]))
        for of in (y == 0, y == 1)
    )
    return Alarms(threshold, false, found)


def threshold_at_fpr(
    labels: ArrayLike, p_fake: ArrayLike, fpr: float, groups: ArrayLike | None = None
) -> float | None:
    """Return the lowest threshold with a false-positive rate of at most ``fpr``.

    It lies half way between two scores, so rounding elsewhere moves no face over it. It needs at
    least five reals above it: a cut above the highest reals says little about new ones. Groups
    count as in :func:`effective_count`.

    Args:
        labels: ``(n,)``, 1 = fake, 0 = real.
        p_fake: ``(n,)``, 0 to 1.
        fpr: Target rate, between 0 and 1.
        groups: ``(n,)``, group codes.

    Returns:
        The threshold, or ``None`` if there are too few reals for the rate, or if no cut reaches it
        because too many of them share the highest score.

    Raises:
        OptionError: As for :func:`alarms_at`, or the rate is outside 0..1.
    """
    if not 0 < fpr < 1:
        raise OptionError(f"a false-positive rate must lie between 0 and 1, got {fpr}")
    y, p = probabilities(labels, p_fake)
    reals = alarms_at(y, p, 0.0, groups).false
    if fpr * reals.effective_n < FALSE_ALARMS_MIN:
        return None
    falling = np.sort(p[y == 0])[::-1]
    allowed = int(fpr * len(falling) + 1e-9)  # .07 × 100 is 7.000000000000001 and must stay 7
    if allowed >= len(falling):
        return 0.0
    first_quiet = falling[allowed]
    above = p[p > first_quiet]
    return float(first_quiet + above.min()) / 2 if above.size else None


def reals_needed(fpr: float) -> int:
    """Return how many reals, each of its own group, a threshold at this rate needs."""
    return int(np.ceil(FALSE_ALARMS_MIN / fpr - 1e-9))


def true_share(alarms: Alarms, prevalence: float) -> tuple[float, tuple[float, float]]:
    """Return the precision of alarms where a share ``prevalence`` of all faces is forged.

    Bayes' rule: ``π · found / (π · found + (1 − π) · false)``. It is the precision in use, if reals
    and fakes there are like those that were counted.

    Args:
        alarms: Alarms of a threshold.
        prevalence: ``π``, between 0 and 1.

    Returns:
        The precision, and a conservative 95 % interval: each of the two rates is taken at its 97.5
        % bounds, so both hold at once in at least 95 % of cases (Bonferroni). NaN if a class is
        missing, or if nothing raises an alarm.

    Raises:
        OptionError: The prevalence is not between 0 and 1.
    """
    if not 0 < prevalence < 1:
        raise OptionError(f"a prevalence must lie between 0 and 1, got {prevalence}")
    if not alarms.false.n or not alarms.found.n:
        return float("nan"), (float("nan"), float("nan"))
    each = (1 + LEVEL) / 2
    (false_low, false_high), (found_low, found_high) = (
        rate.interval(each) for rate in (alarms.false, alarms.found)
    )
    return (
        _precision(prevalence, alarms.found.share, alarms.false.share),
        (
            _precision(prevalence, found_low, false_high),
            _precision(prevalence, found_high, false_low),
        ),
    )


def _precision(prevalence: float, tpr: float, fpr: float) -> float:
    true, false = prevalence * tpr, (1 - prevalence) * fpr
    return true / (true + false) if true + false else float("nan")
