"""Face swaps between similar faces.

Li et al., *Face X-ray for more general face forgery detection*, CVPR 2020, section 3. A donor with
similar landmarks is aligned to the face, its colours are matched, the mask is deformed, and both
are combined by alpha blending or Poisson blending (Pérez et al., *Poisson image editing*, 2003).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.imaging.filters import resize
from mesoscope.synth.blend import draw_hull
from mesoscope.synth.colour import (
    draw_frequency,
    draw_shift,
    is_grey,
    luminance_gap,
    match_colour,
    match_sharpness,
    shading_correlation,
)
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import (
    alpha_blend,
    clip_mask,
    draw_mask,
    face_region,
    five_points,
    full_mask,
    hull,
    mesh,
    similarity_transform,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.synth.outline import Points, Region
    from mesoscope.types import Pixels


CANDIDATES = 2000  # number of random candidates per search
NEAREST = 12  # number of nearest candidates to draw from: the nearest would always be the same

MIN_SIMILARITY = 0.98  # exceeded by half of all pairs of portraits, not by a profile and a portrait


class DonorIndex:
    """Search for faces with similar landmarks. Thread-safe.

    As in Li et al. 2020, section 3.2, the donor is searched in a random subset by the distance of
    its landmarks, here after the optimal similarity transform: both shapes are complex unit
    vectors, and the absolute value of their inner product is the similarity.

    Args:
        landmarks: 5, 68 or 81 points per face.
        groups: Group of each face; donors are of another group.

    Raises:
        OptionError: The lengths differ, or landmarks are not valid.
    """

    def __init__(self, landmarks: Sequence[Landmarks], groups: Sequence[str]) -> None:
        if len(landmarks) != len(groups):
            raise OptionError(f"{len(landmarks)} faces, and {len(groups)} groups: give one each")
        number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
        self._number = number
        self._groups = np.array([number[group] for group in groups], np.int64)
        shapes = [_shape(points) for points in landmarks]
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
        min_similarity: float = MIN_SIMILARITY,
    ) -> int:
        """Draw a donor for a face.

        Args:
            landmarks: Landmarks of the target face.
            group: Group of the target face, excluded from the donors.
            rng: Draws the candidates, and the donor among the nearest.
            candidates: Number of candidates.
            nearest: Number of nearest candidates to draw from.
            min_similarity: Minimum similarity, 0 to 1; below it the head poses differ.

        Returns:
            Index of the donor.

        Raises:
            SourceUnsuitable: There is no face of another group, or none is similar.
        """
        others = self._candidates(self._number.get(group, -1), rng, candidates)
        if not len(others):
            raise SourceUnsuitable("there is no face of another person to take")
        similarity = np.abs(self._shapes[others] @ np.conj(_shape(landmarks)))
        count = min(nearest, len(others))
        best = np.argpartition(-similarity, count - 1)[:count]
        best = best[np.argsort(-similarity[best], kind="stable")]
        similar = int((similarity[best] >= min_similarity).sum())
        if not similar:
            raise SourceUnsuitable("no face of another person has similar landmarks")
        return int(others[best[rng.integers(similar)]])

    def _candidates(
        self, group: int, rng: np.random.Generator, candidates: int
    ) -> NDArray[np.int64]:
        """Draw indices of other groups, without duplicates."""
        if len(self._groups) <= 2 * candidates:
            others = np.nonzero(self._groups != group)[0]
            if len(others) > candidates:
                others = rng.choice(others, candidates, replace=False)
            return np.asarray(others, np.int64)
        drawn = np.unique(rng.integers(len(self._groups), size=candidates))
        drawn = drawn[self._groups[drawn] != group]
        return drawn if len(drawn) else np.nonzero(self._groups != group)[0]


def _shape(landmarks: Landmarks) -> NDArray[np.complex64]:
    """Return five points as a centred complex unit vector."""
    points = five_points(landmarks) @ np.array([1, 1j])
    points = points - points.mean()
    return np.asarray(points / max(float(np.linalg.norm(points)), 1e-9), np.complex64)


MAKER = "swap_blend"
HOWS = ("alpha", "poisson")
SWAPPED = ("face", "inner", "lower")  # others cut through glasses, or include the donor's hair
_PAD = 0.2
_MIN_COVERED = 0.35  # minimum share of an outline that the donor's face covers
_REACH = 0.8  # standard deviation of the warp's kernels, in distances between the eyes
_MAX_ADDED = 22.0  # grey levels
_MIN_CORRELATION = 0.3  # of the shading: a quarter of aligned pairs are lit differently or occluded
_MAX_GAP, _MAX_RATIO = 60.0, 1.9  # of the luminance: beyond, matching amplifies shadows and noise
_REST = 0.35  # strength of the colour augmentation after matching


def swap_blend(
    pixels: Pixels,
    landmarks: Landmarks,
    donor: Pixels,
    donor_landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    strength: float = 1.0,
    hulls: Sequence[str] = SWAPPED,
    how: str | None = None,
) -> Forgery:
    """Blend a donor's face into a picture.

    Args:
        pixels: The picture, ``(H, W, 3) uint8``.
        landmarks: Landmarks of its face, 5, 68 or 81 points.
        donor: A picture with a similar face, of any size.
        donor_landmarks: Landmarks of the donor's face, the same number of points.
        rng: Generator; the same state gives the same forgery.
        strength: Strength of the augmentation of colour and sharpness after matching, 0 to 4.
        hulls: Outlines to draw from, of :data:`mesoscope.synth.outline.HULLS`.
        how: ``alpha`` or ``poisson``; ``None`` draws one.

    Returns:
        The forgery; its twin is the unchanged picture.

    Raises:
        OptionError: Landmarks or options are not valid.
        SourceUnsuitable: The face is too small or outside of the picture, or the donor's face does
            not cover it or is lit too differently.
    """
    if how is not None and how not in HOWS:
        raise OptionError(f"how must be one of {', '.join(HOWS)}, got {how!r}")
    if not 0 <= strength <= 4:
        raise OptionError(f"strength must lie in 0..4, got {strength}")
    name = draw_hull(rng, hulls)
    face, donor_face = five_points(landmarks), five_points(donor_landmarks)
    matrix = similarity_transform(donor_face, face)
    points, donor_points = mesh(landmarks), mapped(mesh(donor_landmarks), matrix)
    outline = intersection(hull(points, name), hull(donor_points, name))
    region = face_region(outline, pixels.shape, pad=_PAD)
    fit = float(rng.uniform(0.5, 1))
    residual = fit * (face - mapped(donor_face, matrix))
    patch, covered = warp_to_region(donor, matrix, region, face, residual)
    mask, numbers = draw_mask(outline, region, rng)
    mask = clip_mask(mask * covered)
    base = pixels[region.slices]
    grey = is_grey(base)
    if grey:
        patch = to_grey(patch)
    correlation = require_similar_light(patch, base, mask)
    share = float(rng.uniform(0.8, 1))
    patch = match_colour(match_sharpness(patch, base, mask), base, mask, share=share)
    shift = draw_shift(rng, _REST * strength, grey=grey)
    frequency = draw_frequency(rng, strength if rng.random() < 0.5 else 0)
    patch = frequency.apply(shift.apply(patch))
    method = HOWS[int(rng.random() < 0.4)] if how is None else how
    if method == "poisson":
        patch = _poisson(patch, base, mask)
    numbers = {
        "hull": name,
        "strength": strength,
        "turn": [[round(float(v), 5) for v in row] for row in matrix],
        "fit": round(fit, 4),
        "alike": round(correlation, 4),
        "matched": round(share, 4),
        "colour": shift.numbers,
        "frequency": frequency.numbers(),
        "how": method,
        **numbers,
    }
    forged = alpha_blend(pixels, region, patch, mask)
    return Forgery(forged, pixels, full_mask(mask, region, pixels.shape), MAKER, numbers)


def to_grey(pixels: Pixels) -> Pixels:
    """Return a picture without colour, with three equal channels."""
    levels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB), np.uint8)


def require_similar_light(patch: Pixels, base: Pixels, mask: Mask) -> float:
    """Return the correlation of coarse light and shade of two faces within a mask.

    Raises:
        SourceUnsuitable: The light on the two faces differs too much.
    """
    gap, ratio = luminance_gap(patch, base, mask)
    correlation = shading_correlation(patch, base, mask)
    if gap > _MAX_GAP or ratio > _MAX_RATIO or correlation < _MIN_CORRELATION:
        raise SourceUnsuitable("the light on the two faces differs too much")
    return correlation


def mapped(points: Points, matrix: NDArray[np.float64]) -> Points:
    """Apply an affine map ``(2, 3)`` to points ``(N, 2)``."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


