"""Calibrate a model, and choose and measure its thresholds and operating points."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope import metrics
from mesoscope.training.decide.calibrate import (
    CALIBRATORS,
    choose_thresholds,
    half_error_thresholds,
    probability,
)
from mesoscope.types import OperatingPoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.data.manifest import Sample
    from mesoscope.report.record import Evaluation
    from mesoscope.training.recipe.keys import DecideKeys
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import Calibration, Json, Thresholds

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

RATES = (0.1, 0.05, 0.02, 0.01, 0.005, 0.001)  # false-positive rates of the card's operating points
_DIGITS = 4


class Decision(NamedTuple):
    """Calibration and thresholds of a model.

    Attributes:
        calibration: Calibration of the logit.
        thresholds: Thresholds of ``p_fake``.
        measured: ``calibration`` and ``decisions`` in ``metrics`` of the card.
    """

    calibration: Calibration
    thresholds: Thresholds
    measured: dict[str, Json]


class _Rule(NamedTuple):
    calibration: Calibration
    thresholds: Thresholds


class _Faces(NamedTuple):
    """Validation faces, one per row."""

    logits: Floats
    labels: Ints
    sources: NDArray[np.str_]
    groups: Ints

    def part(self, which: Flags) -> _Faces:
        return _Faces(
            self.logits[which], self.labels[which], self.sources[which], self.groups[which]
        )

    def weights(self) -> Floats:
        """Weights that balance sources and classes."""
        cells = Counter(zip(self.sources.tolist(), self.labels.tolist(), strict=True))
        cell = zip(self.sources.tolist(), self.labels.tolist(), strict=True)
        w = np.array([1 / cells[one] for one in cell], np.float64)
        return np.asarray(w * (len(w) / w.sum()))


def decide(recipe: Recipe, samples: Sequence[Sample], logits: np.ndarray) -> Decision:
    """Calibrate raw logits and choose both thresholds, sources and classes weighted equally.

    Figures on the faces of a fit are optimistic. So the fit is also done on one half of the groups
    and measured on the other, both ways, and the results are pooled: ``cross_fitted`` estimates the
    figures on new faces of the same kinds.

    Args:
        recipe: The recipe: ``decide`` holds the options, the seed splits the groups.
        samples: The validation split.
        logits: ``(n,)``, raw logits, higher = more fake.

    Returns:
        Calibration, thresholds and their figures.

    Raises:
        OptionError: Only one class occurs, or logits are not finite.
    """
    numbers: dict[tuple[str, str], int] = {}
    faces = _Faces(
        np.asarray(logits, np.float64),
        np.array([s.label for s in samples], np.int64),
        np.array([s.source for s in samples]),
        np.array([numbers.setdefault((s.source, s.group), len(numbers)) for s in samples]),
    )
    note = f"the validation split, {len(samples)} faces, each source and class alike"
    rule = _fit(faces, recipe.decide, recipe.decide.calibration, note)
    return Decision(*rule, _measure(faces, rule, recipe))


def operating_points(result: Evaluation) -> tuple[tuple[OperatingPoint, ...], dict[str, Json]]:
    """Choose thresholds for :data:`RATES`, measured on an exported file's scores.

    Each real counts once, whatever its source. A rate without enough reals is left out, see
    :func:`mesoscope.metrics.threshold_at_fpr`.

    Args:
        result: Evaluation of the validation split.

    Returns:
        The operating points, highest rate first; and the false-positive rates of each source, by
        rate and source, as a rate is a mean over sources that may differ widely.
    """
    columns = result.columns()
    points: list[OperatingPoint] = []
    by_source: dict[str, Json] = {}
    for rate in RATES:
        cut = metrics.threshold_at_fpr(columns.labels, columns.p_fake, rate, columns.groups)
        if cut is None:
            continue
        alarms = metrics.alarms_at(columns.labels, columns.p_fake, cut, columns.groups)
        points.append(
            OperatingPoint(
                rate,
                round(cut, 6),
                alarms.false.n,
                alarms.false.hits,
                _rounded(alarms.false.interval()),
                alarms.found.n,
                round(alarms.found.share, _DIGITS),
                _rounded(alarms.found.interval()),
            )
        )
        reals = columns.labels == 0
        by_source[f"{rate:g}"] = {
            str(name): round(float((columns.p_fake[of] >= cut).mean()), _DIGITS)
            for name in np.unique(columns.sources)
            if (of := reals & (columns.sources == name)).any()
        }
    return tuple(points), by_source


def _fit(faces: _Faces, keys: DecideKeys, calibrator: str, note: str = "") -> _Rule:
    weights = faces.weights()
    fit = CALIBRATORS[calibrator]
    calibration = fit(faces.logits, faces.labels, weights, method_note=note)
    p_fake = probability(faces.logits, calibration)
    if keys.rule == "half_error":
        cuts = half_error_thresholds(p_fake, faces.labels, keys.least_decided, weights)
    else:
        cuts = choose_thresholds(p_fake, faces.labels, keys.target_error, weights)
    return _Rule(calibration, cuts)


def _measure(faces: _Faces, rule: _Rule, recipe: Recipe) -> dict[str, Json]:
    """Return ``calibration`` and ``decisions`` for the card."""
    raw, fitted = probability(faces.logits), probability(faces.logits, rule.calibration)
    chosen = recipe.decide.calibration
    crossed = {name: _cross_fitted(faces, recipe, name) for name in CALIBRATORS}
    p_fake, label = crossed[chosen] or (None, None)
    (other,) = set(CALIBRATORS) - {chosen}
    of_other = crossed[other]

    def figures_of(which: Flags, *, nll: bool) -> dict[str, Json]:
        y = faces.labels[which]
        stages = {"before": raw, "after": fitted, "cross_fitted": p_fake}
        return {
            stage: None if p is None else _calibration(y, p[which], nll=nll)
            for stage, p in stages.items()
        }

    every = np.ones(len(faces.labels), bool)
    sources = {str(name): faces.sources == name for name in np.unique(faces.sources)}
    called = np.where(fitted >= rule.thresholds.fake_above, 1, -1)
    called[fitted < rule.thresholds.real_below] = 0
    return {
        "calibration": {
            "chosen": chosen,
            "measured_on": "the faces that it was fitted on; cross_fitted: fitted on one half of "
            "the groups and measured on the other, both ways; each face counts once",
            **figures_of(every, nll=True),
            "cross_fitted_by_other": None
            if of_other is None
            else {"calibration": other, **_calibration(faces.labels, of_other[0], nll=True)},
            "by_source": {name: figures_of(of, nll=False) for name, of in sources.items()},
        },
        "decisions": {
            "rule": recipe.decide.rule,
            **decisions(faces.labels, fitted, called),
            "by_source": {
                name: decisions(faces.labels[of], fitted[of], called[of])
                for name, of in sources.items()
            },
            "cross_fitted": None
            if p_fake is None or label is None
            else decisions(faces.labels, p_fake, label),
        },
    }


def _cross_fitted(faces: _Faces, recipe: Recipe, calibrator: str) -> tuple[Floats, Ints] | None:
    """Return ``p_fake`` and labels (1, 0, -1 undecided) by rules fitted without the face.

    ``None`` where a half lacks a class.
    """
    half = _halves(faces, recipe.seed)
    p_fake, label = np.zeros(len(half)), np.full(len(half), -1)
    for seen, unseen in ((half, ~half), (~half, half)):
        if len(set(faces.labels[seen].tolist())) < 2 or not unseen.any():
            return None
        rule = _fit(faces.part(seen), recipe.decide, calibrator)
        p_fake[unseen] = probability(faces.logits[unseen], rule.calibration)
        label[unseen & (p_fake >= rule.thresholds.fake_above)] = 1
        label[unseen & (p_fake < rule.thresholds.real_below)] = 0
    return p_fake, label


def _halves(faces: _Faces, seed: int) -> Flags:
    """Split faces into halves; groups stay whole, classes and sources are balanced."""
    kinds: dict[tuple[str, bool, bool], list[int]] = {}
    for group in np.unique(faces.groups):
        of = faces.groups == group
        labels = faces.labels[of]
        kind = (str(faces.sources[of][0]), bool((labels == 0).any()), bool((labels == 1).any()))
        kinds.setdefault(kind, []).append(int(group))
    draw, sizes = np.random.default_rng(seed), np.bincount(faces.groups)
    first: list[int] = []
    for _, groups in sorted(kinds.items()):
        held = [0, 0]  # the lighter half takes the next largest group
        for group in sorted(draw.permutation(groups).tolist(), key=lambda g: -sizes[g]):
            side = int(held[1] < held[0]) if held[0] != held[1] else int(draw.integers(2))
            held[side] += int(sizes[group])
            if side == 0:
                first.append(group)
    return np.isin(faces.groups, first)


def _calibration(labels: Ints, p_fake: Floats, *, nll: bool) -> dict[str, Json]:
    found: dict[str, Json] = {"ece": round(metrics.measure(labels, p_fake)["ece"], _DIGITS)}
    if nll:
        found["nll"] = round(metrics.log_loss(labels, p_fake), _DIGITS)
    return found


def decisions(labels: Ints, p_fake: Floats, called: Ints) -> dict[str, Json]:
    """Return the shares decided and wrong; ``called`` is 1, 0, or -1 for undecided."""
    decided = called >= 0
    wrong = called[decided] != labels[decided]
    return {
        "error_of_all": round(float(((p_fake >= metrics.CUT) != labels).mean()), _DIGITS),
        "decided": round(float(decided.mean()), _DIGITS),
        "error_among_decided": round(float(wrong.mean()), _DIGITS) if wrong.size else None,
    }


def _rounded(pair: tuple[float, float]) -> tuple[float, float]:
    return round(pair[0], _DIGITS), round(pair[1], _DIGITS)
