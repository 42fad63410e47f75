"""Figures of an evaluation as lines of a small table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.report.record import Evaluation, Figures


def table(evaluation: Evaluation) -> list[str]:
    """The lines of a small table: a row a source, and one of all; wrong is among the decided."""
    guarded = [] if evaluation.card.guard is None else ["unfamiliar"]
    rows = [["source", "n", "accuracy", "AUC", "decided", "wrong", *guarded, "coverage"]]
    sets = list(evaluation.by_source.items())
    if len(sets) > 1:
        sets.append(("all", evaluation.overall))
    for name, figures in sets:
        rows.append(
            [
                name,
                str(figures.counts["n"]),
                _shown(figures, "accuracy"),
                _shown(figures, "auc"),
                *(
                    _short(figures.values[key])
                    for key in ("decided", "error_among_decided", *guarded)
                ),
                f"{figures.values['coverage']:.3f}",
            ]
        )
    mean = evaluation.mean_over_sources
    if len(sets) > 1:
        rows.append(["mean over sources", "", _shown(mean, "accuracy"), _shown(mean, "auc")])
        rows[-1] += [""] * (len(rows[0]) - len(rows[-1]))
    return columns(rows)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, the second column to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), row[1].rjust(widths[1])]
            + [cell.ljust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        ).rstrip()
        for row in rows
    ]


def _short(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _shown(figures: Figures, name: str) -> str:
    value, (low, high) = figures.values[name], figures.intervals[name]
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f} [{low:.3f}, {high:.3f}]"
