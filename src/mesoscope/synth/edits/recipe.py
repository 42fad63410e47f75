"""Recipes of edits: TOML files, read into a frozen dataclass and validated.

Amounts are ranges; ``strength`` selects the part of all ranges to draw from.
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
    """A part of every range, in shares of its length: (0, 1) is the full range."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator, least: float, most: float) -> float:
        """Draw uniformly from this part of the range ``least`` to ``most``."""
        return least + (most - least) * float(rng.uniform(self.low, self.high))


FULL = Span(0.0, 1.0)
STRENGTHS = {"low": Span(0.0, 1 / 3), "medium": Span(1 / 3, 2 / 3), "high": Span(2 / 3, 1.0)}


def strength_of(text: str) -> Span:
    """Parse ``low``, ``medium`` or ``high``, two numbers such as ``0.2-0.5``, or one.

    Raises:
        OptionError: The text is none of these, or a number is outside 0..1.
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
        chance: Probability of the edit.
        displacement_min: Maximum displacement of a pixel, in face widths.
        displacement_max: Upper end of the range.
        moves_most: Maximum number of strokes: eyes, one eye, nose, mouth, smile, jaw, chin, brows.
        neutral_px: Displacement of the neutral warp of both picture and twin; 0 = none.
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
        chance: Probability of the edit; it needs a donor.
        parts: Parts that may be replaced.
        parts_most: Maximum number of left eye, right eye, nose and mouth per edit.
        feather_min: Softness of the seam, in face widths.
        feather_max: Upper end of the range.
        mismatch_min: Share of the difference in colour and light that remains.
        mismatch_max: Upper end of the range.
        misplaced_max: Maximum displacement of a part, in face widths.
        match_grain: Probability that sharpness and grain are matched.
        poisson: Probability of Poisson blending instead of feathering.
        match_light: Probability that light is matched along the seam, besides the mean colour.
        careful: Probability that the seam avoids differing pixels, such as a strip of hair.
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
        chance: Probability of the edit.
        stamps_most: Maximum number of patches.
        size_min: Size of a patch, in face widths.
        size_max: Upper end of the range.
        heal: Probability that a stamp is adapted to the light of its new place (healing brush).
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
        chance: Probability of the edit.
        spots_most: Maximum number of removed spots.
        size_min: Size of a spot, in face widths.
        size_max: Upper end of the range.
        mark: Probability that a larger mark is removed too: a line, such as a scar or a wrinkle.
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
        chance: Probability of the edit.
        amount_min: Share of the skin's unevenness that is removed.
        amount_max: Upper end of the range.
        grain: Probability that grain is added to the smoothed skin.
    """

    chance: float = 0.25
    amount_min: float = 0.4
    amount_max: float = 0.95
    grain: float = 0.3


@dataclass(frozen=True, slots=True)
class DodgeBurnKeys:
    """``[dodge_burn]``.

    Attributes:
        chance: Probability of the edit.
        stops_min: Change of exposure, in stops.
        stops_max: Upper end of the range.
        strokes_most: Maximum number of places.
    """

    chance: float = 0.2
    stops_min: float = 0.12
    stops_max: float = 0.55
    strokes_most: int = 4


@dataclass(frozen=True, slots=True)
class WhitenKeys:
    """``[whiten]``.

    Attributes:
        chance: Probability of the edit.
        amount_min: Share of the colour of teeth and of the white of the eyes that is removed.
        amount_max: Upper end of the range.
    """

    chance: float = 0.15
    amount_min: float = 0.3
    amount_max: float = 0.9


@dataclass(frozen=True, slots=True)
class EditRecipe:
    """Probabilities and ranges of all edits.

    Attributes:
        strength_min: Lower end of the part of all ranges, 0 to 1.
        strength_max: Upper end of the part of all ranges, 0 to 1.
        edits_most: Maximum number of edits per picture, at least one; ``least_change`` may add
            more.
        least_change: Minimum mean change in grey levels, relative to the square of the face's
            width; further edits are added until it is reached. 0 = no minimum.
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
        """The part of all ranges to draw from."""
        return Span(self.strength_min, self.strength_max)

    def chances(self) -> dict[str, float]:
        """Return the probability of each edit, in the order of the edits."""
        return {name: getattr(self, name).chance for name in EDITS}

    def only(self, names: tuple[str, ...]) -> EditRecipe:
        """Return the recipe with the probabilities of all other edits at 0.

        Raises:
            OptionError: A name is no edit, or no named edit has a probability above 0.
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
        """Return the recipe with another part of all ranges.

        Raises:
            RecipeError: The ends are not ordered within 0..1.
        """
        return dataclasses.replace(self, strength_min=strength.low, strength_max=strength.high)

    def to_toml(self) -> str:
        """Format the resolved recipe as TOML, with all keys."""
        return recipe_file.to_toml(dataclasses.asdict(self))


def read_edit_recipe(path: Path) -> EditRecipe:
    """Read a recipe of edits.

    Raises:
        RecipeError: The file is missing or not TOML, a key is unknown (the message suggests a
            similar one), or a value has a wrong type or is out of range.
    """
    data = recipe_file.read_toml(path, missing="no such recipe of edits")
    hint = partial(recipe_file.nearest, dataclasses.asdict(EditRecipe()))
    try:
        return recipe_file.fill(EditRecipe, data, hint=hint)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def _broken_rule(recipe: EditRecipe) -> str | None:
    """Return a message about the first value out of range; ``None`` if there is none."""
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


_LIMITS = {  # upper limits, where larger edits would be caricatures
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
