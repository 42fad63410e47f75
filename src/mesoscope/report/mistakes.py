"""The most confident mistakes, as crops to look at."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from mesoscope.errors import MesoscopeError
from mesoscope.faces.crop import crop
from mesoscope.media.image import open_image
from mesoscope.metrics import CUT
from mesoscope.report.canvas import blank, drawable
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mesoscope.report.canvas import Palette
    from mesoscope.report.record import Evaluation, Prediction
    from mesoscope.types import ModelCard, Pixels

MOST = 20
_COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Wrong:
    """An item that was judged wrongly.

    Attributes:
        prediction: The item.
    """

    prediction: Prediction

    @property
    def name(self) -> str:
        """The file's name."""
        return PurePath(self.prediction.path).name

    @property
    def truth(self) -> str:
        """``real`` or ``fake``."""
        return CLASSES[self.prediction.label]


@dataclass(frozen=True, slots=True)
class Mistake(Wrong):
    """A picture on the wrong side of .5.

    Attributes:
        crop: What the network saw, ``(S, S, 3) uint8``; ``None`` where the file has gone since.
    """

    crop: Pixels | None


def worst(evaluation: Evaluation, *, most: int = MOST) -> tuple[list[Mistake], list[Mistake]]:
    """The mistaken pictures that are furthest from .5, half of either kind.

    Where one kind has fewer, the other fills the places.

    Returns:
        Reals called fake, and fakes called real, the most confident first.
    """
    wrong = sorted(
        (p for p in evaluation.scored if p.kind != "clip" and (_score(p) >= CUT) != (p.label == 1)),
        key=lambda p: (-abs(_score(p) - CUT), p.path),
    )
    reals = [p for p in wrong if p.label == 0]
    fakes = [p for p in wrong if p.label == 1]
    half = most // 2
    n_reals = min(len(reals), max(half, most - len(fakes)))
    return (
        [_cut(p, evaluation.card) for p in reals[:n_reals]],
        [_cut(p, evaluation.card) for p in fakes[: most - n_reals]],
    )


def contact_sheet(
    kinds: tuple[Sequence[Mistake], Sequence[Mistake]], palette: Palette
) -> Figure | None:
    """Both kinds on one sheet, five in a row; ``None`` where there is no mistake."""
    rows: list[tuple[str, Sequence[Mistake]]] = []
    for title, kind in zip(("Real, called fake", "Fake, called real"), kinds, strict=True):
        rows += [
            ("" if at else title, kind[at : at + _COLUMNS]) for at in range(0, len(kind), _COLUMNS)
        ]
    if not rows:
        return None
    figure = blank(palette, width=2.1 * _COLUMNS, height=2.75 * len(rows))
    grid = figure.subplots(len(rows), _COLUMNS, squeeze=False)
    for axes_row, (title, mistakes) in zip(grid, rows, strict=True):
        for axes in axes_row:
            axes.set_axis_off()
        if title:
            axes_row[0].set_title(title, loc="left", color=palette.ink, fontweight="bold")
        for axes, mistake in zip(axes_row, mistakes, strict=False):
            _show(axes, mistake, palette)
    return figure


def _show(axes: Axes, mistake: Mistake, palette: Palette) -> None:
    item = mistake.prediction
    if mistake.crop is not None:
        axes.imshow(mistake.crop)
    caption = (
        f"p_fake {_score(item):.3f}, truth {mistake.truth}\n"
        f"{drawable(item.source, longest=26)}\n{drawable(mistake.name, longest=26)}"
    )
    axes.text(0.5, -0.03, caption, transform=axes.transAxes, ha="center", va="top", fontsize=8,
              color=palette.ink, parse_math=False)  # fmt: skip


def _cut(item: Prediction, card: ModelCard) -> Mistake:
    """The crop that was scored, made once more by the one crop function."""
    if item.box is None:
        return Mistake(item, None)
    try:
        # It was read once under the caller's limit of pixels: that need not be asked again.
        frame = open_image(item.part or item.path, max_pixels=sys.maxsize)
        seen = crop(
            frame.pixels,
            item.box,
            margin=card.crop_margin,
            size_px=card.input_px,
            resize=card.resize,
        )
    except MesoscopeError:
        return Mistake(item, None)
    return Mistake(item, seen)


def _score(item: Prediction) -> float:
    return CUT if item.p_fake is None else item.p_fake
