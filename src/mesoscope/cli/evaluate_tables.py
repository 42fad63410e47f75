"""Tables of ``mesoscope evaluate``: the figures, and those of ``--robustness``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mesoscope.cli.printing import columns

if TYPE_CHECKING:
    from mesoscope.report.record import Evaluation, Figures
    from mesoscope.report.robustness import Robustness, RobustnessCurve


def figures_table(evaluation: Evaluation) -> list[str]:
    """Return the table of figures: a line per source, then all of them and their mean."""
    guarded = [] if evaluation.card.guard is None else ["unfamiliar"]
    rows = [["source", "n", "accuracy", "AUC", "decided", "wrong", *guarded, "coverage"]]
    sources = list(evaluation.by_source.items())
    if len(sources) > 1:
        sources.append(("all", evaluation.overall))
    for name, figures in sources:
        shares = ("decided", "error_among_decided", *guarded)
        rows.append(
            [
                name,
                str(figures.counts["n"]),
                _with_interval(figures, "accuracy"),
                _with_interval(figures, "auc"),
                *(_number(figures.values[share]) for share in shares),
                f"{figures.values['coverage']:.3f}",
            ]
        )
    if len(sources) > 1:
        mean = evaluation.mean_over_sources
        means = [_with_interval(mean, "accuracy"), _with_interval(mean, "auc")]
        rows.append(["mean over sources", "", *means, *[""] * (len(rows[0]) - 4)])
    return columns(rows)


def robustness_rows(robustness: Robustness) -> list[list[str]]:
    """Return the rows of the robustness table: each corruption at its most harmful level."""
    rows = [["changed", "at its worst", "accuracy", "AUC", "change of AUC", "decided", "wrong"]]
    rows.append(["nothing", "", *_robustness_cells(robustness.unchanged.mean_over_sources)])
    rows[-1][4] = ""  # the unchanged pictures have no change of AUC
    rows += [
        [*_corruption(curve), *_robustness_cells(curve.hardest.mean_over_sources)]
        for curve in robustness.curves
    ]
    return rows


def robustness_notes(robustness: Robustness | None) -> list[str]:
    """Return warnings about an incomplete measurement of robustness."""
    if robustness is None:
        return ["robustness: no picture was judged under all corruptions, so there are no figures"]
    if robustness.complete:
        return []
    done = f"{robustness.n_done:,} of {robustness.n_planned:,} pictures"
    return [f"robustness: interrupted after {done}: the figures cover those only"]


def _corruption(curve: RobustnessCurve) -> tuple[str, str]:
    kind, level = curve.corruption, curve.hardest.level
    return kind.title, "" if level is None else kind.describe(level)


def _robustness_cells(figures: Figures) -> list[str]:
    return [
        *(_with_interval(figures, name) for name in ("accuracy", "auc")),
        _with_interval(figures, "auc_change", sign="+"),
        *(_number(figures.values[name]) for name in ("decided", "error_among_decided")),
    ]


def _number(value: float, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{sign}.3f}"


def _with_interval(figures: Figures, name: str, sign: str = "") -> str:
    value, (low, high) = figures.values[name], figures.intervals[name]
    if math.isnan(value) or math.isnan(low):
        return _number(value, sign)
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