def intersection(one: Points, other: Points) -> Points:
    """Return the intersection of two outlines.

    Raises:
        SourceUnsuitable: The intersection is too small.
    """
    area, shared = cv2.intersectConvexConvex(one, other)
    if shared is None or area < _MIN_COVERED * cv2.contourArea(one):
        raise SourceUnsuitable("the donor's face does not cover this one")
    return np.asarray(shared, np.float32).reshape(-1, 2)


def warp_to_region(
    donor: Pixels,
    matrix: NDArray[np.float64],
    region: Region,
    face: Points,
    residual: NDArray[np.floating],
) -> tuple[Pixels, Mask]:
    """Warp the donor to a region; also return the mask of the pixels that it covers.

    The similarity transform is followed by a smooth warp of the landmarks by the residual: Gaussian
    kernels at the five landmarks, with weights that interpolate the residual.
    """
    scale = float(np.hypot(*matrix[:, 0]))
    matrix = matrix.copy()
    if scale < 0.75:  # downscale by averaging first, as the remap would alias
        height, width = donor.shape[:2]
        small = max(1, round(width * scale)), max(1, round(height * scale))
        donor = resize(donor, *small, cv2.INTER_AREA)
        # Pixel centres have an offset of half a pixel, before and after the resize.
        ratio = np.array([width / small[0], height / small[1]])
        matrix[:, 2] += matrix[:, :2] @ (0.5 * ratio - 0.5)
        matrix[:, :2] = matrix[:, :2] * ratio
    wide, high = region.size
    reach = _REACH * max(1.0, float(np.hypot(*(face[1] - face[0]))))
    apart = ((face[:, None] - face[None]) ** 2).sum(axis=-1)
    weights = np.linalg.solve(np.exp(-apart / (2 * reach**2)) + 1e-3 * np.eye(5), residual)
    # The warp is smooth, so it is computed on a coarse grid and interpolated.
    columns, rows = max(2, min(wide, 32)), max(2, min(high, 32))
    x = region.x1 + (np.arange(columns) + 0.5) * wide / columns - 0.5
    y = region.y1 + (np.arange(rows) + 0.5) * high / rows - 0.5
    near_x = np.exp(-((x[:, None] - face[:, 0]) ** 2) / (2 * reach**2))
    near_y = np.exp(-((y[:, None] - face[:, 1]) ** 2) / (2 * reach**2))
    field = np.einsum("yi,xi,ic->yxc", near_y, near_x, weights).astype(np.float32)
    pull = cv2.resize(field, (wide, high), interpolation=cv2.INTER_LINEAR).reshape(high, wide, 2)
    at_x = region.x1 + np.arange(wide, dtype=np.float32) - pull[:, :, 0]
    at_y = region.y1 + np.arange(high, dtype=np.float32)[:, None] - pull[:, :, 1]
    back = cv2.invertAffineTransform(matrix)
    from_x = np.asarray(back[0, 0] * at_x + back[0, 1] * at_y + back[0, 2], np.float32)
    from_y = np.asarray(back[1, 0] * at_x + back[1, 1] * at_y + back[1, 2], np.float32)
    patch = cv2.remap(donor, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    height, width = donor.shape[:2]
    inside = (from_x > 1) & (from_x < width - 2) & (from_y > 1) & (from_y < height - 2)
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), max(1.0, 0.02 * max(wide, high)))
    return np.asarray(patch, np.uint8), np.asarray(np.clip(2 * soft - 1, 0, 1), np.float32)


