"""Matplotlib figures without its global state: no ``pyplot``, no setting of the process changed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Dash = str | tuple[int, tuple[float, ...]]
Place = Literal["best", "lower right", "lower left", "upper center"]
DPI = 160
DASHES: tuple[Dash, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (6, 1.5, 1, 1.5, 1, 1.5)),
)  # told apart without colour
_FONT_ENDS = 0x0530  # Latin, Greek and Cyrillic are what matplotlib's own font surely has


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one look.

    Those of the classes and lines are after Okabe & Ito (2008), who chose them so that people with
    any kind of colour blindness can tell them apart.
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


def blank(palette: Palette, *, width: float = 5.6, height: float = 4.6) -> Figure:
    """An empty figure of so many inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor=palette.paper)
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, palette: Palette, *, x: str = "", y: str = "") -> None:
    """Give axes the palette's colours and their names."""
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
    """A legend whose names are shown as they are."""
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


def drawable(name: str, *, longest: int = 30) -> str:
    """A name cut to a length, without what the font lacks; such letters would be warned about."""
    plain = "".join(c if c.isprintable() and ord(c) < _FONT_ENDS else "?" for c in name)
    if len(plain) <= longest:
        return plain
    head = (longest - 1) // 2
    return f"{plain[:head]}…{plain[head + 1 - longest :]}"


def png(figure: Figure, *, colours: int | None = None) -> bytes:
    """The figure as a PNG file; with few colours it is a quarter as large, and lines stay clean."""
    file = io.BytesIO()
    figure.savefig(
        file, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None}
    )
    if colours is None:
        return file.getvalue()
    small = io.BytesIO()
    few = (
        Image.open(file)
        .convert("RGB")
        .quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    few.save(small, "PNG", optimize=True)
    return small.getvalue()
