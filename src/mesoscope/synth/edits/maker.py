"""The maker of edits for many pictures: whose parts go into whose face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import SourceError, SourceNoMemory, SourceUnsuitable
from mesoscope.synth.donors import DonorIndex
from mesoscope.synth.edits.alike import most_alike
from mesoscope.synth.edits.forge import edit
from mesoscope.synth.edits.splice import Donor
from mesoscope.synth.writing import read_face

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesoscope.synth.edits.recipe import EditRecipe
    from mesoscope.synth.forgery import Forgery, Landmarks
    from mesoscope.synth.framing import Framing
    from mesoscope.synth.reals import Real, RealFace
    from mesoscope.synth.writing import Maker

_SEEN = 10  # donors whose looks are compared
_ANYWHERE = ""  # the split of donors that are no part of the data set


class DonorBook:
    """Reals that parts may be taken from. Safe to share between threads.

    Args:
        reals: All who may give.
        landmarks: By their names; reals without are no donors.
        framing: As pictures are framed in the run; donors are framed alike.
        apart: They are a folder of their own, so that all of them may give to anybody. Else
            they are the reals of the run, and give within their split, to other groups alone.
    """

    def __init__(
        self, reals: Sequence[Real], landmarks: Mapping[str, Landmarks], framing: Framing, *,
        apart: bool = False,
    ) -> None:  # fmt: skip
        self._landmarks, self._framing, self._apart = landmarks, framing, apart
        self._givers: dict[str, list[Real]] = {}
        for real in reals:
            if real.name in landmarks:
                self._givers.setdefault(self._place(real), []).append(real)
        self._indices = {
            place: DonorIndex(
                [landmarks[one.name] for one in givers],
                [self._group(one) for one in givers],
            )
            for place, givers in self._givers.items()
        }

    def donor_for(self, face: RealFace, rng: np.random.Generator) -> Donor | None:
        """Somebody whose face is turned alike and, of several such, looks most alike.

        Returns:
            The donor; ``None`` where nobody lies alike or can be read.
        """
        place = self._place(face.real)
        if place not in self._indices or face.landmarks is None:
            return None
        found: dict[str, Donor] = {}
        for _ in range(_SEEN):
            try:
                at = self._indices[place].near(face.landmarks, self._group(face.real), rng)
                giver = self._givers[place][at]
                if giver.name not in found:
                    other, _digest = read_face(giver, self._framing, self._landmarks)
                    if other.landmarks is not None:
                        name = str(giver.path)
                        found[giver.name] = Donor(other.pixels, other.landmarks, name)
            except SourceNoMemory:  # another one would make the forgery hang on chance
                raise
            except SourceError:  # another one may do
                continue
        return most_alike(face.pixels, face.landmarks, found.values())

    def _place(self, real: Real) -> str:
        return _ANYWHERE if self._apart else real.split

    def _group(self, real: Real) -> str:
        # Groups of another folder mean nothing here, but no picture gives to itself.
        return str(real.part or real.path.resolve()) if self._apart else real.group


def edit_maker(recipe: EditRecipe, donors: DonorBook) -> Maker:
    """A maker of edits, for :func:`mesoscope.synth.writing.write_forgeries`.

    Args:
        recipe: What is drawn.
        donors: Who may give parts, where the recipe takes any.
    """
    splices = recipe.splice.chance > 0
    alone = not any(chance for name, chance in recipe.chances().items() if name != "splice")

    def make(face: RealFace, rng: np.random.Generator) -> Forgery:
        path = face.real.path
        if face.landmarks is None:
            raise SourceUnsuitable(f"{path}: no face was found")
        donor = donors.donor_for(face, rng) if splices else None
        if donor is None and alone:
            raise SourceUnsuitable(f"{path}: no face of another person lies alike")
        try:
            forgery = edit(face.pixels, face.landmarks, rng, recipe=recipe, donor=donor)
        except SourceUnsuitable as error:
            raise SourceUnsuitable(f"{path}: {error}") from error
        if not forgery.mask.any() or (forgery.pixels == forgery.twin).all():
            raise SourceUnsuitable(f"{path}: the edits change nothing")
        return forgery

    return make
