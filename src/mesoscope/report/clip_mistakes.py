"""The clips that were judged most wrongly, as strips of frames with their scores over time."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.draw import Terms, contact_strip, draw_timeline, most_suspicious
from mesoscope.media.video import frames_at
from mesoscope.report.mistakes import Wrong

if TYPE_CHECKING:
    from mesoscope.report.record import Evaluation, Prediction
    from mesoscope.types import Frame, Pixels, Verdict

_WIDTH, _CHART = 1080, 240
_GAP = 12
_FRAMES = 6


@dataclass(frozen=True, slots=True)
class ClipMistake(Wrong):
    """A clip on the wrong side.

    Attributes:
        strip: Frames with face boxes and scores, the scores over time below, ``(h, 1080, 3)
            uint8``; ``None`` where the file has gone since, or cannot be drawn.
    """

    strip: Pixels | None

    @property
    def says(self) -> str:
        """What was told and of what, in a line."""
        one = self.prediction
        why = f" ({one.reason.replace('_', ' ')})" if one.reason else ""
        length = "" if one.duration_s is None else f", {one.duration_s:.1f} s"
        persons = f"{one.persons} {'person' if one.persons == 1 else 'persons'}"
        faces = f"{one.faces} {'face' if one.faces == 1 else 'faces'}"
        frames = f"{one.frames} {'frame' if one.frames == 1 else 'frames'}"
        return f"told {one.told}{why}: {persons}, {faces} in {frames}{length}"


def worst_clips(evaluation: Evaluation) -> tuple[list[ClipMistake], list[ClipMistake]]:
    """The clips whose verdict was kept, the most wrong first: reals, then fakes.

    Those that were told the wrong label come before those whose score is on the wrong side of .5
    without a wrong label.
    """
    kept = [(p.wrongness, p) for p in evaluation.predictions if p.seen is not None]
    wrong = [(how, p) for how, p in kept if how is not None]
    wrong.sort(key=lambda pair: (not pair[0][0], -pair[0][1], pair[1].path))
    card = evaluation.card
    terms = Terms(evaluation.thresholds, evaluation.guard, card.face_margin, card.crop_margin)
    reals, fakes = (
        [ClipMistake(p, _strip(p, terms)) for _, p in wrong if p.label == label] for label in (0, 1)
    )
    return reals, fakes


def _strip(item: Prediction, terms: Terms) -> Pixels | None:
    """Frames and chart, one below the other."""
    verdict = item.seen
    if verdict is None:
        return None
    try:
        # It was read once under the caller's limit of pixels: that need not be asked again.
        frames = frames_at(item.path, _moments(item, verdict), max_pixels=sys.maxsize)
        return _drawn(frames, verdict, terms) if frames else None
    except Exception:  # noqa: BLE001 - a strip that cannot be drawn costs no page, whatever it is
        return None


def _moments(item: Prediction, verdict: Verdict) -> tuple[float, ...]:
    """Which frames: of a real those that scored highest; of a fake some along its length.

    What made a real look forged is in its highest frames. A forged clip that was missed scored low
    throughout, and no frame stands for that more than another.
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
