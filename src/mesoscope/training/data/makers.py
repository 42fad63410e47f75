"""Forgeries of real pictures that replace fakes during training, see ``[augment]`` of a recipe.

Each is made of a real picture of the same source, so that the two differ in nothing but the
forgery: none of these makers changes a picture as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.sample import open_sample
from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.synth.averaged import average
from mesoscope.synth.edits import Donor
from mesoscope.synth.edits.maker import most_alike
from mesoscope.synth.swap import DonorIndex, swap_blend
from mesoscope.synth.warped import warp
from mesoscope.training.data.forging import self_blend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.data.sample import Sample
    from mesoscope.training.data.reconstruct import Reconstructor
    from mesoscope.training.recipe.keys import AugmentKeys
    from mesoscope.types import Pixels

DONORS = 3  # candidates compared by looks
TRIES = 4  # donors tried; the light on a third of the pairs differs too much
OF_TWO = {"averaged": average, "swapped": swap_blend}  # makers that take another person's face


class Makers:
    """Make forgeries of real pictures by the chances of a recipe. Thread-safe.

    Args:
        keys: The chances: ``self_blend``, ``warped``, ``reconstructed``, ``averaged``,
            ``swapped``.
        samples: The train split; donors come from its reals.
        landmarks: Of each sample's main face, ``(n, 5, 2)``, NaN where none was found; ``None``
            where none were looked for. ``averaged`` and ``swapped`` need them.
        reconstructor: ``reconstructed`` needs it.

    Raises:
        OptionError: ``reconstructed`` without a reconstructor.
    """

    def __init__(
        self,
        keys: AugmentKeys,
        samples: Sequence[Sample] = (),
        landmarks: NDArray[np.float32] | None = None,
        reconstructor: Reconstructor | None = None,
    ) -> None:
        # Self-blends come first: their draws are those of recipes without the other keys.
        self._chances = (
            ("self_blend", keys.self_blend),
            ("warped", keys.warped),
            ("reconstructed", keys.reconstructed),
            ("averaged", keys.averaged),
            ("swapped", keys.swapped),
        )
        if keys.reconstructed and reconstructor is None:
            raise OptionError("augment.reconstructed: needs trained autoencoders")
        self._reconstructor = reconstructor
        self._landmarks: dict[Sample, NDArray[np.float32]] = {}
        self._reals: dict[str, list[Sample]] = {}
        self._donors: dict[str, DonorIndex] = {}
        if landmarks is None:
            return
        for sample, its in zip(samples, landmarks, strict=True):
            if sample.label == 0 and np.isfinite(its).all():
                self._landmarks[sample] = its
                self._reals.setdefault(sample.source, []).append(sample)
        if keys.needs_landmarks:
            for source, reals in self._reals.items():
                faces, groups = [self._landmarks[s] for s in reals], [s.group for s in reals]
                self._donors[source] = DonorIndex(faces, groups)

    def made(
        self, reals: Sequence[Sample], rng: np.random.Generator
    ) -> tuple[Pixels, Sample] | None:
        """Return the forgery that replaces a fake, or ``None`` to keep the fake.

        Args:
            reals: Real pictures of its source to draw from; in a pair the one before it alone.
            rng: Source of all randomness.

        Returns:
            ``(H, W, 3) uint8`` and the real picture it was made of. ``None`` also where that one
            cannot be forged in the way drawn: its face is too small, or nobody is similar.
        """
        maker = self._drawn(float(rng.random()))
        if not maker or not reals:
            return None
        real = reals[int(rng.integers(len(reals)))]
        if maker in OF_TWO and real not in self._landmarks:
            return None
        pixels = open_sample(real)
        try:
            return self._by(maker, real, pixels, rng), real
        except SourceUnsuitable:
            return None

    def _drawn(self, share: float) -> str:
        for maker, chance in self._chances:
            if share < chance:
                return maker
            share -= chance
        return ""

    def _by(self, maker: str, real: Sample, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        landmarks = self._landmarks.get(real)
        if maker == "self_blend":
            return self_blend(pixels, rng)
        if maker == "warped":
            return warp(pixels, rng, landmarks).pixels
        if maker == "reconstructed" and self._reconstructor is not None:
            return self._reconstructor.reconstruct(pixels, rng, landmarks).pixels
        return self._of_two(maker, real, pixels, rng)

    def _of_two(self, maker: str, real: Sample, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        landmarks = self._landmarks[real]
        for _ in range(TRIES):
            donor = self._donor(real, pixels, rng)
            try:
                made = OF_TWO[maker](pixels, landmarks, donor.pixels, donor.landmarks, rng)
            except SourceUnsuitable:
                continue
            return made.pixels
        raise SourceUnsuitable(f"{real.file}: none of {TRIES} others' faces could be taken")

    def _donor(self, real: Sample, pixels: Pixels, rng: np.random.Generator) -> Donor:
        """Return the most similar of some reals of other groups.

        Raises:
            SourceUnsuitable: Nobody has a similar shape of face.
        """
        landmarks, found = self._landmarks[real], {}
        for _ in range(DONORS):
            place = self._donors[real.source].near(landmarks, real.group, rng)
            donor = self._reals[real.source][place]
            found[place] = Donor(open_sample(donor), self._landmarks[donor])
        best = most_alike(pixels, landmarks, found.values())
        if best is None:
            raise SourceUnsuitable(f"{real.file}: no face of another person lies alike")
        return best
