"""The part of ``mesoscope evaluate --robustness`` that one sees: its bar and its table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo, visible
from mesoscope.evaluation.robustness import judge_changed, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.data.manifest import Sample
    from mesoscope.detection.detector import Detector
    from mesoscope.report.record import Figures
    from mesoscope.report.robustness import Curve, Robustness

_NAMED = 3  # pictures that failed


def withstand(
    chosen: Sequence[Sample], detector: Detector, *, split: str, limit: int, seed: int,
    resamples: int,
) -> tuple[Robustness | None, bool]:  # fmt: skip
    """Judge pictures in all their changes, under a progress bar.

    Returns:
        What came of it, ``None`` where no picture was done; and whether it was interrupted. An
        interruption keeps the pictures that were done.
    """
    judged, interrupted = [], False
    with bar(total=len(chosen), what="robustness") as shown:
        try:
            for one in judge_changed(chosen, detector, seed=seed):
                judged.append(one)
                shown.update()
        except KeyboardInterrupt:
            interrupted = True
    told = [one.error for one in judged if one.error is not None]
    for said in told[:_NAMED]:
        echo(f"mesoscope: robustness: {visible(said)}", err=True)
    if len(told) > _NAMED:
        echo(f"mesoscope: robustness: and {len(told) - _NAMED:,} more pictures failed", err=True)
    if not any(one.answers for one in judged):
        return None, interrupted
    found = measure(
        judged, n_planned=len(chosen), model=detector.model_id, split=split, limit=limit, seed=seed,
        resamples=resamples,
    )  # fmt: skip
    return found, interrupted


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


def _named(curve: Curve) -> tuple[str, str]:
    kind, level = curve.corruption, curve.hardest.level
    return kind.title, "" if level is None else kind.told(level)


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
