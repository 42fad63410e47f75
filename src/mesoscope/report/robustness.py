"""Results on corrupted pictures: one data class for tables, ``metrics.json``, plots and pages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.files.table import write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mesoscope.imaging.corruptions import Corruption
    from mesoscope.report.record import Figures
    from mesoscope.types import Json


FIGURES = (  # in table order
    "coverage",
    "auc",
    "auc_change",
    "accuracy",
    "accuracy_change",
    "decided",
    "inconclusive",
    "unfamiliar",
    "error_among_decided",
)
MEAN = "mean over sources"
_COUNTS = ("n", "n_real", "n_fake", "n_scored")
CONDITIONS = ("model", "split", "limit", "seed", "resamples")
_COLUMNS = (
    "corruption", "unit", "level", "source", *_COUNTS,
    *(column for name in FIGURES for column in (name, f"{name}_low", f"{name}_high")),
    *CONDITIONS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Level:
    """Metrics at one level of a corruption.

    Attributes:
        level: Strength in the corruption's unit; ``None`` for the unchanged pictures.
        by_source: All of :data:`FIGURES` by source.
        mean_over_sources: Unweighted means; NaN if a source lacks a metric that it has unchanged,
            so that all points of a curve are means over the same sources.
    """

    level: float | None
    by_source: Mapping[str, Figures]
    mean_over_sources: Figures

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "level": self.level,
            "mean_over_sources": self.mean_over_sources.to_dict(),
            "by_source": {name: one.to_dict() for name, one in self.by_source.items()},
        }


@dataclass(frozen=True, slots=True)
class RobustnessCurve:
    """Metrics of one corruption at each level, in order."""

    corruption: Corruption
    levels: tuple[Level, ...]

    @property
    def hardest(self) -> Level:
        """The level with the lowest mean AUC; by accuracy if there is no AUC."""
        return min(self.levels, key=lambda one: _merit(one.mean_over_sources))


@dataclass(frozen=True, slots=True)
class Robustness:
    """Metrics of the same pictures, unchanged and corrupted.

    Attributes:
        unchanged: Metrics of the unchanged pictures.
        curves: One per corruption.
        n_planned: Number of chosen pictures.
        n_done: Number of pictures judged at every level; the metrics cover these.
        n_unreadable: Number of unreadable pictures.
        conditions: All of :data:`CONDITIONS`.
    """

    unchanged: Level
    curves: tuple[RobustnessCurve, ...]
    n_planned: int
    n_done: int
    n_unreadable: int
    conditions: Mapping[str, Json]

    @property
    def complete(self) -> bool:
        """Whether all chosen pictures were judged."""
        return self.n_done + self.n_unreadable == self.n_planned

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form, ``robustness`` in ``metrics.json``."""
        curves: list[Json] = [
            {
                "corruption": curve.corruption.name,
                "unit": curve.corruption.unit,
                "levels": [level.to_dict() for level in curve.levels],
            }
            for curve in self.curves
        ]
        return {
            "n_planned": self.n_planned,
            "n_done": self.n_done,
            "n_unreadable": self.n_unreadable,
            "complete": self.complete,
            **dict(self.conditions),
            "unchanged": self.unchanged.to_dict(),
            "curves": curves,
        }


def write_robustness(found: Robustness, path: Path) -> None:
    """Write ``robustness.csv``: a row per level and source, and one for their mean.

    Each row names its conditions: the model and the other :data:`CONDITIONS`.

    Raises:
        OutputError: The file is not writable.
    """
    fixed = {name: str(found.conditions[name]) for name in CONDITIONS}
    rows = ({**fixed, **row} for row in _rows(found))
    write_table(path, _COLUMNS, ([row.get(name) for name in _COLUMNS] for row in rows))


def _rows(found: Robustness) -> Iterator[dict[str, object]]:
    at = [("none", "", found.unchanged)]
    at += [(c.corruption.name, c.corruption.unit, one) for c in found.curves for one in c.levels]
    for name, unit, level in at:
        # A number instead of text: in tables for people a text that begins with a minus is defused.
        shown = level.level
        if shown is not None and shown == int(shown):
            shown = int(shown)
        for source, figures in {**level.by_source, MEAN: level.mean_over_sources}.items():
            row: dict[str, object] = {"corruption": name, "unit": unit, "level": shown}
            yield (
                row
                | {"source": source}
                | {k: str(n) for k, n in figures.counts.items()}
                | _cells(figures)
            )


