"""Splices: parts of another face, such as eyes, nose and mouth, or a larger piece.

They simulate the data set *Real and Fake Face Detection* (CIPLAB, Yonsei University), where experts
replaced one or several of left eye, right eye, nose and mouth by those of other people, with
roughly matched colours and a soft seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mesoscope.errors import SourceUnsuitable
from mesoscope.synth.edits.anatomy import Canvas, anatomy, blurred, fill_outlines
from mesoscope.synth.edits.matching import (
    alignment,
    careful_mask,
    match_colour,
    match_grain,
    match_light,
    warp_donor,
)
from mesoscope.synth.edits.recipe import FULL, Span, SpliceKeys
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import bounding_region, clip_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mesoscope.synth.edits.anatomy import Anatomy, Points
    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.types import Json, Pixels

_KEYS = SpliceKeys()
_SMALL = ("left_eye", "right_eye", "nose", "mouth")  # may be combined
_FAR_EYE = 0.35  # value of :func:`yaw`, about half way to a profile
_MIRRORED = np.array([1, 0, 2, 4, 3])  # order of landmarks after mirroring


@dataclass(frozen=True, slots=True)
class Donor:
    """A face that parts are taken from.

    Attributes:
        pixels: A real picture, ``(h, w, 3) uint8``, of any size.
        landmarks: Landmarks of its face, as for the target.
        name: Name in the parameters of the forgery.
    """

    pixels: Pixels
    landmarks: Landmarks
    name: str = ""

    def mirrored(self) -> Donor:
        """Return the mirrored donor."""
        points = np.asarray(anatomy(self.landmarks, self.pixels.shape).five, np.float32)[_MIRRORED]
        points[:, 0] = self.pixels.shape[1] - 1 - points[:, 0]
        return Donor(np.ascontiguousarray(self.pixels[:, ::-1]), points, self.name)


class _Piece(NamedTuple):
    """A part to replace.

    Attributes:
        outline: ``(48, 2)`` in pixels of the target.
        anchor: Weights of the five landmarks whose mean is mapped exactly.
        weights: Weights of the five landmarks in the alignment.
    """

    outline: Points
    anchor: tuple[float, ...]
    weights: tuple[float, ...]


class _Settings(NamedTuple):
    """Parameters of one splice; lengths are in face widths."""

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

    def numbers(self) -> dict[str, Json]:
        """Return the rounded parameters, for the record."""
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
    """Replace parts of a face by those of a donor.

    Args:
        pixels: A real picture, ``(H, W, 3) uint8``.
        landmarks: Landmarks of its face, see :func:`~mesoscope.synth.edits.anatomy.anatomy`.
        rng: Generator; the same state gives the same forgery.
        donor: The donor; mirrored if its yaw is opposite.
        keys: Ranges of the parameters.
        strength: Part of each range to draw from, within 0 to 1.

    Raises:
        OptionError: The landmarks are not valid.
        SourceUnsuitable: A face is outside of its picture, or too small.
    """
    face = anatomy(landmarks, pixels.shape)
    donor_face = _anatomy_of(donor)
    if yaw(donor_face) * yaw(face) < 0 and abs(yaw(donor_face) - yaw(face)) > 0.1:
        donor = donor.mirrored()
        donor_face = _anatomy_of(donor)
    canvas = Canvas(pixels)
    parts: list[Json] = []
    for name in _draw_parts(keys, yaw(face), rng):
        settings = _draw_settings(keys, rng, strength)
        piece = _PIECES[name](face, rng)
        _replace(canvas, face, (donor, donor_face), piece, settings, rng)
        parts.append({"part": name, **settings.numbers()})
    return canvas.forgery("splice", {"donor": donor.name, "parts": parts})


def yaw(face: Anatomy) -> float:
    """Return the nose's horizontal offset in face coordinates, a measure of the yaw."""
    axes = np.stack([face.across, face.down], 1)
    return float(np.linalg.solve(axes, face.five[2] - face.origin)[0])


def _anatomy_of(donor: Donor) -> Anatomy:
    try:
        return anatomy(donor.landmarks, donor.pixels.shape)
    except SourceUnsuitable as error:
        raise SourceUnsuitable(f"donor {donor.name}".rstrip() + f": {error}") from error


