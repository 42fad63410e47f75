"""The maker of edits for many pictures: whose parts go into whose face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.errors import SourceError, SourceNoMemory, SourceUnsuitable
from mesoscope.synth.edits.forge import edit
from mesoscope.synth.edits.splice import Donor
from mesoscope.synth.outline import five_of
from mesoscope.synth.swap import DonorIndex
from mesoscope.synth.writing import read_face

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from mesoscope.synth.edits.recipe import EditRecipe
    from mesoscope.synth.forgery import Forgery, Landmarks
    from mesoscope.synth.reals import Framing, Real, RealFace
    from mesoscope.synth.writing import Maker
    from mesoscope.types import Pixels


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


SIDE_PX = 40  # of a look: brows, glasses and beards show, pores do not
# Where a look has the eyes and the middle of the mouth: brows and chin are within it.
_EYES_AND_MOUTH = np.array([[11.0, 14.0], [29.0, 14.0], [20.0, 31.0]], np.float32)
_LEVEL = 0.25  # of a difference in light or colour over all of the face: it is matched anyway


def look(pixels: Pixels, landmarks: Landmarks) -> NDArray[np.float32]:
    """A face brought to one place and size, ``(40, 40, 3)`` in CIE L*a*b*, 0 to 255."""
    five = five_of(np.asarray(landmarks, np.float64))
    points = np.stack([five[0], five[1], five[3:].mean(0)]).astype(np.float32)
    matrix = cv2.getAffineTransform(points, _EYES_AND_MOUTH)
    # Averaged first where the face is much larger, as the map itself takes single pixels.
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if 0 < scale < 0.5:
        side = max(1, round(0.7 / scale))
        pixels = np.asarray(cv2.blur(pixels, (side, side)), np.uint8)
    laid = cv2.warpAffine(pixels, matrix, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(laid, cv2.COLOR_RGB2LAB), np.float32)


def unlike(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """How far two looks are apart, in grey levels; light and colour of all of the face count less.

    The nearest 99 % do not matter where a tenth differs much, as with sunglasses on one of them:
    so it is the root of the mean square.
    """
    apart = one - other
    level = apart.mean((0, 1))
    return float(np.sqrt(np.mean((apart - level) ** 2)) + _LEVEL * np.abs(level).mean())


def most_alike(pixels: Pixels, landmarks: Landmarks, donors: Iterable[Donor]) -> Donor | None:
    """The donor whose face looks most like a face; ``None`` where there is none.

    Args:
        pixels: A picture, ``(H, W, 3) uint8``.
        landmarks: Of its face.
        donors: Candidates, each read by its own landmarks.
    """
    wanted = look(pixels, landmarks)
    found = [(unlike(look(d.pixels, d.landmarks), wanted), n, d) for n, d in enumerate(donors)]
    return min(found)[2] if found else None
