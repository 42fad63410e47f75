"""Parts of another face, fitted in: eyes, nose, mouth, or a larger piece of the face.

What the experts did who made the set *Real and Fake Face Detection* (CIPLAB, Yonsei University):
left eye, right eye, nose and mouth, one or several, come from other people; colours are matched
roughly and the seam is soft.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mesoscope.errors import SourceUnsuitable
from mesoscope.synth.edits.anatomy import Canvas, anatomy, blurred, drawn, region_of
from mesoscope.synth.edits.matching import alignment, coloured, grained, kept, lit, taken
from mesoscope.synth.edits.recipe import FULL, Span, SpliceKeys
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mesoscope.synth.edits.anatomy import Anatomy, Points
    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.types import Json, Pixels

_KEYS = SpliceKeys()
_SMALL = ("left_eye", "right_eye", "nose", "mouth")  # may be taken together
_AWAY = 0.35  # of :func:`turned`: about half way to a profile
_MIRRORED = np.array([1, 0, 2, 4, 3])  # landmarks of a mirrored face, left before right again


@dataclass(frozen=True, slots=True)
class Donor:
    """A face that parts are taken from.

    Attributes:
        pixels: Real, ``(h, w, 3) uint8``, of any size.
        landmarks: Of its face, as those of the target.
        name: For the numbers of the forgery.
    """

    pixels: Pixels
    landmarks: Landmarks
    name: str = ""

    def mirrored(self) -> Donor:
        """Left and right changed."""
        points = np.asarray(anatomy(self.landmarks, self.pixels.shape).five, np.float32)[_MIRRORED]
        points[:, 0] = self.pixels.shape[1] - 1 - points[:, 0]
        return Donor(np.ascontiguousarray(self.pixels[:, ::-1]), points, self.name)


class _Piece(NamedTuple):
    """What is to be replaced.

    Attributes:
        outline: ``(48, 2)`` px of the target.
        anchor: Weights of the five landmarks whose mean must lie on that of the donor.
        weights: Of the five landmarks in the alignment.
    """

    outline: Points
    anchor: tuple[float, ...]
    weights: tuple[float, ...]


class _Manner(NamedTuple):
    """How one piece is fitted in; lengths in face widths."""

    seam: str  # feather | poisson | mixed
    feather: float
    mismatch: float
    light: bool
    grain: bool
    careful: bool
    misplaced: tuple[float, float]
    scale: float
    turn_rad: float
    bent: float

    def told(self) -> dict[str, Json]:
        """For the numbers of the forgery."""
        values: dict[str, Json] = {}
        for key, value in self._asdict().items():
            if isinstance(value, tuple):
                values[key] = [round(one, 5) for one in value]
            else:
                values[key] = round(value, 5) if type(value) is float else value
        return values


def splice(
    pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator, *,
    donor: Donor, keys: SpliceKeys = _KEYS, strength: Span = FULL,
) -> Forgery:  # fmt: skip
    """Replace parts of a face by another's.

    Args:
        pixels: A real picture, ``(H, W, 3) uint8``.
        landmarks: Of its face, see :func:`~mesoscope.synth.edits.anatomy.anatomy`.
        rng: Decides everything; the same state gives the same forgery.
        donor: Where parts come from; mirrored if its face then points the same way.
        keys: Ranges to draw from.
        strength: The stretch of each range that is drawn from, within 0 to 1.

    Raises:
        OptionError: Landmarks of another form.
        SourceUnsuitable: They describe no face within their picture, or too small a one.
    """
    face = anatomy(landmarks, pixels.shape)
    theirs = _anatomy_of(donor)
    if turned(theirs) * turned(face) < 0 and abs(turned(theirs) - turned(face)) > 0.1:
        donor = donor.mirrored()
        theirs = _anatomy_of(donor)
    canvas = Canvas(pixels)
    told: list[Json] = []
    for name in _chosen(keys, turned(face), rng):
        manner = _manner(keys, rng, strength)
        piece = _PIECES[name](face, rng)
        _replace(canvas, face, (donor, theirs), piece, manner, rng)
        told.append({"part": name, **manner.told()})
    return canvas.forgery("splice", {"donor": donor.name, "parts": told})


def turned(face: Anatomy) -> float:
    """How far a face is turned: the nose's way from the middle, in face coordinates."""
    axes = np.stack([face.across, face.down], 1)
    return float(np.linalg.solve(axes, face.five[2] - face.origin)[0])


