"""Robustness in words and in rows of cells, for the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mesoscope.report.record import Figures
    from mesoscope.report.robustness import Curve, Level, Robustness

_PERCENT = {"accuracy", "decided", "error_among_decided", "unfamiliar"}
_CELLS = ("auc", "auc_change", "accuracy", "decided", "error_among_decided")


class Cell(NamedTuple):
    """A figure and its interval, as text."""

    value: str
    span: str


class Row(NamedTuple):
    """One strength of one change: its name, and a cell for each figure of the table."""

    name: str
    level: str
    cells: tuple[Cell, ...]


def hardest_rows(found: Robustness) -> list[Row]:
    """The unchanged pictures, and each corruption where it does most harm."""
    rows = [_row("nothing", "", found.unchanged)]
    return rows + [_of_level(curve, curve.hardest) for curve in found.curves]


def all_rows(found: Robustness) -> list[Row]:
    """Every strength of every corruption."""
    return [_of_level(curve, level) for curve in found.curves for level in curve.levels]


def summary(found: Robustness) -> str:
    """What costs most, in one sentence; only what is surely more than chance counts."""
    name = "accuracy" if math.isnan(_mean(found.unchanged, "auc")) else "auc"
    said = "AUC" if name == "auc" else "accuracy"
    lost = [
        (_mean(level, f"{name}_change"), curve, level)
        for curve in found.curves
        for level in curve.levels
        if level.mean_over_sources.intervals[f"{name}_change"][1] < 0
    ]
    if not lost:
        return f"No change lowers the mean {said} by more than chance may do."
    _, curve, level = min(lost, key=lambda one: one[0])
    kind = curve.corruption
    told = kind.told(level.level) if level.level is not None else ""
    before, after = _mean(found.unchanged, name), _mean(level, name)
    names = {one.corruption.title for _, one, _ in lost}
    held = [one.corruption.title for one in found.curves if one.corruption.title not in names]
    text = (
        f"Most is lost by {kind.title} ({told}): the mean {said} goes from {before:.3f} to "
        f"{after:.3f}."
    )
    if held:
        text += f" At no strength does it fall by more than chance may do under: {', '.join(held)}."
    return text


def _of_level(curve: Curve, level: Level) -> Row:
    kind = curve.corruption
    return _row(kind.title, "" if level.level is None else kind.told(level.level), level)


def _row(name: str, told: str, level: Level) -> Row:
    cells = tuple(_cell(level.mean_over_sources, figure) for figure in _CELLS)
    if level.level is None:  # against itself there is no change
        cells = tuple(
            Cell("", "") if figure == "auc_change" else cell
            for figure, cell in zip(_CELLS, cells, strict=True)
        )
    return Row(name, told, cells)


def _cell(figures: Figures, name: str) -> Cell:
    value, (low, high) = figures.values[name], figures.intervals[name]
    if math.isnan(value):
        return Cell("–", "")
    known = not math.isnan(low)
    if name in _PERCENT:
        span = f"{100 * low:.1f} – {100 * high:.1f}\N{NO-BREAK SPACE}%" if known else ""
        return Cell(f"{100 * value:.1f}\N{NO-BREAK SPACE}%", span)
    sign = "+" if name.endswith("_change") else ""
    dash = "to" if sign else "–"
    span = f"{low:{sign}.3f} {dash} {high:{sign}.3f}" if known else ""
    return Cell(f"{value:{sign}.3f}", span)


def _mean(level: Level, name: str) -> float:
    return level.mean_over_sources.values[name]