def _cells(figures: Figures) -> dict[str, str]:
    cells = {}
    for name in FIGURES:
        low, high = figures.intervals[name]
        for end, value in (("", figures.values[name]), ("_low", low), ("_high", high)):
            cells[f"{name}{end}"] = "" if math.isnan(value) else f"{value:.4f}"
    return cells


def _merit(figures: Figures) -> float:
    for name in ("auc", "accuracy"):
        if not math.isnan(value := figures.values[name]):
            return value
    return -1.0  # without scores nothing is harder


_PERCENT = {"accuracy", "decided", "error_among_decided", "unfamiliar"}
_CELLS = ("auc", "auc_change", "accuracy", "decided", "error_among_decided")


class MetricCell(NamedTuple):
    """A metric and its interval, as text."""

    value: str
    span: str


class RobustnessRow(NamedTuple):
    """One level of one corruption: name, level, and a cell per metric."""

    name: str
    level: str
    cells: tuple[MetricCell, ...]


def hardest_rows(found: Robustness) -> list[RobustnessRow]:
    """Return the unchanged pictures, and each corruption at its hardest level."""
    rows = [_row("nothing", "", found.unchanged)]
    return rows + [_of_level(curve, curve.hardest) for curve in found.curves]


def all_rows(found: Robustness) -> list[RobustnessRow]:
    """Return every level of every corruption."""
    return [_of_level(curve, level) for curve in found.curves for level in curve.levels]


def summary(found: Robustness) -> str:
    """Name the most harmful corruption in one sentence; only significant changes count."""
    name = "accuracy" if math.isnan(_mean(found.unchanged, "auc")) else "auc"
    figure_name = "AUC" if name == "auc" else "accuracy"
    lost = [
        (_mean(level, f"{name}_change"), curve, level)
        for curve in found.curves
        for level in curve.levels
        if level.mean_over_sources.intervals[f"{name}_change"][1] < 0
    ]
    if not lost:
        return f"No change lowers the mean {figure_name} by more than chance may do."
    _, curve, level = min(lost, key=lambda one: one[0])
    kind = curve.corruption
    level_text = kind.describe(level.level) if level.level is not None else ""
    before, after = _mean(found.unchanged, name), _mean(level, name)
    names = {one.corruption.title for _, one, _ in lost}
    held = [one.corruption.title for one in found.curves if one.corruption.title not in names]
    text = (
        f"Most is lost by {kind.title} ({level_text}): the mean {figure_name} goes from "
        f"{before:.3f} to {after:.3f}."
    )
    if held:
        text += f" At no strength does it fall by more than chance may do under: {', '.join(held)}."
    return text


def _of_level(curve: RobustnessCurve, level: Level) -> RobustnessRow:
    kind = curve.corruption
    return _row(kind.title, "" if level.level is None else kind.describe(level.level), level)


def _row(name: str, level_text: str, level: Level) -> RobustnessRow:
    cells = tuple(_cell(level.mean_over_sources, figure) for figure in _CELLS)
    if level.level is None:  # no change against itself
        cells = tuple(
            MetricCell("", "") if figure == "auc_change" else cell
            for figure, cell in zip(_CELLS, cells, strict=True)
        )
    return RobustnessRow(name, level_text, cells)


def _cell(figures: Figures, name: str) -> MetricCell:
    value, (low, high) = figures.values[name], figures.intervals[name]
    if math.isnan(value):
        return MetricCell("–", "")
    known = not math.isnan(low)
    if name in _PERCENT:
        span = f"{100 * low:.1f} – {100 * high:.1f}\N{NO-BREAK SPACE}%" if known else ""
        return MetricCell(f"{100 * value:.1f}\N{NO-BREAK SPACE}%", span)
    sign = "+" if name.endswith("_change") else ""
    dash = "to" if sign else "–"
    span = f"{low:{sign}.3f} {dash} {high:{sign}.3f}" if known else ""
    return MetricCell(f"{value:{sign}.3f}", span)


def _mean(level: Level, name: str) -> float:
    return level.mean_over_sources.values[name]
