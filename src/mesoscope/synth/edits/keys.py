"""What a recipe of edits may say of each edit: chances, counts and ranges of amounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.errors import OptionError

if TYPE_CHECKING:
    import numpy as np

EDITS = ("liquify", "splice", "clone", "inpaint", "retouch", "dodge_burn", "whiten")
PARTS = ("left_eye", "right_eye", "nose", "mouth", "eyes", "upper", "lower", "face")


class Span(NamedTuple):
    """A stretch of every range, in shares of its length: (0, 1) is all of it."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator, least: float, most: float) -> float:
        """An amount between ``least`` and ``most``, evenly from this stretch."""
        return least + (most - least) * float(rng.uniform(self.low, self.high))


FULL = Span(0.0, 1.0)
STRENGTHS = {"low": Span(0.0, 1 / 3), "medium": Span(1 / 3, 2 / 3), "high": Span(2 / 3, 1.0)}


def strength_of(text: str) -> Span:
    """``low``, ``medium`` or ``high``, two numbers such as ``0.2-0.5``, or one.

    Raises:
        OptionError: Anything else, or numbers outside 0 to 1.
    """
    if text in STRENGTHS:
        return STRENGTHS[text]
    low, _, high = text.partition("-")
    try:
        span = Span(float(low), float(high or low))
    except ValueError:
        span = Span(-1, -1)
    if not 0 <= span.low <= span.high <= 1:
        raise OptionError(
            f"strength {text!r} must be low, medium, high, or one or two numbers within 0 to 1, "
            "such as 0.2-0.5"
        )
    return span


@dataclass(frozen=True, slots=True)
class LiquifyKeys:
    """``[liquify]``.

    Attributes:
        chance: That a picture is edited so.
        displacement_min: Of the farthest moved pixel, in face widths.
        displacement_max: Its upper end.
        moves_most: Up to so many of eyes, one eye, nose, mouth, smile, jaw, chin and brows.
        neutral_px: Size of the warp that picture and twin both go through; 0 = none.
    """

    chance: float = 0.35
    displacement_min: float = 0.01
    displacement_max: float = 0.06
    moves_most: int = 4
    neutral_px: float = 0.5


@dataclass(frozen=True, slots=True)
class SpliceKeys:
    """``[splice]``.

    Attributes:
        chance: That a picture is edited so; nothing without a donor.
        parts: What may be replaced.
        parts_most: Up to so many of left eye, right eye, nose and mouth at once.
        feather_min: Softness of the seam, in face widths.
        feather_max: Its upper end.
        mismatch_min: Share of the difference in colour and light that is left.
        mismatch_max: Its upper end.
        misplaced_max: Of a part, by up to so many face widths.
        match_grain: Chance that sharpness and grain are matched.
        poisson: Chance of a Poisson seam in place of a feathered one.
        match_light: Chance that light is matched along the seam, not by one colour alone.
        careful: Chance that the seam keeps clear of what differs, such as a strip of hair.
    """

    chance: float = 0.5
    parts: tuple[str, ...] = PARTS
    parts_most: int = 4
    feather_min: float = 0.008
    feather_max: float = 0.05
    mismatch_min: float = 0.0
    mismatch_max: float = 0.4
    misplaced_max: float = 0.02
    match_grain: float = 0.7
    poisson: float = 0.3
    match_light: float = 0.6
    careful: float = 0.8


@dataclass(frozen=True, slots=True)
class CloneKeys:
    """``[clone]``.

    Attributes:
        chance: That a picture is edited so.
        stamps_most: Up to so many patches.
        size_min: Of a patch, in face widths.
        size_max: Its upper end.
        heal: Chance that a stamp takes on the light of its new place (the healing brush).
    """

    chance: float = 0.2
    stamps_most: int = 5
    size_min: float = 0.05
    size_max: float = 0.16
    heal: float = 0.6


@dataclass(frozen=True, slots=True)
class InpaintKeys:
    """``[inpaint]``.

    Attributes:
        chance: That a picture is edited so.
        spots_most: Up to so many blemish-like spots are removed.
        size_min: Of a spot, in face widths.
        size_max: Its upper end.
        mark: Chance that a larger mark is removed, too: a stroke, as of a scar or a wrinkle.
    """

    chance: float = 0.2
    spots_most: int = 8
    size_min: float = 0.015
    size_max: float = 0.07
    mark: float = 0.4


@dataclass(frozen=True, slots=True)
class RetouchKeys:
    """``[retouch]``.

    Attributes:
        chance: That a picture is edited so.
        amount_min: Share of the skin's unevenness that is taken away.
        amount_max: Its upper end.
        grain: Chance that grain is laid over the smoothed skin.
    """

    chance: float = 0.25
    amount_min: float = 0.4
    amount_max: float = 0.95
    grain: float = 0.3


@dataclass(frozen=True, slots=True)
class DodgeBurnKeys:
    """``[dodge_burn]``.

    Attributes:
        chance: That a picture is edited so.
        stops_min: By which places are made lighter or darker, in stops of exposure.
        stops_max: Its upper end.
        strokes_most: Up to so many kinds of places.
    """

    chance: float = 0.2
    stops_min: float = 0.12
    stops_max: float = 0.55
    strokes_most: int = 4


@dataclass(frozen=True, slots=True)
class WhitenKeys:
    """``[whiten]``.

    Attributes:
        chance: That a picture is edited so.
        amount_min: Share of the colour of teeth and of the white of the eyes that is taken away.
        amount_max: Its upper end.
    """

    chance: float = 0.15
    amount_min: float = 0.3
    amount_max: float = 0.9
