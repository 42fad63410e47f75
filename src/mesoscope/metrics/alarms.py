"""Alarms: what is called fake from a threshold on, how often wrongly, and how many are true."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.errors import OptionError
from mesoscope.metrics.figures import probabilities
from mesoscope.metrics.intervals import LEVEL, effective_count, proportion_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FALSE_ALARMS_MIN = 5  # reals above a threshold that its false-positive rate must rest on


class Rate(NamedTuple):
    """A share of counted faces.

    Attributes:
        hits: How many.
        n: Out of how many.
        effective_n: What they are worth, see :func:`mesoscope.metrics.effective_count`.
    """

    hits: int
    n: int
    effective_n: float

    @property
    def share(self) -> float:
        """``hits / n``; ``nan`` out of none."""
        return self.hits / self.n if self.n else float("nan")

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The interval of :func:`mesoscope.metrics.proportion_interval`."""
        return proportion_interval(self.hits, self.n, effective_n=self.effective_n, level=level)


class Alarms(NamedTuple):
    """What a threshold does to reals and to fakes.

    Attributes:
        threshold: An alarm is a ``p_fake`` from here on.
        false: Reals that raise one: the false-positive rate.
        found: Fakes that raise one: the detection rate.
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
        threshold: Fake from here on.
        groups: ``(n,)``, what belongs together; every face is its own where they are left out.

    Raises:
        OptionError: Labels other than 0 and 1, scores outside 0..1, other lengths.
    """
    y, p = probabilities(labels, p_fake)
    of = np.arange(len(y)) if groups is None else np.asarray(groups)
    if of.shape != y.shape:
        raise OptionError(f"groups must be (n,) as the labels, got {of.shape} and {y.shape}")
    said = p >= threshold
    false, found = (
        Rate(int(said[y == label].sum()), int((y == label).sum()), effective_count(of[y == label]))
        for label in (0, 1)
    )
    return Alarms(threshold, false, found)


def threshold_at_fpr(
    labels: ArrayLike, p_fake: ArrayLike, fpr: float, groups: ArrayLike | None = None
) -> float | None:
    """The lowest threshold from which on at most a share ``fpr`` of the reals raises an alarm.

    It lies half way between two scores that occur, so that rounding elsewhere moves no face over
    it. A rate is supported where at least five reals are let through by it: a cut above the
    highest reals says little about the next ones. Groups count as in :func:`effective_count`.

    Args:
        labels: ``(n,)``, 1 = fake, 0 = real.
        p_fake: ``(n,)``, 0 to 1.
        fpr: Wanted rate, between 0 and 1.
        groups: ``(n,)``, what belongs together.

    Returns:
        The threshold, or ``None`` where there are too few reals for the rate, or where no cut
        gives it because too many of them share the highest score.

    Raises:
        OptionError: As :func:`alarms_at`, or a rate outside 0..1.
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
    """How many reals, each of its own group, support a threshold at this rate."""
    return int(np.ceil(FALSE_ALARMS_MIN / fpr - 1e-9))


def true_share(alarms: Alarms, prevalence: float) -> tuple[float, tuple[float, float]]:
    """The share of alarms that are true where a share ``prevalence`` of all faces is forged.

    Bayes' rule: ``π · found / (π · found + (1 − π) · false)``. It is the precision that the
    threshold would have out there, if reals and fakes are like those that were counted.

    Args:
        alarms: Of a threshold.
        prevalence: ``π``, between 0 and 1.

    Returns:
        The share, and a 95 % interval. Each of the two rates is taken at its 97.5 % bounds, so
        both hold at once at least as often as 95 % (Bonferroni): it is wide rather than narrow.
        ``nan`` where a class was not there, or where nothing raises an alarm.

    Raises:
        OptionError: A prevalence that is not between 0 and 1.
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