def _anatomy_of(donor: Donor) -> Anatomy:
    try:
        return anatomy(donor.landmarks, donor.pixels.shape)
    except SourceUnsuitable as error:
        raise SourceUnsuitable(f"donor {donor.name}".rstrip() + f": {error}") from error


def _chosen(keys: SpliceKeys, turn: float, rng: np.random.Generator) -> list[str]:
    """Several small parts, or one large one; not the eye behind the nose of a face turned away."""
    hidden = {True: "right_eye", False: "left_eye"}[turn > 0] if abs(turn) > _AWAY else ""
    small = [part for part in keys.parts if part in _SMALL and part != hidden]
    large = [part for part in keys.parts if part not in _SMALL]
    if small and (not large or rng.random() < 0.7):
        count = int(rng.integers(1, min(keys.parts_most, len(small)) + 1))
        return [small[n] for n in rng.permutation(len(small))[:count]]
    return [large[int(rng.integers(len(large)))]] if large else list(keys.parts)


def _manner(keys: SpliceKeys, rng: np.random.Generator, strength: Span) -> _Manner:
    seam = "feather"
    if rng.random() < keys.poisson:
        seam = "mixed" if rng.random() < 0.25 else "poisson"
    far = strength.draw(rng, 0, keys.misplaced_max)
    way = rng.uniform(0, 2 * np.pi)
    return _Manner(
        seam=seam,
        feather=float(rng.uniform(keys.feather_min, keys.feather_max)),
        mismatch=strength.draw(rng, keys.mismatch_min, keys.mismatch_max),
        light=bool(rng.random() < keys.match_light),
        grain=bool(rng.random() < keys.match_grain),
        careful=bool(rng.random() < keys.careful),
        misplaced=(far * float(np.cos(way)), far * float(np.sin(way))),
        scale=float(rng.uniform(0.95, 1.08)),
        turn_rad=float(rng.uniform(-0.05, 0.05)),
        bent=float(rng.uniform(0, 0.6)),
    )


def _eye(face: Anatomy, rng: np.random.Generator, side: int) -> _Piece:
    above, rx, ry = (-0.15, 0.38, 0.37) if rng.random() < 0.6 else (-0.01, 0.34, 0.21)
    size = rng.uniform(0.92, 1.2)
    centre = face.five[side] + above * face.down
    anchor = (1.0, 0.0) if side == 0 else (0.0, 1.0)
    weights = (1.0, 0.4) if side == 0 else (0.4, 1.0)
    outline = face.oval(centre, rx * size, ry * size, rng=rng, bends=0.12)
    return _Piece(outline, (*anchor, 0, 0, 0), (*weights, 0.2, 0.05, 0.05))


def _nose(face: Anatomy, rng: np.random.Generator) -> _Piece:
    size = rng.uniform(0.95, 1.2)
    centre = face.origin + 0.72 * (face.five[2] - face.origin)
    outline = face.oval(centre, 0.33 * size, 0.41 * size, rng=rng, bends=0.12, top=0.45)
    return _Piece(outline, (0, 0, 1, 0, 0), (0.5, 0.5, 1, 0.4, 0.4))


def _mouth(face: Anatomy, rng: np.random.Generator) -> _Piece:
    half = float(np.hypot(*(face.five[4] - face.five[3])) / np.hypot(*face.across)) / 2
    rx = (float(np.clip(half, 0.25, 0.6)) + 0.1) * rng.uniform(1.0, 1.3)
    outline = face.oval(
        face.five[3:].mean(0), rx, 0.27 * rng.uniform(0.9, 1.4), rng=rng, bends=0.12
    )
    return _Piece(outline, (0, 0, 0, 0.5, 0.5), (0.15, 0.15, 0.3, 1, 1))


def _large(
    face: Anatomy, rng: np.random.Generator, centre: tuple[float, float],
    radii: tuple[float, float], weights: tuple[float, ...],
) -> _Piece:  # fmt: skip
    size = rng.uniform(0.9, 1.1, 2)
    at = face.at(*centre)
    outline = face.oval(at, radii[0] * size[0], radii[1] * size[1], rng=rng, bends=0.1)
    return _Piece(outline, weights, weights)


_PIECES: dict[str, Callable[[Anatomy, np.random.Generator], _Piece]] = {
    "left_eye": lambda face, rng: _eye(face, rng, 0),
    "right_eye": lambda face, rng: _eye(face, rng, 1),
    "nose": _nose,
    "mouth": _mouth,
    "eyes": lambda face, rng: _large(face, rng, (0, -0.1), (0.9, 0.4), (1, 1, 0.3, 0.05, 0.05)),
    "upper": lambda face, rng: _large(face, rng, (0, -0.12), (0.95, 0.55), (1, 1, 0.4, 0.1, 0.1)),
    "lower": lambda face, rng: _large(face, rng, (0, 1.08), (0.7, 0.5), (0.2, 0.2, 0.5, 1, 1)),
    "face": lambda face, rng: _large(face, rng, (0, 0.52), (0.8, 0.9), (1, 1, 1, 1, 1)),
}


