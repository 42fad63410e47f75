"""A recipe of edits: TOML in, one frozen dataclass out; what does not belong is named.

Every amount is a range, and ``strength`` says which stretch of all ranges is drawn from.
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mesoscope.errors import OptionError, RecipeError
from mesoscope.files import recipe_file

if TYPE_CHECKING:
    from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class EditRecipe:
    """How forgeries are drawn.

    Attributes:
        strength_min: Lower end of the stretch of all ranges, 0 to 1.
        strength_max: Its upper end.
        edits_most: Up to so many edits of one picture, to which ``least_change`` may add; one is
            always made.
        least_change: Grey levels by which a picture changes at least on average over the square of
            its face's width, so long as there are edits left with a chance; 0 = all are kept.
    """

    strength_min: float = 0.0
    strength_max: float = 1.0
    edits_most: int = 4
    least_change: float = 0.2
    liquify: LiquifyKeys = field(default_factory=LiquifyKeys)
    splice: SpliceKeys = field(default_factory=SpliceKeys)
    clone: CloneKeys = field(default_factory=CloneKeys)
    inpaint: InpaintKeys = field(default_factory=InpaintKeys)
    retouch: RetouchKeys = field(default_factory=RetouchKeys)
    dodge_burn: DodgeBurnKeys = field(default_factory=DodgeBurnKeys)
    whiten: WhitenKeys = field(default_factory=WhitenKeys)

    def __post_init__(self) -> None:
        broken = _broken_rule(self)
        if broken:
            raise RecipeError(broken)

    @property
    def strength(self) -> Span:
        """The stretch of all ranges."""
        return Span(self.strength_min, self.strength_max)

    def chances(self) -> dict[str, float]:
        """Of each edit, by its name, in the order in which edits are made."""
        return {name: getattr(self, name).chance for name in EDITS}

    def only(self, names: tuple[str, ...]) -> EditRecipe:
        """The recipe with the chances of all other edits at 0.

        Raises:
            OptionError: A name that is no edit; or no named edit has a chance.
        """
        unknown = [name for name in names if name not in EDITS]
        if unknown or not names:
            what = repr(unknown[0]) if unknown else "nothing"
            near = difflib.get_close_matches(unknown[0], EDITS, 1, 0.5) if unknown else []
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(EDITS)}"
            raise OptionError(f"edits: {what} is no edit: {hint}")
        if not any(self.chances()[name] for name in names):
            raise OptionError(f"edits: {', '.join(names)} have no chance in the recipe: give one")
        never = {
            name: dataclasses.replace(getattr(self, name), chance=0.0)
            for name in EDITS
            if name not in names
        }
        return dataclasses.replace(self, **never)

    def stronger(self, strength: Span) -> EditRecipe:
        """The recipe with another stretch of all ranges.

        Raises:
            RecipeError: Ends outside 0 to 1, or turned round.
        """
        return dataclasses.replace(self, strength_min=strength.low, strength_max=strength.high)

    def to_toml(self) -> str:
        """The resolved recipe as TOML, every key written out."""
        return recipe_file.to_toml(dataclasses.asdict(self))


def read_edit_recipe(path: Path) -> EditRecipe:
    """Read a recipe of edits.

    Raises:
        RecipeError: No such file, not TOML, an unknown key (with the nearest right one), a wrong
            type, a value out of range.
    """
    data = recipe_file.read_toml(path, missing="no such recipe of edits")
    hint = partial(recipe_file.nearest, dataclasses.asdict(EditRecipe()))
    try:
        return recipe_file.fill(EditRecipe, data, hint=hint)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def _broken_rule(recipe: EditRecipe) -> str | None:
    """The first value out of range, in a sentence; ``None`` where all is well."""
    if not 0 <= recipe.strength_min <= recipe.strength_max <= 1:
        ends = f"{recipe.strength_min:g} and {recipe.strength_max:g}"
        return f"strength_min and strength_max must lie in 0..1 and in order, got {ends}"
    if not 1 <= recipe.edits_most <= len(EDITS):
        return f"edits_most must lie in 1..{len(EDITS)}, got {recipe.edits_most}"
    if not 0 <= recipe.least_change <= 20:
        return f"least_change must lie in 0..20, got {recipe.least_change:g}"
    for section in EDITS:
        broken = _broken_section(section, dataclasses.asdict(getattr(recipe, section)))
        if broken:
            return broken
    if not any(recipe.chances().values()):
        return "no edit has a chance: give one of them, as in liquify.chance = 1"
    unknown = [part for part in recipe.splice.parts if part not in PARTS]
    if unknown:
        near = difflib.get_close_matches(unknown[0], PARTS, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(PARTS)}"
        return f"splice.parts: {unknown[0]!r} is no part: {hint}"
    if not recipe.splice.parts:
        return "splice.parts must name at least one part; splice.chance = 0 leaves splices out"
    return None


_LIMITS = {  # of shares of a face's width: farther, an edit is a caricature
    "displacement_max": 0.15, "feather_max": 0.3, "misplaced_max": 0.2, "size_max": 0.5,
    "neutral_px": 0.99, "stops_max": 2.0,
}  # fmt: skip


def _broken_section(section: str, values: dict[str, Any]) -> str | None:
    for key, value in values.items():
        if isinstance(value, tuple):
            continue
        if key.endswith("_most"):
            if not 1 <= value <= 50:
                return f"{section}.{key} must be 1 to 50, got {value}"
            continue
        limit = _LIMITS.get(key.replace("_min", "_max"), 1.0)
        if not 0 <= value <= limit:
            return f"{section}.{key} must lie in 0..{limit:g}, got {value:g}"
        if key.endswith("_min") and value > values[key.replace("_min", "_max")]:
            return f"{section}.{key} is above {section}.{key.replace('_min', '_max')}"
    if section in ("clone", "inpaint") and values["size_min"] <= 0:
        return f"{section}.size_min must be above 0"
    return None
