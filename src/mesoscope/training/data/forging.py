"""Make forgeries of the train split's real pictures during training.

After Shiohara & Yamasaki, *Detecting deepfakes with self-blended images*, CVPR 2022, section 3.2,
without landmarks: training crops hold one face in their middle, so the mask is a random soft blob
there. The detectable trace is that of every face swap: two statistics of colour, sharpness and
compression in one face, and the seam between them.

:mod:`mesoscope.synth.blend` makes self-blended images too: its mask follows landmarks and it
records each random number. All shipped models were trained with the one here
(``augment.self_blend``), so its draws must not change; it needs no landmarks, so it works on crops
where none are found. Both use the same parts: shares of the copy, blur, sharpening, sizes and
compression.

A detector can be trained from real faces alone (Shiohara & Yamasaki, section 3). The key of a
position in an epoch decides which maker works there. A real picture uses the same draw and gets the
same global change as often as the forgeries do, so only the forged part differs. Where
``data.pairs`` puts a forgery after its real picture, both have one key.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.data.sample import Sample, open_sample
from mesoscope.errors import SourceUnsuitable
from mesoscope.imaging.encode import through_jpeg
from mesoscope.imaging.filters import blur, resize, scaled, sharpen
from mesoscope.synth import blend, edits
from mesoscope.synth.blend import RATIOS, blend_mask
from mesoscope.synth.edits import Donor
from mesoscope.synth.edits.maker import most_alike
from mesoscope.synth.swap import DonorIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.training.recipe.keys import SynthKeys
    from mesoscope.types import Pixels

    Key = tuple[int, ...]


def self_blend(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Blend a changed copy of a picture into the picture.

    Args:
        pixels: Picture with a real face in its middle, ``(H, W, 3) uint8``.
        rng: Source of all randomness; the same state gives the same result.

    Returns:
        The forgery, same shape.
    """
    return self_blend_with_mask(pixels, rng)[0]


def self_blend_with_mask(
    pixels: Pixels, rng: np.random.Generator
) -> tuple[Pixels, NDArray[np.float32]]:
    """Like :func:`self_blend`, and also return the blending mask: ``(H, W)``, 0 to 1."""
    copy, base = pixels, pixels
    if rng.random() < 0.5:
        copy = _change(copy, rng)
    else:
        base = _change(base, rng)
    copy = _move(copy, rng)
    height, width = pixels.shape[:2]
    mask = blend_mask(height, width, rng)
    share = (mask * rng.choice(RATIOS))[:, :, None]
    mixed = base + share * (copy.astype(np.float32) - base)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8), mask


def _change(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Change colour, then sharpness or compression, as in a picture of another source."""
    gain = 1 + rng.uniform(-0.1, 0.1) + rng.uniform(-0.06, 0.06, 3)
    shift = rng.uniform(-12, 12) + rng.uniform(-6, 6, 3)
    x = np.clip(x * gain + shift + 0.5, 0, 255).astype(np.uint8)
    kind = rng.integers(4)
    if kind == 0:
        x = blur(x, rng.uniform(0.4, 1.5))
    elif kind == 1:
        x = sharpen(x, 0.6, 1.0)
    elif kind == 2:
        height, width = x.shape[:2]
        x = resize(scaled(x, rng.uniform(0.4, 0.9)), width, height, cv2.INTER_CUBIC)
    else:
        x = through_jpeg(x, int(rng.integers(40, 90)))
    return x


def _move(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Shift and scale a little, as face swaps do."""
    height, width = x.shape[:2]
    scale = 1 + rng.uniform(-0.05, 0.05, 2)
    shift = rng.uniform(-0.03, 0.03, 2) * (width, height) + (1 - scale) * (width, height) / 2
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    moved = cv2.warpAffine(x, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


TRIES = 8  # real pictures tried in place of one that cannot be forged
DONORS = 4  # candidates compared by looks
_DRAW, _MAKE = 2, 3  # random streams of a position; 0 and 1 are dataset.py's


class ForgeryMaker:
    """Make forgeries of real pictures. Thread-safe.

    Args:
        keys: Kinds of forgery and their shares.
        samples: The train split.
        points: Landmarks of each sample, ``(n, 5, 2)``, NaN where none were found.

    Attributes:
        samples: Samples that epochs are drawn from: the train split and, for each source without
            fakes, one forgery to make of each of its reals that has landmarks.
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
        """Like :meth:`shown`, without the real picture it is made of."""
        made = self.shown(sample, key, behind=behind)
        return None if made is None else made[0]

    def shown(
        self, sample: Sample, key: Key, *, behind: Sample | None = None
    ) -> tuple[Pixels, Sample] | None:
        """Return the picture shown at a position of an epoch, ``None`` for the sample unchanged.

        Args:
            sample: Sample drawn for the position.
            key: Seed of all randomness; that of the real picture in a pair.
            behind: The real picture before it in a pair.

        Returns:
            ``(H, W, 3) uint8``, and the real picture it was made of.
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
            except SourceUnsuitable:  # the face is too small for the draw
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
        # Share among the forged half of an epoch: all of it where the source has no fakes.
        half = blends + edited if source in self._bare else 0.5
        drawn = np.random.default_rng((*key, _DRAW)).random() * half
        return "blend" if drawn < blends else "edit" if drawn < blends + edited else ""

    def _any(self, source: str, rng: np.random.Generator) -> Sample | None:
        parents = self._parents.get(source, [])
        return parents[rng.integers(len(parents))] if parents else None

    def _donor(self, parent: Sample, pixels: Pixels, rng: np.random.Generator) -> Donor | None:
        """Return the most similar of some reals of other groups with similar face geometry."""
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
    """Return the sample of a forgery that is made later."""
    return _with_label(real, 1)


def _real_of(forgery: Sample) -> Sample:
    return _with_label(forgery, 0)


def _with_label(s: Sample, label: int) -> Sample:
    return replace(s, label=label)
