"""Several edits of one picture, drawn from a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import OptionError
from mesoscope.synth.edits.anatomy import united
from mesoscope.synth.edits.clone import clone
from mesoscope.synth.edits.dodge_burn import dodge_burn
from mesoscope.synth.edits.inpaint import inpaint
from mesoscope.synth.edits.liquify import liquify, neutral_warp
from mesoscope.synth.edits.recipe import EDITS, EditRecipe
from mesoscope.synth.edits.retouch import retouch
from mesoscope.synth.edits.splice import Donor, splice
from mesoscope.synth.edits.whiten import whiten
from mesoscope.synth.forgery import Forgery

if TYPE_CHECKING:
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Json, Pixels

_RECIPE = EditRecipe()


def edit(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    recipe: EditRecipe = _RECIPE, donor: Donor | None = None,
) -> Forgery:  # fmt: skip
    """Forge a picture as people do it in Photoshop: one edit or several, one after the other.

    Warps come first, so that what follows keeps its sharpness, then parts of others, then the
    skin, then light. Where a warp is among them, the twin went through its neutral part.

    Args:
        pixels: A real picture, ``(H, W, 3) uint8``. Never written to.
        landmarks: Of its face, see :func:`~mesoscope.synth.edits.anatomy.anatomy`.
        rng: Decides everything; the same state gives the same forgery.
        recipe: Chances and ranges.
        donor: For splices; without one none is made.

    Returns:
        The forgery. ``numbers["edits"]`` names the edits in their order, each has its own numbers
        under its name, and ``numbers["change"]`` is the mean change in grey levels within the mask.

    Raises:
        OptionError: Landmarks that describe no face within the picture; a recipe of splices alone
            and no donor.
    """
    forged, twin = pixels, pixels
    mask = np.zeros(pixels.shape[:2], np.float32)
    names = _names(recipe, rng, donor=donor is not None)
    numbers: dict[str, Json] = {"edits": [*names]}
    for name in names:
        one = _made(name, forged, landmarks, rng, recipe, donor)
        if name == "liquify":  # comes first: only it resamples what it does not change
            twin = one.twin
        forged, mask = one.pixels, united(mask, one.mask)
        numbers[name] = one.numbers
    numbers["change"] = round(_change(forged, twin, mask), 3)
    return Forgery(forged, twin, mask, "edit", numbers)


def twin(
    pixels: Pixels, rng: np.random.Generator, *, recipe: EditRecipe = _RECIPE, donor: bool = True
) -> Pixels:
    """A real picture as a twin of :func:`edit` would be, without the work of forging it.

    Args:
        pixels: A real picture, ``(H, W, 3) uint8``.
        rng: Decides whether it is resampled, and how.
        recipe: Chances and ranges.
        donor: Whether the edits have one.
    """
    if "liquify" in _names(recipe, rng, donor=donor):
        return neutral_warp(pixels, rng, keys=recipe.liquify)
    return pixels


def _names(recipe: EditRecipe, rng: np.random.Generator, *, donor: bool) -> list[str]:
    """The edits to make, in order: each by its own chance; where none comes up, one by weight."""
    chances = recipe.chances()
    if not donor:
        chances["splice"] = 0.0
    if not any(chances.values()):
        raise OptionError("splice: there is no donor: give one, or a recipe with other edits")
    names = list(chances)
    drawn = [name for name, roll in zip(names, rng.random(len(names)), strict=True)
             if roll < chances[name]]  # fmt: skip
    if not drawn:
        weights = np.array([chances[name] for name in names])
        drawn = [names[int(rng.choice(len(names), p=weights / weights.sum()))]]
    if len(drawn) > recipe.edits_most:
        drawn = [drawn[n] for n in rng.permutation(len(drawn))[: recipe.edits_most]]
    return sorted(drawn, key=EDITS.index)


def _made(
    name: str, pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, recipe: EditRecipe,
    donor: Donor | None,
) -> Forgery:  # fmt: skip
    strength = recipe.strength
    if name == "splice" and donor is not None:
        return splice(pixels, landmarks, rng, donor=donor, keys=recipe.splice, strength=strength)
    if name == "liquify":
        return liquify(pixels, landmarks, rng, keys=recipe.liquify, strength=strength)
    if name == "clone":
        return clone(pixels, landmarks, rng, keys=recipe.clone, strength=strength)
    if name == "inpaint":
        return inpaint(pixels, landmarks, rng, keys=recipe.inpaint, strength=strength)
    if name == "retouch":
        return retouch(pixels, landmarks, rng, keys=recipe.retouch, strength=strength)
    if name == "dodge_burn":
        return dodge_burn(pixels, landmarks, rng, keys=recipe.dodge_burn, strength=strength)
    return whiten(pixels, landmarks, rng, keys=recipe.whiten, strength=strength)


def _change(forged: Pixels, twin: Pixels, mask: np.ndarray) -> float:
    inside = mask > 0.5 * mask.max(initial=0)
    if not inside.any():
        return 0.0
    return float(np.abs(forged[inside].astype(np.float32) - twin[inside]).mean())
