"""Makers of blends for many pictures: choice of the method and of the donor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.errors import OptionError, SourceError, SourceNoMemory, SourceUnsuitable
from mesoscope.synth.averaged import average
from mesoscope.synth.blend import self_blend
from mesoscope.synth.swap import DonorIndex, swap_blend
from mesoscope.synth.warped import warp
from mesoscope.synth.writing import read_face

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from mesoscope.synth.forgery import Forgery, Landmarks
    from mesoscope.synth.reals import Framing, Real, RealFace
    from mesoscope.synth.writing import Maker
    from mesoscope.types import Pixels

METHODS = ("self", "xray", "both", "warped", "averaged")
_TRIES = 10  # number of donors that are tried before a picture is left out


def blend_maker(
    reals: Sequence[Real],
    landmarks: Mapping[str, Landmarks],
    *,
    framing: Framing,
    method: str = "self",
    strength: float = 1.0,
) -> Maker:
    """Return a maker of blends, for :func:`mesoscope.synth.writing.write_forgeries`.

    Args:
        reals: All pictures of the run; donors are taken from them.
        landmarks: Landmarks by name.
        framing: Framing of the run's pictures, also applied to donors.
        method: One of :data:`METHODS`; ``both`` draws ``self`` or ``xray`` per forgery, and uses
            ``self`` if there is no similar donor.
        strength: Strength of the augmentation.

    Raises:
        OptionError: The method is unknown, or ``xray`` or ``averaged`` does not support the
            landmarks.
    """
    if method not in METHODS:
        raise OptionError(f"method must be one of {', '.join(METHODS)}, got {method!r}")

    def by_self(face: RealFace, rng: np.random.Generator) -> Forgery:
        if face.landmarks is None:
            raise SourceUnsuitable(f"{face.real.path}: no face was found")
        if method == "warped":
            return warp(face.pixels, rng, face.landmarks, strength=strength)
        return self_blend(face.pixels, face.landmarks, rng, strength=strength)

    if method in ("self", "warped"):
        return by_self
    swap = _Swap(reals, landmarks, framing, strength, averaged=method == "averaged")
    if method in ("xray", "averaged"):
        return swap

    def by_either(face: RealFace, rng: np.random.Generator) -> Forgery:
        if rng.random() < 0.5:
            try:
                return swap(face, rng)
            except SourceUnsuitable:  # no similar donor: use the other method
                pass
        return by_self(face, rng)

    return by_either


class _Swap:
    """Blends donors of the same split, so that no person is in two splits."""

    def __init__(
        self,
        reals: Sequence[Real],
        landmarks: Mapping[str, Landmarks],
        framing: Framing,
        strength: float,
        *,
        averaged: bool,
    ) -> None:
        self._averaged = averaged
        self._landmarks, self._framing, self._strength = landmarks, framing, strength
        self._donors: dict[str, list[Real]] = {}
        for real in reals:
            if real.name in landmarks:
                self._donors.setdefault(real.split, []).append(real)
        self._indices = {
            split: DonorIndex([landmarks[d.name] for d in donors], [d.group for d in donors])
            for split, donors in self._donors.items()
        }

    def __call__(self, face: RealFace, rng: np.random.Generator) -> Forgery:
        """Blend a donor's face into this one.

        Raises:
            SourceUnsuitable: No donor of this split is similar, or none of those tried covers the
                face.
        """
        path = face.real.path
        if face.landmarks is None or face.real.split not in self._indices:
            raise SourceUnsuitable(f"{path}: no face was found")
        why = ""
        for _ in range(_TRIES):
            try:
                return self._once(face.pixels, face.landmarks, face.real, rng)
            except SourceNoMemory:  # with another donor the forgery would not be reproducible
                raise
            except SourceError as error:  # try another donor
                why = str(error)
        raise SourceUnsuitable(f"{path}: {why}")

    def _once(
        self, pixels: Pixels, landmarks: Landmarks, real: Real, rng: np.random.Generator
    ) -> Forgery:
        place = self._indices[real.split].near(landmarks, real.group, rng)
        donor = self._donors[real.split][place]
        other, digest = read_face(donor, self._framing, self._landmarks)
        if other.landmarks is None:
            raise SourceUnsuitable("no face was found")
        if self._averaged:
            forgery = average(pixels, landmarks, other.pixels, other.landmarks, rng)
        else:
            forgery = swap_blend(
                pixels, landmarks, other.pixels, other.landmarks, rng, strength=self._strength
            )
        forgery.numbers["donor"] = {"path": str(donor.path), "sha256": digest}
        return forgery
