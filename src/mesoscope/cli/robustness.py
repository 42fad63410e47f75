"""The part of ``mesoscope evaluate --robustness`` that one sees: its table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesoscope.report.record import Figures
    from mesoscope.report.robustness import Robustness, RobustnessCurve


def lines(found: Robustness) -> list[list[str]]:
    """The rows of a small table: each corruption where it does most harm."""
    rows = [["changed", "at its worst", "accuracy", "AUC", "change of AUC", "decided", "wrong"]]
    rows.append(["nothing", "", *_cells(found.unchanged.mean_over_sources)])
    rows[-1][4] = ""  # against itself there is no change
    rows += [[*_named(one), *_cells(one.hardest.mean_over_sources)] for one in found.curves]
    return rows


def notes(found: Robustness | None) -> list[str]:
    """What one must know of a run that did not do all it was to do."""
    if found is None:
        return ["robustness: no picture was judged in all its changes, so nothing is said of it"]
    if found.complete:
        return []
    done = f"{found.n_done:,} of {found.n_planned:,} pictures"
    return [f"robustness: interrupted after {done}: its figures speak of those"]


def _named(curve: RobustnessCurve) -> tuple[str, str]:
    kind, level = curve.corruption, curve.hardest.level
    return kind.title, "" if level is None else kind.describe(level)


def _cells(figures: Figures) -> list[str]:
    return [
        *(_shown(figures, name) for name in ("accuracy", "auc")),
        _shown(figures, "auc_change", sign="+"),
        *(_short(figures.values[name]) for name in ("decided", "error_among_decided")),
    ]


def _short(value: float, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{sign}.3f}"


def _shown(figures: Figures, name: str, sign: str = "") -> str:
    value, (low, high) = figures.values[name], figures.intervals[name]
    if math.isnan(low):
        return _short(value, sign)
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
