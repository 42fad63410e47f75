"""Which face goes well into which: people whose landmarks lie alike, found quickly among many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.synth.outline import five_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.synth.forgery import Landmarks

CANDIDATES = 2000  # looked at a search, drawn at random
NEAREST = 12  # of these, one is drawn: the very nearest would be the same one each time

LEAST_LIKENESS = 0.98  # half of all pairs of portraits are nearer; a profile and a face are not


class DonorIndex:
    """Faces by the shape of their five landmarks. Safe to share between threads.

    As in Li et al., *Face X-ray for more general face forgery detection*, CVPR 2020, section 3.2, a
    donor is sought among a random subset by the distance of its landmarks, here after the best
    turn, scale and shift: both shapes are complex vectors of length 1, and their inner product
    says how well one can be laid on the other.

    Args:
        landmarks: One of 5, 68 or 81 points a face.
        groups: The person or source of each; nobody donates to their own group.

    Raises:
        OptionError: Lists of different lengths, or landmarks of another form.
    """

    def __init__(self, landmarks: Sequence[Landmarks], groups: Sequence[str]) -> None:
        if len(landmarks) != len(groups):
            raise OptionError(f"{len(landmarks)} faces, and {len(groups)} groups: give one each")
        number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
        self._number = number
        self._groups = np.array([number[group] for group in groups], np.int64)
        shapes = [_shape(its) for its in landmarks]
        self._shapes = np.array(shapes, np.complex64).reshape(-1, 5)

    def __len__(self) -> int:
        return len(self._groups)

    def near(
        self,
        landmarks: Landmarks,
        group: str,
        rng: np.random.Generator,
        *,
        candidates: int = CANDIDATES,
        nearest: int = NEAREST,
        least: float = LEAST_LIKENESS,
    ) -> int:
        """The place of a donor for a face.

        Args:
            landmarks: Of the face that gets the donor's.
            group: Its own, which cannot donate.
            rng: Draws the candidates, and the donor among the nearest.
            candidates: Faces to look at.
            nearest: How many of these may be drawn.
            least: Likeness, 0 to 1, that a donor must have: less, and the heads are turned apart.

        Raises:
            SourceUnsuitable: All faces are of its own group, or none lies alike.
        """
        others = self._candidates(self._number.get(group, -1), rng, candidates)
        if not len(others):
            raise SourceUnsuitable("there is no face of another person to take")
        likeness = np.abs(self._shapes[others] @ np.conj(_shape(landmarks)))
        few = min(nearest, len(others))
        best = np.argpartition(-likeness, few - 1)[:few]
        best = best[np.argsort(-likeness[best], kind="stable")]
        alike = int((likeness[best] >= least).sum())
        if not alike:
            raise SourceUnsuitable("no face of another person lies alike")
        return int(others[best[rng.integers(alike)]])

    def _candidates(
        self, group: int, rng: np.random.Generator, candidates: int
    ) -> NDArray[np.int64]:
        """Some places of other groups, each once."""
        if len(self._groups) <= 2 * candidates:
            others = np.nonzero(self._groups != group)[0]
            if len(others) > candidates:
                others = rng.choice(others, candidates, replace=False)
            return np.asarray(others, np.int64)
        drawn = np.unique(rng.integers(len(self._groups), size=candidates))
        drawn = drawn[self._groups[drawn] != group]
        return drawn if len(drawn) else np.nonzero(self._groups != group)[0]


def _shape(landmarks: Landmarks) -> NDArray[np.complex64]:
    """Five points as a complex vector about 0, of length 1."""
    points = five_of(landmarks) @ np.array([1, 1j])
    points = points - points.mean()
    return np.asarray(points / max(float(np.linalg.norm(points)), 1e-9), np.complex64)