def _poisson(patch: Pixels, base: Pixels, mask: Mask) -> Pixels:
    """Poisson blending: the donor's gradients, with the picture's colours at the mask's border.

    Colours of hair or a hat at the border would bleed into the face. So the change of a pixel is
    bounded, and the soft mask hides the remaining difference at the border.
    """
    binary = np.asarray((mask > 0) * np.uint8(255), np.uint8)
    x, y, wide, high = cv2.boundingRect(binary)
    if min(wide, high) < 4:
        return patch
    # OpenCV requires a border around the mask, and the centre of its bounding box.
    edge = 2
    source, target = (
        cv2.copyMakeBorder(p, edge, edge, edge, edge, cv2.BORDER_REPLICATE) for p in (patch, base)
    )
    binary = np.asarray(cv2.copyMakeBorder(binary, edge, edge, edge, edge, cv2.BORDER_CONSTANT))
    centre = (x + edge + wide // 2, y + edge + high // 2)
    cloned = cv2.seamlessClone(source, target, binary, centre, cv2.NORMAL_CLONE)
    added = cloned[edge:-edge, edge:-edge].astype(np.float32) - patch
    bounded = patch + _MAX_ADDED * np.tanh(added / _MAX_ADDED)
    return np.asarray(np.clip(np.rint(bounded), 0, 255), np.uint8)
