"""Forgeries made of the train split's real pictures while training.

A detector can so be trained from real faces alone, as in Shiohara & Yamasaki, *Detecting deepfakes
with self-blended images*, CVPR 2022, section 3. Which maker works at a place of an epoch follows
from the place's key, and a real picture looks up the same draw and is shown as the twin of such a
forgery: changed as a whole as often as the forgeries are, so that nothing but the forged part tells
them. Where ``data.pairs`` puts a forgery behind its real picture, both have one key.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.picture import open_sample
from mesoscope.data.sample import Sample
from mesoscope.errors import SourceUnsuitable
from mesoscope.synth import blend, edits
from mesoscope.synth.donors import DonorIndex
from mesoscope.synth.edits import Donor
from mesoscope.synth.edits.alike import most_alike

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.training.recipe.keys import SynthKeys
    from mesoscope.types import Pixels

    Key = tuple[int, ...]

TRIES = 8  # of real pictures in place of one that cannot be forged
DONORS = 4  # whose looks are compared
_DRAW, _MAKE = 2, 3  # streams of a place's random numbers; 0 and 1 are dataset.py's


class Forge:
    """Makes forgeries of reals. Safe to share between threads.

    Args:
        keys: Which, and how many.
        samples: The train split.
        points: The landmarks of each, ``(n, 5, 2)``, not a number where none were found.

    Attributes:
        samples: What epochs are drawn from: the train split and, for each source without fakes, one
            forgery yet to be made of each of its reals that has landmarks.
    """

    def __init__(
        self, keys: SynthKeys, samples: Sequence[Sample], points: NDArray[np.float32]
    ) -> None:
        self._keys = keys
        self._parents: dict[str, list[Sample]] = defaultdict(list)
        self._points: dict[Sample, NDArray[np.float32]] = {}
        for sample, its in zip(samples, points, strict=True):
            if sample.label == 0 and np.isfinite(its).all():
                self._parents[sample.source].append(sample)
                self._points[sample] = its
        self._donors = {
            source: DonorIndex([self._points[s] for s in reals], [s.group for s in reals])
            for source, reals in self._parents.items()
        }
        forged = {s.source for s in samples if s.label == 1}
        self._bare = {source for source in self._parents if source not in forged}
        yet = [_forgery_of(s) for source in self._bare for s in self._parents[source]]
        self.samples: tuple[Sample, ...] = (*samples, *yet)

    def picture(self, sample: Sample, key: Key, *, behind: Sample | None = None) -> Pixels | None:
        """As :meth:`shown`, without the real picture it is made of."""
        made = self.shown(sample, key, behind=behind)
        return None if made is None else made[0]

    def shown(
        self, sample: Sample, key: Key, *, behind: Sample | None = None
    ) -> tuple[Pixels, Sample] | None:
        """What is shown at a place of an epoch, ``None`` where it is the sample as it is.

        Args:
            sample: What was drawn for the place.
            key: Decides everything; that of the real picture in a pair.
            behind: The real picture that it stands behind in a pair.

        Returns:
            ``(H, W, 3) uint8``, and the real picture that it was made of.
        """
        maker, rng = self._maker(sample.source, key), np.random.default_rng((*key, _MAKE))
        if sample.label == 0:
            if not maker:
                return None
            twin = blend.twin if maker == "blend" else edits.twin
            return twin(open_sample(sample), rng), sample
        bare = sample.source in self._bare
        parent = _real_of(sample) if bare else behind
        if maker and parent is None:
            parent = self._any(sample.source, rng)
        if not maker or parent is None or parent not in self._points:
            return None
        for _ in range(TRIES):
            try:
                return self._made(maker, parent, rng), parent
            except SourceUnsuitable:  # a face too small for what was drawn
                if not bare:
                    return None
                parent = self._any(sample.source, rng) or parent
        raise SourceUnsuitable(
            f"{parent.file}: none of {TRIES} real pictures of {sample.source} could be forged: "
            "their faces are too small"
        )

    def _made(self, maker: str, parent: Sample, rng: np.random.Generator) -> Pixels:
        pixels, points = open_sample(parent), self._points[parent]
        if maker == "blend":
            return blend.self_blend(pixels, points, rng).pixels
        forgery = edits.edit(pixels, points, rng, donor=self._donor(parent, pixels, rng))
        if (forgery.pixels == forgery.twin).all():
            raise SourceUnsuitable(f"{parent.file}: the edits change nothing")
        return forgery.pixels

    def _maker(self, source: str, key: Key) -> str:
        """``blend``, ``edit`` or, for the source's own fakes, nothing."""
        blends, edited = self._keys.blend, self._keys.edit
        if source not in self._parents:
            return ""
        # Of the half of an epoch that is forged: all of it where the source has no fakes.
        half = blends + edited if source in self._bare else 0.5
        drawn = np.random.default_rng((*key, _DRAW)).random() * half
        return "blend" if drawn < blends else "edit" if drawn < blends + edited else ""

    def _any(self, source: str, rng: np.random.Generator) -> Sample | None:
        parents = self._parents.get(source, [])
        return parents[rng.integers(len(parents))] if parents else None

    def _donor(self, parent: Sample, pixels: Pixels, rng: np.random.Generator) -> Donor | None:
        """Of some real pictures of other groups whose faces lie alike, the one that looks alike."""
        points, found = self._points[parent], {}
        for _ in range(DONORS):
            try:
                place = self._donors[parent.source].near(points, parent.group, rng)
            except SourceUnsuitable:
                return None
            donor = self._parents[parent.source][place]
            found[place] = Donor(open_sample(donor), self._points[donor])
        return most_alike(pixels, points, found.values())


def _forgery_of(real: Sample) -> Sample:
    """The place in an epoch of a forgery that is yet to be made."""
    return _with_label(real, 1)


def _real_of(forgery: Sample) -> Sample:
    return _with_label(forgery, 0)


def _with_label(s: Sample, label: int) -> Sample:
    return replace(s, label=label)
