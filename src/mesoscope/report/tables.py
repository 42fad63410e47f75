"""Tables of the page that are made of several figures: calibration and decisions by source."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.report.record import Evaluation, Figures

STAGES = {
    "before": "as the network has it",
    "after": "calibrated, on the faces of the fit",
    "cross_fitted": "calibrated, on faces that the fit did not see",
}


class CalibrationRow(NamedTuple):
    """One source's calibration error beside that of chance, as text."""

    source: str
    scored: str
    ece: str
    span: str
    by_chance: str
    by_chance_high: str
    verdict: str


class DecisionRow(NamedTuple):
    """What the labels decide of one source, as text."""

    source: str
    error_of_all: str
    decided: str
    error_among_decided: str
    span: str
    ratio: str


def calibration_rows(evaluation: Evaluation) -> list[CalibrationRow]:
    """A row a source, and one of all."""
    return [_calibration_row(name, figures) for name, figures in _entries(evaluation)]


def decision_rows(evaluation: Evaluation) -> list[DecisionRow]:
    """A row a source, and one of all."""
    return [_decision_row(name, figures) for name, figures in _entries(evaluation)]


def fit_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Calibration error and log loss before and after, from the card; none where it lacks them."""
    found = cast("dict[str, Any]", evaluation.card.metrics.get("calibration") or {})
    return [
        (says, f"{found[stage]['ece']:.3f}", f"{found[stage]['nll']:.3f}")
        for stage, says in STAGES.items()
        if found.get(stage)
    ]


def _entries(evaluation: Evaluation) -> Iterator[tuple[str, Figures]]:
    yield from evaluation.by_source.items()
    if len(evaluation.by_source) > 1:
        yield "all together", evaluation.overall


def _calibration_row(name: str, figures: Figures) -> CalibrationRow:
    ece, mean, high = (figures.values[k] for k in ("ece", "ece_by_chance", "ece_by_chance_high"))
    verdict = "–"
    if not math.isnan(ece) and not math.isnan(high):
        verdict = "beyond chance" if ece > high else "within chance"
    low, top = figures.intervals.get("ece", (math.nan, math.nan))
    return CalibrationRow(
        name,
        f"{figures.counts['n_scored']:,}",
        _number(ece),
        "" if math.isnan(low) else f"{low:.3f} – {top:.3f}",
        _number(mean),
        _number(high),
        verdict,
    )


def _decision_row(name: str, figures: Figures) -> DecisionRow:
    everything = 1 - figures.values["accuracy"]
    among = figures.values["error_among_decided"]
    low, top = figures.intervals.get("error_among_decided", (math.nan, math.nan))
    known = not math.isnan(among) and everything > 0
    return DecisionRow(
        name,
        _percent(everything),
        _percent(figures.values["decided"]),
        _percent(among),
        "" if math.isnan(low) else f"{100 * low:.1f} – {_percent(top)}",
        f"{among / everything:.2f}" if known else "–",
    )


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
