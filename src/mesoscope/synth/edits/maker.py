"""Edits drawn from a recipe: of one picture, and of many with the choice of donors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.errors import OptionError, SourceError, SourceNoMemory, SourceUnsuitable
from mesoscope.synth.edits.anatomy import anatomy
from mesoscope.synth.edits.light import dodge_burn, whiten
from mesoscope.synth.edits.liquify import liquify, neutral_warp
from mesoscope.synth.edits.recipe import EDITS, EditRecipe
from mesoscope.synth.edits.skin import clone, inpaint, retouch
from mesoscope.synth.edits.splice import Donor, splice
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import five_points
from mesoscope.synth.swap import DonorIndex
from mesoscope.synth.writing import read_face

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from mesoscope.synth.edits.recipe import EditRecipe
    from mesoscope.synth.forgery import Forgery, Landmarks
    from mesoscope.synth.reals import Framing, Real, RealFace
    from mesoscope.synth.writing import Maker
    from mesoscope.types import Json, Pixels

_COMPARED = 10  # number of candidate donors whose appearance is compared
_NO_SPLIT = ""  # the split of donors outside of the data set


class DonorBook:
    """Reals that parts may be taken from. Thread-safe.

    Args:
        reals: The candidates.
        landmarks: Landmarks by name; reals without are no donors.
        framing: Framing of the run's pictures, also applied to donors.
        separate: Whether the donors are a separate folder, so that all can be used for every face.
            Else they are the reals of the run, and used in their split and for other groups only.
    """

    def __init__(
        self, reals: Sequence[Real], landmarks: Mapping[str, Landmarks], framing: Framing, *,
        separate: bool = False,
    ) -> None:  # fmt: skip
        self._landmarks, self._framing, self._separate = landmarks, framing, separate
        self._donors: dict[str, list[Real]] = {}
        for real in reals:
            if real.name in landmarks:
                self._donors.setdefault(self._split(real), []).append(real)
        self._indices = {
            split: DonorIndex(
                [landmarks[one.name] for one in donors],
                [self._group(one) for one in donors],
            )
            for split, donors in self._donors.items()
        }

    def donor_for(self, face: RealFace, rng: np.random.Generator) -> Donor | None:
        """Return the most similar of several donors with a similar pose.

        Returns:
            The donor; ``None`` if no donor has similar landmarks or can be read.
        """
        split = self._split(face.real)
        if split not in self._indices or face.landmarks is None:
            return None
        found: dict[str, Donor] = {}
        for _ in range(_COMPARED):
            try:
                index = self._indices[split].near(face.landmarks, self._group(face.real), rng)
                donor = self._donors[split][index]
                if donor.name not in found:
                    other, _digest = read_face(donor, self._framing, self._landmarks)
                    if other.landmarks is not None:
                        name = str(donor.path)
                        found[donor.name] = Donor(other.pixels, other.landmarks, name)
            except SourceNoMemory:  # with another donor the forgery would not be reproducible
                raise
            except SourceError:  # try another donor
                continue
        return most_alike(face.pixels, face.landmarks, found.values())

    def _split(self, real: Real) -> str:
        return _NO_SPLIT if self._separate else real.split

    def _group(self, real: Real) -> str:
        # Groups of a separate folder are ignored, but a picture is not its own donor.
        return str(real.part or real.path.resolve()) if self._separate else real.group


def edit_maker(recipe: EditRecipe, donors: DonorBook) -> Maker:
    """Return a maker of edits, for :func:`mesoscope.synth.writing.write_forgeries`.

    Args:
        recipe: Probabilities and ranges of the edits.
        donors: Donors of splices.
    """
    splices = recipe.splice.chance > 0
    only_splices = not any(chance for name, chance in recipe.chances().items() if name != "splice")

    def make(face: RealFace, rng: np.random.Generator) -> Forgery:
        path = face.real.path
        if face.landmarks is None:
            raise SourceUnsuitable(f"{path}: no face was found")
        donor = donors.donor_for(face, rng) if splices else None
        if donor is None and only_splices:
            raise SourceUnsuitable(f"{path}: no face of another person has similar landmarks")
        try:
            forgery = edit(face.pixels, face.landmarks, rng, recipe=recipe, donor=donor)
        except SourceUnsuitable as error:
            raise SourceUnsuitable(f"{path}: {error}") from error
        if not forgery.mask.any() or (forgery.pixels == forgery.twin).all():
            raise SourceUnsuitable(f"{path}: the edits change nothing")
        return forgery

    return make


SIDE_PX = 40  # of a thumbnail: brows, glasses and beards are visible, pores are not
# Positions of the eyes and the centre of the mouth in a thumbnail, which includes brows and chin.
_EYES_AND_MOUTH = np.array([[11.0, 14.0], [29.0, 14.0], [20.0, 31.0]], np.float32)
_LEVEL = 0.25  # weight of a difference of the mean colour, which splices match anyway


def thumbnail(pixels: Pixels, landmarks: Landmarks) -> NDArray[np.float32]:
    """Align a face to a fixed position and size, ``(40, 40, 3)`` in CIE L*a*b*, 0 to 255."""
    five = five_points(np.asarray(landmarks, np.float64))
    points = np.stack([five[0], five[1], five[3:].mean(0)]).astype(np.float32)
    matrix = cv2.getAffineTransform(points, _EYES_AND_MOUTH)
    # Blur a much larger face first, as the warp does not average.
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if 0 < scale < 0.5:
        side = max(1, round(0.7 / scale))
        pixels = np.asarray(cv2.blur(pixels, (side, side)), np.uint8)
    warped = cv2.warpAffine(pixels, matrix, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGB2LAB), np.float32)


def appearance_distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the distance of two thumbnails in grey levels; their mean colours count less.

    The root mean square is sensitive to large local differences, such as sunglasses.
    """
    difference = one - other
    level = difference.mean((0, 1))
    return float(np.sqrt(np.mean((difference - level) ** 2)) + _LEVEL * np.abs(level).mean())


def most_alike(pixels: Pixels, landmarks: Landmarks, donors: Iterable[Donor]) -> Donor | None:
    """Return the donor with the most similar appearance; ``None`` if there are no donors.

    Args:
        pixels: A picture, ``(H, W, 3) uint8``.
        landmarks: Landmarks of its face.
        donors: Candidates.
    """
    target = thumbnail(pixels, landmarks)
    found = [
        (appearance_distance(thumbnail(donor.pixels, donor.landmarks), target), n, donor)
        for n, donor in enumerate(donors)
    ]
    return min(found)[2] if found else None


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
