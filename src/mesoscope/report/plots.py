"""Matplotlib figures without global state: ROC, precision–recall, reliability, histograms."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from mesoscope import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from mesoscope.report.record import Evaluation


Dash = str | tuple[int, tuple[float, ...]]
Place = Literal["best", "lower right", "lower left", "upper center"]
DPI = 160
DASHES: tuple[Dash, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (6, 1.5, 1, 1.5, 1, 1.5)),
)  # distinguishable without colour
_FONT_ENDS = 0x0530  # matplotlib's own font is sure to have Latin, Greek and Cyrillic


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of a theme.

    Colours of classes and lines are those of Okabe & Ito (2008), which are distinguishable with any
    kind of colour blindness.
    """

    paper: str
    ink: str
    faint: str
    quiet: str
    real: str
    fake: str
    lines: tuple[str, ...]


LIGHT = Palette(
    paper="#ffffff", ink="#1c1e22", faint="#d5d8dd", quiet="#8a909b",
    real="#0072b2", fake="#d55e00",
    lines=("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"),
)  # fmt: skip
DARK = Palette(
    paper="#1b1e24", ink="#e8eaee", faint="#3c414b", quiet="#7d8490",
    real="#56b4e9", fake="#f0853c",
    lines=("#56b4e9", "#e69f00", "#2fbf95", "#e39cc3", "#8fc8f0", "#f0853c"),
)  # fmt: skip


