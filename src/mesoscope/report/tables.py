"""Tables of metrics: alarms, calibration, decisions by source, answers by class."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mesoscope.files.table import write_table
from mesoscope.metrics.intervals import effective_count, proportion_interval
from mesoscope.report.record import number_or_none
from mesoscope.types.label import ANSWERS, CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mesoscope.metrics import Alarms, Rate
    from mesoscope.report.record import Evaluation, Figures, Prediction
    from mesoscope.types import Answer, Json


NAMES = {"label": "label fake", "card": "card's threshold", "here": "chosen on this data"}


class TrueShare(NamedTuple):
    """Precision of alarms at a prevalence.

    Attributes:
        prevalence: Share of all faces that are forged.
        share: Precision: share of true alarms.
        interval: 95 % interval, from the intervals of both rates.
    """

    prevalence: float
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class AlarmReport:
    """Alarms of one threshold on the evaluated faces.

    Attributes:
        name: ``label`` = threshold of the label fake; ``card`` = the card's for the target
            false-positive rate; ``here`` = the one with that rate on the evaluated faces.
        fpr: Target rate; ``None`` for ``label``.
        alarms: The counts; ``None`` without such a threshold.
        true_shares: One per requested prevalence.
        by_source: The counts of each source.
        missing: Reason without a threshold.
    """

    name: str
    fpr: float | None = None
    alarms: Alarms | None = None
    true_shares: tuple[TrueShare, ...] = ()
    by_source: Mapping[str, Alarms] = field(default_factory=dict)
    missing: str = ""

    @property
    def title(self) -> str:
        """Title for people."""
        return NAMES[self.name] if self.fpr is None else f"{NAMES[self.name]}, FPR {self.fpr:g}"

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form."""
        found: dict[str, Json] = {"name": self.name, "wanted_fpr": self.fpr}
        if self.alarms is None:
            return {**found, "threshold": None, "missing": self.missing}
        by_source: dict[str, Json] = {
            name: {"fpr": number_or_none(one.false.share), "tpr": number_or_none(one.found.share)}
            for name, one in self.by_source.items()
        }
        shares: list[Json] = [
            {
                "prevalence": one.prevalence,
                "share": number_or_none(one.share),
                "interval": _pair(one.interval),
            }
            for one in self.true_shares
        ]
        return {
            **found,
            "threshold": number_or_none(self.alarms.threshold),
            **_rate("fpr", self.alarms.false),
            **_rate("tpr", self.alarms.found),
            "true_alarms": shares,
            "by_source": by_source,
        }


def alarm_rows(reports: tuple[AlarmReport, ...]) -> tuple[list[list[str]], list[str]]:
    """Return the reports as a table of text with a header row, and notes on what is missing."""
    prevalences = [one.prevalence for one in reports[0].true_shares] if reports else []
    rows = [["threshold", "p_fake from", "false-positive rate", "detection rate"]]
    rows[0] += [f"true alarms at {prevalence:g}" for prevalence in prevalences]
    rows += [
        [
            one.title,
            f"{one.alarms.threshold:.4f}",
            _shown(one.alarms.false.share, one.alarms.false.interval()),
            _shown(one.alarms.found.share, one.alarms.found.interval()),
            *(_shown(share.share, share.interval) for share in one.true_shares),
        ]
        for one in reports
        if one.alarms is not None
    ]
    return rows, [f"{one.title}: {one.missing}" for one in reports if one.missing]


def _shown(value: float, interval: tuple[float, float]) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def _rate(name: str, rate: Rate) -> dict[str, Json]:
    classes = {"fpr": ("n_real", "false_alarms"), "tpr": ("n_fake", "detections")}[name]
    return {
        classes[0]: rate.n,
        classes[1]: rate.hits,
        name: number_or_none(rate.share),
        f"{name}_interval": _pair(rate.interval()) if rate.n else None,
    }


def _pair(interval: tuple[float, float]) -> Json:
    return None if math.isnan(interval[0]) else [number_or_none(value) for value in interval]


ALL = "all"
HEAD = ("items", "source", "n", *ANSWERS)
_COLUMNS = ("label", "source", "told", "count", "n", "share", "low", "high")


