"""Plot robustness: a figure per corruption for the page, and one sheet of all."""

from __future__ import annotations

import math
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.report.plots import DASHES, MOST_SOURCES, new_figure, printable_name, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import NDArray

    from mesoscope.report.plots import Dash, Palette
    from mesoscope.report.record import Figures
    from mesoscope.report.robustness import Level, Robustness, RobustnessCurve

    Floats = NDArray[np.float64]

_COLUMNS = 3  # of the sheet
_UNCHANGED = "as is"


def curve_plot(found: Robustness, curve: RobustnessCurve, palette: Palette) -> Figure:
    """Plot one corruption: AUC and accuracy by source and as mean, and shares of verdicts."""
    figure = new_figure(palette, width=5.6, height=6.6)
    top = _panels(figure, found, curve, palette)
    _legend(figure, top, palette, columns=3)
    return figure


def sheet(found: Robustness, palette: Palette) -> Figure:
    """Plot all corruptions on one sheet with one legend."""
    rows = -(-len(found.curves) // _COLUMNS)
    figure = new_figure(palette, width=4.4 * _COLUMNS, height=5.2 * rows + 0.8)
    blocks = np.ravel(figure.subfigures(rows, _COLUMNS, squeeze=False))
    panels: list[Axes] = []
    for block, curve in zip(blocks, found.curves, strict=False):
        block.set_facecolor(palette.paper)
        panels = _panels(block, found, curve, palette)
    _legend(figure, panels, palette, columns=6)
    model, split = found.conditions["model"], found.conditions["split"]
    title = f"{model}: {found.n_done:,} pictures ({split}), as they are and changed"
    figure.suptitle(title, color=palette.ink, fontsize=12, parse_math=False)
    return figure


class _Trace(NamedTuple):
    """A line to plot: name and style."""

    name: str
    colour: str
    dash: Dash
    width: float
    marker: str = "o"


def _panels(
    figure: Figure | SubFigure, found: Robustness, curve: RobustnessCurve, palette: Palette
) -> list[Axes]:
    """Draw three panels over one axis of levels, and return them."""
    levels, labels = _axis(found, curve)
    panels: list[Axes] = list(figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2)))
    for axes, name, title in zip(panels, ("auc", "accuracy"), ("AUC", "accuracy"), strict=False):
        style_axes(axes, palette, y=title)
        axes.axhline(0.5, color=palette.quiet, linewidth=1.2, linestyle=":")
        for source, trace in _traces(found, palette):
            _line(axes, [one.by_source[source] for one in levels], name, trace)
        whole = _Trace(f"mean of {len(found.unchanged.by_source)}", palette.ink, "-", 2.4)
        if len(found.unchanged.by_source) == 1:
            whole = whole._replace(name=printable_name(next(iter(found.unchanged.by_source))))
        _line(axes, [one.mean_over_sources for one in levels], name, whole, band=True)
        axes.set_ylim(_floor(found), 1.01)
    below = panels[2]
    style_axes(below, palette, x=curve.corruption.unit, y="share")
    decided = _Trace("decided", palette.ink, "-", 1.8, marker="s")
    wrong = _Trace("wrong among decided", palette.fake, "--", 1.8, marker="^")
    for name, trace in (("decided", decided), ("error_among_decided", wrong)):
        _line(below, [one.mean_over_sources for one in levels], name, trace, band=True)
    below.set_ylim(-0.02, 1.02)
    below.set_xticks(range(len(levels)), labels)
    panels[0].set_title(curve.corruption.title, color=palette.ink, fontsize=11, fontweight="bold")
    return panels


def _axis(found: Robustness, curve: RobustnessCurve) -> tuple[list[Level], list[str]]:
    """Return levels and tick labels, with the unchanged pictures first or in the middle."""
    kind = curve.corruption
    levels = list(curve.levels)
    at = sum(level < 0 for level in kind.levels) if kind.both_ways else 0
    levels.insert(at, found.unchanged)
    names = [_UNCHANGED if one.level is None else kind.shown(one.level) for one in levels]
    return levels, names


def _traces(found: Robustness, palette: Palette) -> list[tuple[str, _Trace]]:
    """Return a thin line per source, if there are several distinguishable ones."""
    names = list(found.unchanged.by_source)
    if not 1 < len(names) <= MOST_SOURCES:
        return []
    looks = zip(cycle(palette.lines), cycle(DASHES), strict=False)
    return [
        (name, _Trace(printable_name(name), colour, dash, 1.1))
        for name, (colour, dash) in zip(names, looks, strict=False)
    ]


def _line(
    axes: Axes, figures: Sequence[Figures], name: str, trace: _Trace, *, band: bool = False
) -> None:
    values = np.array([one.values[name] for one in figures])
    if np.isnan(values).all():
        return
    x = np.arange(len(values))
    if band:
        low, high = np.array([one.intervals[name] for one in figures]).T
        axes.fill_between(x, low, high, color=trace.colour, alpha=0.18, linewidth=0)
    axes.plot(x, values, label=trace.name, color=trace.colour, linestyle=trace.dash,
              linewidth=trace.width, marker=trace.marker, markersize=2 + trace.width)  # fmt: skip


def _floor(found: Robustness) -> float:
    """Return a common lower limit, to make panels comparable."""
    levels = [found.unchanged, *(one for curve in found.curves for one in curve.levels)]
    shown = [
        figures.values[name]
        for level in levels
        for figures in (*level.by_source.values(), level.mean_over_sources)
        for name in ("auc", "accuracy")
    ]
    lowest = min((value for value in shown if not math.isnan(value)), default=0.5)
    return min(0.45, math.floor(10 * lowest) / 10)


def _legend(figure: Figure, panels: Sequence[Axes], palette: Palette, *, columns: int) -> None:
    """Add one legend below for all lines."""
    named: dict[str, Artist] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    if not named:
        return
    box = figure.legend(list(named.values()), list(named), loc="outside lower center",
                        ncols=columns, fontsize=8, frameon=False, handlelength=3.2,
                        labelcolor=palette.ink)  # fmt: skip
    for text in box.get_texts():
        text.set_parse_math(False)  # a folder may be called $1
