"""A sequence of edits of one picture, drawn from a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.errors import OptionError
from mesoscope.synth.edits.anatomy import anatomy
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
    """Forge a picture by one or several edits.

    The order is: warp, splices, skin, light; later edits stay sharp, as only the warp resamples.
    After a warp, the twin has its neutral part.

    Args:
        pixels: A real picture, ``(H, W, 3) uint8``; not modified.
        landmarks: Landmarks of its face, see :func:`~mesoscope.synth.edits.anatomy.anatomy`.
        rng: Generator; the same state gives the same forgery.
        recipe: Probabilities and ranges of the edits.
        donor: Donor of splices; there are none without it.

    Returns:
        The forgery. ``numbers["edits"]`` has the names of the edits in order, ``numbers[name]``
        the parameters of each, and ``numbers["change"]`` the change that ``least_change`` bounds.

    Raises:
        OptionError: The landmarks are not valid, or the recipe has only splices and there is no
            donor.
        SourceUnsuitable: The face is outside of the picture, or too small.
    """
    forged, counterpart = pixels, pixels
    mask = np.zeros(pixels.shape[:2], np.float32)
    width_px = anatomy(landmarks, pixels.shape).width_px
    pending = _names(recipe, rng, donor=donor is not None)
    done: list[Json] = []
    numbers: dict[str, Json] = {"edits": done}
    while pending:
        name = pending.pop(0)
        one = _apply(name, forged, landmarks, rng, recipe, donor)
        if name == "liquify":  # the first edit, and the only one with another twin than its input
            counterpart = one.twin
        forged = one.pixels
        mask = np.asarray(1 - (1 - mask) * (1 - one.mask), np.float32)
        done.append(name)
        numbers[name] = one.numbers
        if not pending:
            changed = float(cv2.norm(forged, counterpart, cv2.NORM_L1)) / 3 / width_px**2
            numbers["change"] = round(changed, 4)
            if changed < recipe.least_change:
                pending = _further(recipe, rng, done, donor=donor is not None)
    return Forgery(forged, counterpart, mask, "edit", numbers)


def twin(
    pixels: Pixels, rng: np.random.Generator, *, recipe: EditRecipe = _RECIPE, donor: bool = True
) -> Pixels:
    """Return the twin of :func:`edit` without making the forgery.

    Args:
        pixels: A real picture, ``(H, W, 3) uint8``.
        rng: Generator.
        recipe: As for :func:`edit`.
        donor: Whether there is a donor.
    """
    if "liquify" in _names(recipe, rng, donor=donor):
        return neutral_warp(pixels, rng, keys=recipe.liquify)
    return pixels


def _further(
    recipe: EditRecipe, rng: np.random.Generator, done: list[Json], *, donor: bool
) -> list[str]:
    """Draw one more edit by its probability; empty if no other edit is possible."""
    chances = {name: chance for name, chance in recipe.chances().items() if name not in done}
    chances.pop("liquify", None)  # would resample earlier edits
    if not donor:
        chances.pop("splice", None)
    weights = np.array(list(chances.values()))
    if not weights.any():
        return []
    return [list(chances)[int(rng.choice(len(weights), p=weights / weights.sum()))]]


def _names(recipe: EditRecipe, rng: np.random.Generator, *, donor: bool) -> list[str]:
    """Draw the edits independently, in order; at least one."""
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


def _apply(
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