class AnswerCounts(NamedTuple):
    """Counts of answers to the items of one class.

    Attributes:
        label: True label, ``real`` or ``fake``.
        source: Name of the source; :data:`ALL` for all.
        n: Number of items, including unscored and unreadable ones.
        counts: Count of each of :data:`~mesoscope.types.label.ANSWERS`; their sum is ``n``.
        intervals: 95 % intervals of the shares (Clopper & Pearson), with the effective number of
            groups.
    """

    label: str
    source: str
    n: int
    counts: dict[Answer, int]
    intervals: dict[Answer, tuple[float, float]]

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form: share and interval with each count."""
        row: dict[str, Json] = {"label": self.label, "source": self.source, "n": self.n}
        for name, count in self.counts.items():
            low, high = self.intervals[name]
            row[name] = {
                "count": count,
                "share": round(count / self.n, 6),
                "interval": [round(low, 6), round(high, 6)],
            }
        return row


def count_answers(predictions: Sequence[Prediction]) -> list[AnswerCounts]:
    """Count the answers, of all items and of each source; classes without items are left out."""
    sources = sorted({p.source for p in predictions})
    found = []
    for source in (None, *sources) if len(sources) > 1 else (None,):
        for label, name in enumerate(CLASSES):
            items = [p for p in predictions if p.label == label and source in (None, p.source)]
            if items:
                found.append(_count(items, name, ALL if source is None else source))
    return found


def answer_rows(rows: Sequence[AnswerCounts]) -> list[tuple[str, ...]]:
    """Return a table for people with a header row: count, share and interval in a cell."""
    return [HEAD, *((f"{t.label} ones told", t.source, f"{t.n:,}", *_cells(t)) for t in rows)]


def write_answer_counts(rows: Sequence[AnswerCounts], path: Path) -> None:
    """Write ``told.csv``: a row per class, source and answer.

    Raises:
        OutputError: The file is not writable.
    """
    write_table(path, _COLUMNS, _lines(rows))


def _count(items: Sequence[Prediction], label: str, source: str) -> AnswerCounts:
    n = len(items)
    worth = effective_count([f"{len(p.source)} {p.source} {p.group}" for p in items])
    counts = {name: sum(p.answer == name for p in items) for name in ANSWERS}
    intervals = {
        name: proportion_interval(count, n, effective_n=worth) for name, count in counts.items()
    }
    return AnswerCounts(label, source, n, counts, intervals)


def _cells(one: AnswerCounts) -> Iterator[str]:
    for name, count in one.counts.items():
        low, high = one.intervals[name]
        yield f"{count:,}: {count / one.n:.3f} [{low:.3f}, {high:.3f}]"


def _lines(rows: Sequence[AnswerCounts]) -> Iterator[tuple[object, ...]]:
    for one in rows:
        for name, count in one.counts.items():
            low, high = one.intervals[name]
            share = f"{count / one.n:.6f}"
            yield one.label, one.source, name, count, one.n, share, f"{low:.6f}", f"{high:.6f}"


STAGES = {
    "before": "as the network has it",
    "after": "calibrated, on the faces of the fit",
    "cross_fitted": "calibrated, on faces that the fit did not see",
}


class CalibrationRow(NamedTuple):
    """Calibration error of one source, beside that of chance, as text."""

    source: str
    scored: str
    ece: str
    span: str
    by_chance: str
    by_chance_high: str
    verdict: str


class DecisionRow(NamedTuple):
    """Decisions of the labels on one source, as text."""

    source: str
    error_of_all: str
    decided: str
    error_among_decided: str
    span: str
    ratio: str


def calibration_rows(evaluation: Evaluation) -> list[CalibrationRow]:
    """Return a row per source, and one of all."""
    return [_calibration_row(name, figures) for name, figures in _entries(evaluation)]


def decision_rows(evaluation: Evaluation) -> list[DecisionRow]:
    """Return a row per source, and one of all."""
    return [_decision_row(name, figures) for name, figures in _entries(evaluation)]


def fit_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Return calibration error and log loss before and after, from the card, if it has them."""
    found = cast("dict[str, Any]", evaluation.card.metrics.get("calibration") or {})
    return [
        (stage_text, f"{found[stage]['ece']:.3f}", f"{found[stage]['nll']:.3f}")
        for stage, stage_text in STAGES.items()
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