def new_figure(palette: Palette, *, width: float = 5.6, height: float = 4.6) -> Figure:
    """Create an empty figure; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor=palette.paper)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, palette: Palette, *, x: str = "", y: str = "") -> None:
    """Apply the palette and axis labels."""
    axes.set_facecolor(palette.paper)
    axes.set_xlabel(x, color=palette.ink)
    axes.set_ylabel(y, color=palette.ink)
    axes.tick_params(colors=palette.ink, labelsize=9)
    axes.grid(visible=True, color=palette.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette.ink)


def legend(axes: Axes, palette: Palette, *, where: Place = "best", title: str = "") -> None:
    """Add a legend with literal names."""
    box = axes.legend(
        loc=where,
        fontsize=8,
        title=title,
        title_fontsize=8,
        facecolor=palette.paper,
        edgecolor=palette.faint,
        labelcolor=palette.ink,
        framealpha=0.9,
    )
    box.get_title().set_color(palette.ink)
    for text in box.get_texts():
        text.set_parse_math(False)  # a folder may be called $1


def printable_name(name: str, *, longest: int = 30) -> str:
    """Shorten a name, and remove glyphs that the font lacks and would warn about."""
    plain = "".join(c if c.isprintable() and ord(c) < _FONT_ENDS else "?" for c in name)
    if len(plain) <= longest:
        return plain
    head = (longest - 1) // 2
    return f"{plain[:head]}…{plain[head + 1 - longest :]}"


def png(figure: Figure, *, colours: int | None = None) -> bytes:
    """Encode the figure as PNG; few colours make it four times smaller, with clean lines.

    ``Figure.savefig`` lays out and draws twice; the canvas draws once.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture = Image.fromarray(pixels)
    file = io.BytesIO()
    if colours is None:
        picture.save(file, "PNG")
        return file.getvalue()
    few = picture.convert("RGB").quantize(
        colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    few.save(file, "PNG", optimize=True)
    return file.getvalue()


MOST_PANELS = 12  # more are too small to read
MOST_SOURCES = 8  # more lines are not distinguishable
_BARS = 40
Steps = Literal["default", "steps-pre"]


def roc(evaluation: Evaluation, palette: Palette) -> Figure:
    """Plot the ROC curve of all items, and a thin one per source."""
    figure = new_figure(palette)
    axes = figure.add_subplot()
    style_axes(axes, palette, x="false-positive rate (reals called fake)", y="true-positive rate")
    axes.plot([0, 1], [0, 1], color=palette.quiet, linewidth=1.2, linestyle=":")
    for line in _lines(evaluation, palette):
        curve = metrics.roc(line.truth, line.p_fake)
        line.draw(axes, curve, area=metrics.roc_auc(line.truth, line.p_fake))
    _unit(axes)
    if axes.get_legend_handles_labels()[0]:
        legend(axes, palette, where="lower right", title="area under the curve")
    return figure


def precision_recall(evaluation: Evaluation, palette: Palette) -> Figure:
    """Plot the precision–recall curve of all items, and a thin one per source."""
    figure = new_figure(palette)
    axes = figure.add_subplot()
    style_axes(axes, palette, x="recall (fakes found)", y="precision (of those called fake)")
    for line in _lines(evaluation, palette):
        curve = metrics.precision_recall(line.truth, line.p_fake)
        # Steps extend back to the previous recall, as average precision is defined.
        average = metrics.measure(line.truth, line.p_fake)["ap"]
        line.draw(axes, curve, area=average, steps="steps-pre")
    truth, _ = columns(evaluation)
    if truth.size:
        axes.axhline(truth.mean(), color=palette.quiet, linewidth=1.2, linestyle=":")
    _unit(axes)
    if axes.get_legend_handles_labels()[0]:
        legend(axes, palette, where="lower left", title="average precision")
    return figure


def reliability(evaluation: Evaluation, palette: Palette) -> Figure:
    """Plot the reliability diagram with the number of items behind each point."""
    truth, p_fake = columns(evaluation)
    curve = metrics.reliability(truth, p_fake)
    figure = new_figure(palette)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    style_axes(above, palette, y="share of fakes")
    above.plot([0, 1], [0, 1], color=palette.quiet, linewidth=1.2, linestyle=":")
    full = curve.samples > 0
    x, y = curve.mean_p_fake[full], curve.share_fake[full]
    above.vlines(x, np.minimum(x, y), np.maximum(x, y), color=palette.fake, linewidth=1, alpha=0.7)
    above.plot(x, y, color=palette.ink, marker="o", markersize=5, linewidth=1.4)
    _unit(above)
    if truth.size:
        ece = metrics.measure(truth, p_fake)["ece"]
        above.text(0.02, 0.97, f"ECE {ece:.3f}, n = {truth.size:,}", color=palette.ink,
                   va="top", transform=above.transAxes, fontsize=9)  # fmt: skip
    style_axes(below, palette, x="p_fake, mean of the bin", y="items")
    width = np.diff(curve.edges)
    below.bar(curve.edges[:-1], curve.samples, width=width, align="edge", color=palette.lines[0],
              edgecolor=palette.paper, linewidth=0.8)  # fmt: skip
    return figure


def reliability_by_source(evaluation: Evaluation, palette: Palette) -> Figure | None:
    """Plot the reliability diagram of each source, with the range of chance.

    Bars cover the 2.5 % to 97.5 % quantiles of the observed share of fakes in a bin of this size if
    ``p_fake`` is calibrated: a point outside of its bar is not chance.

    Returns:
        The figure; ``None`` with fewer than two sources, or too many to show.
    """
    names = [name for name in evaluation.by_source if columns(evaluation, name)[0].size]
    if not 1 < len(names) <= MOST_PANELS:
        return None
    across = min(3, len(names))
    down = -(-len(names) // across)
    figure = new_figure(palette, width=3.1 * across, height=3.2 * down)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes, name in zip(panels.flat, names, strict=False):
        _panel(axes, evaluation, name, palette)
    for axes in list(panels.flat)[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("p_fake, mean of the bin", color=palette.ink, fontsize=10)
    figure.supylabel("share of fakes", color=palette.ink, fontsize=10)
    return figure


def _panel(axes: Axes, evaluation: Evaluation, name: str, palette: Palette) -> None:
    truth, p_fake = columns(evaluation, name)
    curve = metrics.reliability(truth, p_fake)
    full = curve.samples > 0
    x, y, n = curve.mean_p_fake[full], curve.share_fake[full], curve.samples[full]
    draw = np.random.default_rng(0)
    low, high = np.quantile(draw.binomial(n, x, (2000, x.size)) / n, [0.025, 0.975], axis=0)
    style_axes(axes, palette)
    axes.plot([0, 1], [0, 1], color=palette.quiet, linewidth=1, linestyle=":")
    axes.vlines(x, low, high, color=palette.lines[4], linewidth=5, alpha=0.45)
    axes.plot(x, y, color=palette.ink, linewidth=0.8, alpha=0.6)
    axes.scatter(x, y, s=6 + 120 * n / n.sum(), color=palette.ink, zorder=3)
    _unit(axes)
    ece = metrics.measure(truth, p_fake)["ece"]
    chance = evaluation.by_source[name].values["ece_by_chance"]
    title = f"{printable_name(name)}, n = {truth.size:,}\nECE {ece:.3f}, by chance {chance:.3f}"
    axes.set_title(title, color=palette.ink, fontsize=8.5, parse_math=False)


def scores(evaluation: Evaluation, palette: Palette) -> Figure:
    """Plot histograms of ``p_fake`` by class, with the label thresholds."""
    truth, p_fake = columns(evaluation)
    figure = new_figure(palette)
    axes = figure.add_subplot()
    style_axes(axes, palette, x="p_fake (higher = more fake)", y="items")
    bins = np.linspace(0, 1, _BARS + 1).tolist()
    for label, name, colour, hatch in (
        (0, "real", palette.real, None),
        (1, "fake", palette.fake, "////"),
    ):
        of_class = p_fake[truth == label]
        axes.hist(of_class, bins, color=colour, alpha=0.3, histtype="stepfilled", hatch=hatch,
                  edgecolor=colour, linewidth=0)  # fmt: skip
        axes.hist(of_class, bins, color=colour, histtype="step", linewidth=1.5,
                  label=f"{name}, n = {of_class.size:,}")  # fmt: skip
    low, high = evaluation.thresholds.real_below, evaluation.thresholds.fake_above
    if low < high:
        axes.axvspan(low, high, color=palette.faint, alpha=0.5, linewidth=0, label="inconclusive")
        axes.axvline(
            low, color=palette.ink, linewidth=1.2, linestyle="--", label=f"real below {low:.3g}"
        )
    axes.axvline(high, color=palette.ink, linewidth=1.2, label=f"fake from {high:.3g}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.35 * max(1.0, axes.get_ylim()[1]))  # room for the legend
    legend(axes, palette, where="upper center")
    return figure


def columns(
    evaluation: Evaluation, source: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels and ``p_fake`` of the scored items, ``(n,)`` each; of one source or of all."""
    items = [p for p in evaluation.scored if source is None or p.source == source]
    truth = np.array([p.label for p in items], np.int64)
    return truth, np.array([p.p_fake for p in items], np.float64)


class _Line(NamedTuple):
    """A curve to plot: name, data and style."""

    name: str
    truth: NDArray[np.int64]
    p_fake: NDArray[np.float64]
    colour: str
    dash: Dash
    width: float

    def draw(
        self, axes: Axes, curve: metrics.Curve, *, area: float, steps: Steps = "default"
    ) -> None:
        axes.plot(
            curve.x,
            curve.y,
            label=f"{self.name}, {area:.3f}",
            color=self.colour,
            linestyle=self.dash,
            linewidth=self.width,
            drawstyle=steps,
        )


def _lines(evaluation: Evaluation, palette: Palette) -> Iterator[_Line]:
    """Yield the sources with both classes; the whole set last, on top."""
    names = list(evaluation.by_source)
    if 1 < len(names) <= MOST_SOURCES:
        looks = zip(cycle(palette.lines), cycle(DASHES), strict=False)
        for name, (colour, dash) in zip(names, looks, strict=False):
            truth, p_fake = columns(evaluation, name)
            if 0 < truth.sum() < truth.size:
                yield _Line(printable_name(name), truth, p_fake, colour, dash, 1.2)
    truth, p_fake = columns(evaluation)
    if 0 < truth.sum() < truth.size:
        yield _Line("all", truth, p_fake, palette.ink, "-", 2.4)


def _unit(axes: Axes) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
