"""Show the most confident mistakes: crops of pictures, strips of clips."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.draw import Terms, contact_strip, draw_timeline, most_suspicious
from mesoscope.faces.crop import crop
from mesoscope.media.image import open_image
from mesoscope.media.video import frames_at
from mesoscope.metrics import CUT
from mesoscope.report.plots import new_figure, printable_name
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mesoscope.report.plots import Palette
    from mesoscope.report.record import Evaluation, Prediction
    from mesoscope.types import Frame, ModelCard, Pixels, Verdict


MOST = 20
_COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Misclassified:
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
class Mistake(Misclassified):
    """A picture on the wrong side of .5.

    Attributes:
        crop: The network's input, ``(S, S, 3) uint8``; ``None`` if the file is missing now.
    """

    crop: Pixels | None


def worst(evaluation: Evaluation, *, most: int = MOST) -> tuple[list[Mistake], list[Mistake]]:
    """Select the mistaken pictures furthest from .5, half of each kind.

    If one kind has fewer, the other fills the rest.

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
    """Draw both kinds on one sheet, five in a row; ``None`` without mistakes."""
    rows: list[tuple[str, Sequence[Mistake]]] = []
    for title, kind in zip(("Real, called fake", "Fake, called real"), kinds, strict=True):
        rows += [
            ("" if at else title, kind[at : at + _COLUMNS]) for at in range(0, len(kind), _COLUMNS)
        ]
    if not rows:
        return None
    figure = new_figure(palette, width=2.1 * _COLUMNS, height=2.75 * len(rows))
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
        f"{printable_name(item.source, longest=26)}\n{printable_name(mistake.name, longest=26)}"
    )
    axes.text(0.5, -0.03, caption, transform=axes.transAxes, ha="center", va="top", fontsize=8,
              color=palette.ink, parse_math=False)  # fmt: skip


def _cut(item: Prediction, card: ModelCard) -> Mistake:
    """Cut the scored crop again."""
    if item.box is None:
        return Mistake(item, None)
    try:
        # The caller's limit of pixels was checked on the first read.
        frame = open_image(item.part or item.path, max_pixels=sys.maxsize)
        seen = crop(
            frame.pixels,
            item.box,
            margin=card.crop_margin,
            size_px=card.input_px,
            resize=card.resize,
        )
    except Exception:  # noqa: BLE001 - the page is written without this crop
        return Mistake(item, None)
    return Mistake(item, seen)


def _score(item: Prediction) -> float:
    return CUT if item.p_fake is None else item.p_fake


_WIDTH, _CHART = 1080, 240
_GAP = 12
_FRAMES = 6


@dataclass(frozen=True, slots=True)
class ClipMistake(Misclassified):
    """A clip on the wrong side.

    Attributes:
        strip: Frames with face boxes and scores, and the scores over time below, ``(h, 1080, 3)
            uint8``; ``None`` if the file is missing now, or cannot be drawn.
    """

    strip: Pixels | None

    @property
    def caption(self) -> str:
        """Describe the wrong verdict in a line."""
        one = self.prediction
        why = f" ({one.reason.replace('_', ' ')})" if one.reason else ""
        length = "" if one.duration_s is None else f", {one.duration_s:.1f} s"
        persons = f"{one.persons} {'person' if one.persons == 1 else 'persons'}"
        faces = f"{one.faces} {'face' if one.faces == 1 else 'faces'}"
        frames = f"{one.frames} {'frame' if one.frames == 1 else 'frames'}"
        return f"told {one.answer}{why}: {persons}, {faces} in {frames}{length}"


def worst_clips(evaluation: Evaluation) -> tuple[list[ClipMistake], list[ClipMistake]]:
    """Select the clips whose verdict was kept, the most wrong first: reals, then fakes.

    Clips with a wrong label come before those whose score is on the wrong side of .5 without a
    wrong label.
    """
    kept = [(p.error_rank, p) for p in evaluation.predictions if p.seen is not None]
    wrong = [(how, p) for how, p in kept if how is not None]
    wrong.sort(key=lambda pair: (not pair[0][0], -pair[0][1], pair[1].path))
    card = evaluation.card
    terms = Terms.of(card, evaluation.thresholds, evaluation.guard)
    reals, fakes = (
        [ClipMistake(p, _strip(p, terms)) for _, p in wrong if p.label == label] for label in (0, 1)
    )
    return reals, fakes


def _strip(item: Prediction, terms: Terms) -> Pixels | None:
    """Draw frames and chart, one below the other."""
    verdict = item.seen
    if verdict is None:
        return None
    try:
        # The caller's limit of pixels was checked on the first read.
        frames = frames_at(item.path, _moments(item, verdict), max_pixels=sys.maxsize)
        return _drawn(frames, verdict, terms) if frames else None
    except Exception:  # noqa: BLE001 - the page is written without this strip
        return None


def _moments(item: Prediction, verdict: Verdict) -> tuple[float, ...]:
    """Choose frames: of a real the highest scores; of a fake evenly spaced ones.

    The highest scores show what made a real look forged. A missed fake scored low throughout, so no
    frame is conspicuous.
    """
    if not item.label:
        return most_suspicious(verdict, _FRAMES)
    times = sorted({face.time_s for face in verdict.faces if face.time_s is not None})
    chosen = np.linspace(0, len(times) - 1, min(_FRAMES, len(times))).round().astype(int)
    return tuple(times[n] for n in chosen.tolist())


def _drawn(frames: list[Frame], verdict: Verdict, terms: Terms) -> Pixels:
    columns = min(len(frames), _FRAMES if _upright(frames[0]) else 3)
    strip = contact_strip(
        frames, verdict, width_px=_WIDTH, columns=columns, heat=False, terms=terms
    )
    chart = draw_timeline(verdict, _WIDTH, _CHART, terms=terms)
    gap = np.full((_GAP, _WIDTH, 3), chart[0, 0], np.uint8)
    return np.concatenate([strip, gap, chart])


def _upright(frame: Frame) -> bool:
    height, width = frame.pixels.shape[:2]
    return bool(height > width)
