"""The looks of what is drawn: colours, line styles, and the terms that faces are labelled by.

Colours of labels and lines are after Okabe & Ito (2008), who chose them so that people with any
kind of colour blindness can tell them apart. No colour stands alone: a label is also a word, and
its box a line of its own style.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesoscope.detection.judge import is_unfamiliar, is_unseen
from mesoscope.types import Thresholds

if TYPE_CHECKING:
    from mesoscope.types import FaceScore, Guard, Verdict

Rgb = tuple[int, int, int]

PAPER: Rgb = (255, 255, 255)
INK: Rgb = (28, 30, 34)
QUIET: Rgb = (91, 97, 108)
RULE: Rgb = (213, 216, 221)
# Neither of the colours of real and fake: a person's line must not look like a label.
PERSONS: tuple[Rgb, ...] = (
    (106, 61, 154), (0, 128, 96), (60, 60, 60), (200, 70, 150), (140, 105, 0), (110, 130, 150),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """How a kind of face is drawn.

    Attributes:
        word: What its plate says.
        line: Of its box: bright, as it lies on pictures between dark edges.
        plate: Ground of its plate, and of what is drawn on paper.
        ink: Of the plate's text.
        dash: Lengths of dash and gap in line widths; ``None`` for an unbroken line.
        weight: Line width, times that of the picture.
    """

    word: str
    line: Rgb
    plate: Rgb
    ink: Rgb
    dash: tuple[float, float] | None = None
    weight: float = 1.0


YELLOW: Rgb = (240, 228, 66)
PALE: Rgb = (230, 232, 236)
FAKE = Style("fake", (240, 105, 15), (184, 79, 0), PAPER, weight=2.0)
REAL = Style("real", (70, 165, 230), (0, 114, 178), PAPER)
INCONCLUSIVE = Style("inconclusive", YELLOW, YELLOW, INK, dash=(8, 5))
UNFAMILIAR = Style("unfamiliar", YELLOW, YELLOW, INK, dash=(3, 4))
SKIPPED = Style("too small", PALE, PALE, INK, dash=(1, 4))
SCORED = Style("", PALE, PALE, INK)
LABELS = {"fake": FAKE, "real": REAL, "inconclusive": INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a model's faces are labelled and cut: of a detector, its own.

    Attributes:
        thresholds: Fake from the upper one on, real below the lower one; ``None`` where they are
            not known, as for a verdict read from a file: then only the deciding face has a word.
        guard: When a face is unfamiliar; ``None`` takes every face as familiar.
        face_margin: The card's: longest side of a found face's box times this is the crop's side.
        crop_margin: The card's, for pictures that were taken as faces.
    """

    thresholds: Thresholds | None = None
    guard: Guard | None = None
    face_margin: float = 1.3
    crop_margin: float = 1.0


def style_of(face: FaceScore, verdict: Verdict, terms: Terms) -> Style:
    """The style of a face: what its own score would say, were it alone in the picture."""
    if is_unfamiliar(face, terms.guard):
        return UNFAMILIAR
    if is_unseen(face):
        return INCONCLUSIVE
    if terms.thresholds is not None:
        if face.p_fake >= terms.thresholds.fake_above:
            return FAKE
        return REAL if face.p_fake < terms.thresholds.real_below else INCONCLUSIVE
    if verdict.kind == "image" and face.p_fake == verdict.p_fake:
        return LABELS.get(verdict.label or "", SCORED)
    return SCORED


def score_text(p_fake: float) -> str:
    """Two digits, and never a certainty: ``0.93``, ``>0.99``, ``<0.01``."""
    if p_fake >= 0.995:
        return ">0.99"
    return "<0.01" if p_fake < 0.005 else f"{p_fake:.2f}"


def clock(time_s: float, *, digits: int = 2) -> str:
    """A time within a clip: ``0:03.52``, ``1:02:03.00``."""
    whole = round(time_s * 10**digits)
    seconds, part = divmod(whole, 10**digits)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{text}.{part:0{digits}}" if digits else text
