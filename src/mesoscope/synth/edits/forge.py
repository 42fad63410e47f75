"""Several edits of one picture, drawn from a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.errors import OptionError
from mesoscope.synth.edits.anatomy import anatomy, united
from mesoscope.synth.edits.light import dodge_burn, whiten
from mesoscope.synth.edits.liquify import liquify, neutral_warp
from mesoscope.synth.edits.recipe import EDITS, EditRecipe
from mesoscope.synth.edits.skin import clone, inpaint, retouch
from mesoscope.synth.edits.splice import Donor, splice
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
        under its name, and ``numbers["change"]`` is the change that ``least_change`` speaks of.

    Raises:
        OptionError: Landmarks of another form; a recipe of splices alone and no donor.
        SourceUnsuitable: Landmarks that describe no face within its picture, or too small a one.
    """
    forged, beside = pixels, pixels
    mask = np.zeros(pixels.shape[:2], np.float32)
    width_px = anatomy(landmarks, pixels.shape).width_px
    waiting = _names(recipe, rng, donor=donor is not None)
    done: list[Json] = []
    numbers: dict[str, Json] = {"edits": done}
    while waiting:
        name = waiting.pop(0)
        one = _made(name, forged, landmarks, rng, recipe, donor)
        if name == "liquify":  # comes first: only it resamples what it does not change
            beside = one.twin
        forged, mask = one.pixels, united(mask, one.mask)
        done.append(name)
        numbers[name] = one.numbers
        if not waiting:
            changed = float(cv2.norm(forged, beside, cv2.NORM_L1)) / 3 / width_px**2
            numbers["change"] = round(changed, 4)
            if changed < recipe.least_change:
                waiting = _further(recipe, rng, done, donor=donor is not None)
    return Forgery(forged, beside, mask, "edit", numbers)


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


def _further(
    recipe: EditRecipe, rng: np.random.Generator, done: list[Json], *, donor: bool
) -> list[str]:
    """One more edit, drawn by weight from those not made; none where no other has a chance."""
    chances = {name: chance for name, chance in recipe.chances().items() if name not in done}
    chances.pop("liquify", None)  # would resample what was done before it
    if not donor:
        chances.pop("splice", None)
    weights = np.array(list(chances.values()))
    if not weights.any():
        return []
    return [list(chances)[int(rng.choice(len(weights), p=weights / weights.sum()))]]


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