def _draw_parts(keys: SpliceKeys, turn: float, rng: np.random.Generator) -> list[str]:
    """Draw several small parts or one large one, without an eye hidden by the nose."""
    hidden = {True: "right_eye", False: "left_eye"}[turn > 0] if abs(turn) > _FAR_EYE else ""
    small = [part for part in keys.parts if part in _SMALL and part != hidden]
    large = [part for part in keys.parts if part not in _SMALL]
    if small and (not large or rng.random() < 0.7):
        count = int(rng.integers(1, min(keys.parts_most, len(small)) + 1))
        return [small[n] for n in rng.permutation(len(small))[:count]]
    return [large[int(rng.integers(len(large)))]] if large else list(keys.parts)


def _draw_settings(keys: SpliceKeys, rng: np.random.Generator, strength: Span) -> _Settings:
    seam = "feather"
    if rng.random() < keys.poisson:
        seam = "mixed" if rng.random() < 0.25 else "poisson"
    far = strength.draw(rng, 0, keys.misplaced_max)
    way = rng.uniform(0, 2 * np.pi)
    return _Settings(
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
    canvas: Canvas, face: Anatomy, donor: tuple[Donor, Anatomy], piece: _Piece,
    settings: _Settings, rng: np.random.Generator,
) -> None:  # fmt: skip
    pixels = canvas.pixels
    extent = np.ptp(piece.outline, axis=0).min() / 2
    soft_px = max(0.6, min(settings.feather * face.width_px, 0.28 * extent))
    around_px = 0.07 * face.width_px
    region = bounding_region(piece.outline, pixels.shape, pad_px=3 * soft_px + 2 * around_px)
    if region.empty:
        return
    under = pixels[region.slices].astype(np.float32)
    patch, covered = warp_donor(donor[0].pixels, _matrix(face, donor[1], piece, settings), region)
    inside = fill_outlines([piece.outline], region, soft_px=0.7)
    ring = _ring(inside, around_px, covered, patch, under)
    if ring.sum() > 4:
        patch = match_colour(patch, under, ring, share=1 - settings.mismatch)
        if settings.light:
            wide_px = 0.12 * face.width_px
            patch = match_light(patch, under, ring, share=1 - settings.mismatch, wide_px=wide_px)
        if settings.grain:
            patch = match_grain(patch, under, ring, rng)
    alpha = inside
    if settings.seam == "feather":
        alpha = fill_outlines([piece.outline], region, soft_px=soft_px)
    if settings.careful:
        alpha = alpha * careful_mask(patch, under, inside, face.width_px)
    # The edge of the donor's picture must be as soft as the seam.
    fading = blurred(covered, soft_px)
    alpha = clip_mask(alpha * np.clip(2 * fading - 1, 0, 1))
    if settings.seam != "feather":
        patch = _poisson(patch, under, alpha, mixed_gradients=settings.seam == "mixed")
    canvas.blend(region, patch, alpha)


def _matrix(face: Anatomy, donor_face: Anatomy, piece: _Piece, settings: _Settings) -> Points:
    """Return the map from the donor's pixels to the target's, ``(2, 3)``."""
    weights, anchor = np.asarray(piece.weights), np.asarray(piece.anchor)
    anchor = anchor / anchor.sum()
    linear = alignment(donor_face.five, face.five, weights, bent=settings.bent)[:, :2]
    cos, sin = np.cos(settings.turn_rad), np.sin(settings.turn_rad)
    linear = settings.scale * np.array([[cos, -sin], [sin, cos]]) @ linear
    to = anchor @ face.five + face.width_px * np.asarray(settings.misplaced)
    return np.column_stack([linear, to - linear @ (anchor @ donor_face.five)])


def _ring(
    inside: Mask, wide_px: float, covered: Mask, patch: NDArray[np.float32],
    under: NDArray[np.float32],
) -> Mask:  # fmt: skip
    """Return weights around the seam, without pixels of other luminance, such as hair."""
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
    patch: NDArray[np.float32], under: NDArray[np.float32], alpha: Mask, *, mixed_gradients: bool
) -> NDArray[np.float32]:
    """Poisson blending of the patch (Pérez et al. 2003, section 3)."""
    edge = 3  # the solver needs a border of known values, also at the picture's edge
    mask = cv2.copyMakeBorder(
        ((alpha > 0.02) * 255).astype(np.uint8), edge, edge, edge, edge, cv2.BORDER_CONSTANT
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
    centre = (x + width // 2, y + height // 2)
    cloned = cv2.seamlessClone(source, target, mask, centre, how)
    return np.asarray(cloned[edge:-edge, edge:-edge], np.float32)