def _replace(
    canvas: Canvas, face: Anatomy, donor: tuple[Donor, Anatomy], piece: _Piece, manner: _Manner,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    pixels = canvas.pixels
    extent = np.ptp(piece.outline, axis=0).min() / 2
    soft_px = max(0.6, min(manner.feather * face.width_px, 0.28 * extent))
    around_px = 0.07 * face.width_px
    region = region_of(piece.outline, pixels.shape, pad_px=3 * soft_px + 2 * around_px)
    if region.empty:
        return
    under = pixels[region.slices].astype(np.float32)
    patch, covered = taken(donor[0].pixels, _matrix(face, donor[1], piece, manner), region)
    inside = drawn([piece.outline], region, soft_px=0.7)
    ring = _ring(inside, around_px, covered, patch, under)
    if ring.sum() > 4:
        patch = coloured(patch, under, ring, share=1 - manner.mismatch)
        if manner.light:
            wide_px = 0.12 * face.width_px
            patch = lit(patch, under, ring, share=1 - manner.mismatch, wide_px=wide_px)
        if manner.grain:
            patch = grained(patch, under, ring, rng)
    share = inside if manner.seam != "feather" else drawn([piece.outline], region, soft_px=soft_px)
    if manner.careful:
        share = share * kept(patch, under, inside, face.width_px)
    # Where the donor's picture ends, its edge must be as soft as the seam.
    fading = blurred(covered, soft_px)
    share = clean(share * np.clip(2 * fading - 1, 0, 1))
    if manner.seam != "feather":
        patch = _poisson(patch, under, share, mixed_gradients=manner.seam == "mixed")
    canvas.lay(region, patch, share)


def _matrix(face: Anatomy, theirs: Anatomy, piece: _Piece, manner: _Manner) -> Points:
    """``(2, 3)``, from the donor's pixels to the target's."""
    weights, anchor = np.asarray(piece.weights), np.asarray(piece.anchor)
    anchor = anchor / anchor.sum()
    linear = alignment(theirs.five, face.five, weights, bent=manner.bent)[:, :2]
    cos, sin = np.cos(manner.turn_rad), np.sin(manner.turn_rad)
    linear = manner.scale * np.array([[cos, -sin], [sin, cos]]) @ linear
    to = anchor @ face.five + face.width_px * np.asarray(manner.misplaced)
    return np.column_stack([linear, to - linear @ (anchor @ theirs.five)])


def _ring(
    inside: Mask, wide_px: float, covered: Mask, patch: NDArray[np.float32],
    under: NDArray[np.float32],
) -> Mask:  # fmt: skip
    """Weights about the seam, without what is far from the usual there, such as hair."""
    near = blurred(inside, wide_px)
    ring = np.asarray(near * (1 - inside) * (covered > 0.99), np.float32)
    chosen = ring > 0.5 * ring.max(initial=0)
    if not chosen.any():
        return ring
    for picture in (patch, under):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        ring = ring * np.exp(-(((grey - np.median(grey[chosen])) / 40) ** 2))
    return np.asarray(ring, np.float32)


def _poisson(
    patch: NDArray[np.float32], under: NDArray[np.float32], share: Mask, *, mixed_gradients: bool
) -> NDArray[np.float32]:
    """The patch with the target's values along the seam (Pérez et al. 2003, section 3)."""
    edge = 3  # the solver needs a border of known values, which a picture's edge may not leave
    mask = cv2.copyMakeBorder(
        ((share > 0.02) * 255).astype(np.uint8), edge, edge, edge, edge, cv2.BORDER_CONSTANT
    )
    x, y, width, height = cv2.boundingRect(mask)
    if min(width, height) < 3:
        return patch
    source, target = (
        cv2.copyMakeBorder(
            np.rint(one).astype(np.uint8), edge, edge, edge, edge, cv2.BORDER_REPLICATE
        )
        for one in (patch, under)
    )
    how = cv2.MIXED_CLONE if mixed_gradients else cv2.NORMAL_CLONE
    middle = (x + width // 2, y + height // 2)
    cloned = cv2.seamlessClone(source, target, mask, middle, how)
    return np.asarray(cloned[edge:-edge, edge:-edge], np.float32)
