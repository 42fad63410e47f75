"""One person's face blended into a picture of another who is similar.

After Li et al., *Face X-ray for more general face forgery detection*, CVPR 2020, section 3: a donor
with near landmarks is laid over the face, its colours are matched, the mask is deformed, and both
are blended by alpha or after Poisson (Pérez et al., *Poisson image editing*, 2003).
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
    light_apart,
    likeness,
    matched,
    softened,
)
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import (
    aligned,
    clean,
    draw_mask,
    five_of,
    hull,
    mesh,
    mixed,
    placed,
    region_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.synth.outline import Points, Region
    from mesoscope.types import Pixels


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


MAKER = "swap_blend"
HOWS = ("alpha", "poisson")
SWAPPED = ("face", "inner", "lower")  # others cut glasses in two, or bring the donor's fringe along
_PAD = 0.2
_LEAST_PX = 12
_LEAST_SHARE = 0.35  # of an outline that must be left where the donor's face covers it
_REACH = 0.8  # distances between the eyes: how far the pull of a landmark goes
_MOST_ADDED = 22.0  # of 255
# Of coarse light and shade: a quarter of aligned pairs have less, lit from elsewhere or occluded.
_LEAST_ALIKE = 0.3
_DARKER, _FLATTER = 60.0, 1.9  # a match of more than this makes shadows and noise glare
_REST = 0.35  # of the colour's and sharpness' own change, after the match


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
        landmarks: Of its face, 5, 68 or 81 points in its pixels.
        donor: A picture of somebody similar, of any size.
        donor_landmarks: Of the face in it, as many points as above.
        rng: Decides everything; the same state gives the same forgery.
        strength: How far colour and sharpness may stay apart after they were matched.
        hulls: Outlines to draw from, of :data:`mesoscope.synth.outline.HULLS`.
        how: ``alpha`` or ``poisson``; ``None`` draws one.

    Returns:
        The forgery; its twin is the picture as it is.

    Raises:
        OptionError: Landmarks or options of a wrong form.
        SourceUnsuitable: The face is too small or outside of the picture, the donor's does not
            cover it, or is lit too differently.
    """
    if how is not None and how not in HOWS:
        raise OptionError(f"how must be one of {', '.join(HOWS)}, got {how!r}")
    if not 0 <= strength <= 4:
        raise OptionError(f"strength must lie in 0..4, got {strength}")
    name = draw_hull(rng, hulls)
    face, face_donor = five_of(landmarks), five_of(donor_landmarks)
    matrix = aligned(face_donor, face)
    points, points_donor = mesh(landmarks), mapped(mesh(donor_landmarks), matrix)
    outline = common(hull(points, name), hull(points_donor, name))
    region = region_of(outline, pixels.shape, pad=_PAD)
    if region is None or float(np.ptp(outline, axis=0).min()) < _LEAST_PX:
        raise SourceUnsuitable(
            f"the face is smaller than {_LEAST_PX} pixels or outside of the picture"
        )
    fit = float(rng.uniform(0.5, 1))
    residual = fit * (face - mapped(face_donor, matrix))
    laid, covered = laid_over(donor, matrix, region, face, residual)
    mask, numbers = draw_mask(outline, region, rng)
    mask = clean(mask * covered)
    base = pixels[region.slices]
    if is_grey(base):
        laid = grey_of(laid)
    alike = require_like_light(laid, base, mask)
    share = float(rng.uniform(0.8, 1))
    laid = matched(softened(laid, base, mask), base, mask, share=share)
    shift = draw_shift(rng, _REST * strength, grey=is_grey(base))
    frequency = draw_frequency(rng, strength if rng.random() < 0.5 else 0)
    laid = frequency.of(shift.of(laid))
    drawn = HOWS[int(rng.random() < 0.4)] if how is None else how
    if drawn == "poisson":
        laid = _poisson(laid, base, mask)
    numbers = {
        "hull": name,
        "strength": strength,
        "turn": [[round(float(v), 5) for v in row] for row in matrix],
        "fit": round(fit, 4),
        "alike": round(alike, 4),
        "matched": round(share, 4),
        "colour": shift.numbers,
        "frequency": frequency.numbers(),
        "how": drawn,
        **numbers,
    }
    forged = mixed(pixels, region, laid, mask)
    return Forgery(forged, pixels, placed(mask, region, pixels.shape), MAKER, numbers)


def require_like_light(laid: Pixels, base: Pixels, mask: Mask) -> float:
    """Return the likeness of coarse light and shade within a mask, see :func:`likeness`.

    Raises:
        SourceUnsuitable: The light on the two faces differs too much.
    """
    darker, flatter = light_apart(laid, base, mask)
    alike = likeness(laid, base, mask)
    if darker > _DARKER or flatter > _FLATTER or alike < _LEAST_ALIKE:
        raise SourceUnsuitable("the light on the two faces differs too much")
    return alike


def mapped(points: Points, matrix: NDArray[np.float64]) -> Points:
    """Points ``(N, 2)`` through an affine map ``(2, 3)``."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


def common(one: Points, other: Points) -> Points:
    """What two outlines share: neither face's surroundings come along.

    Raises:
        SourceUnsuitable: They share too little.
    """
    area, shared = cv2.intersectConvexConvex(one, other)
    if shared is None or area < _LEAST_SHARE * cv2.contourArea(one):
        raise SourceUnsuitable("the donor's face does not cover this one")
    return np.asarray(shared, np.float32).reshape(-1, 2)


def laid_over(
    donor: Pixels,
    matrix: NDArray[np.float64],
    region: Region,
    face: Points,
    residual: NDArray[np.floating],
) -> tuple[Pixels, Mask]:
    """The donor over a region, its landmarks pulled to the face's, and where it covers it.

    The pull is smooth: Gaussians about the five landmarks, weighted so that each gets its own.
    """
    scale = float(np.hypot(*matrix[:, 0]))
    matrix = matrix.copy()
    if scale < 0.75:  # averaged first, as a remap of a larger picture would alias
        height, width = donor.shape[:2]
        small = max(1, round(width * scale)), max(1, round(height * scale))
        donor = resize(donor, *small, cv2.INTER_AREA)
        # Middles of pixels lie half a pixel within them, before and after.
        ratio = np.array([width / small[0], height / small[1]])
        matrix[:, 2] += matrix[:, :2] @ (0.5 * ratio - 0.5)
        matrix[:, :2] = matrix[:, :2] * ratio
    wide, high = region.size
    reach = _REACH * max(1.0, float(np.hypot(*(face[1] - face[0]))))
    apart = ((face[:, None] - face[None]) ** 2).sum(axis=-1)
    weights = np.linalg.solve(np.exp(-apart / (2 * reach**2)) + 1e-3 * np.eye(5), residual)
    # The pull is smooth, so it is computed on a coarse grid and spread.
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
    laid = cv2.remap(donor, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    height, width = donor.shape[:2]
    inside = (from_x > 1) & (from_x < width - 2) & (from_y > 1) & (from_y < height - 2)
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), max(1.0, 0.02 * max(wide, high)))
    return np.asarray(laid, np.uint8), np.asarray(np.clip(2 * soft - 1, 0, 1), np.float32)


def grey_of(pixels: Pixels) -> Pixels:
    """A picture without colour, of three equal channels."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def _poisson(laid: Pixels, base: Pixels, mask: Mask) -> Pixels:
    """The donor with its gradients kept, and the picture's colours at the mask's border.

    Where hair or a hat crosses the border, their colours would run into the face. So what Poisson
    adds to a pixel is bounded, and the soft mask hides what is left at the border.
    """
    whole = np.asarray((mask > 0) * np.uint8(255), np.uint8)
    x, y, wide, high = cv2.boundingRect(whole)
    if min(wide, high) < 4:
        return laid
    # OpenCV wants a border around the mask, and the middle of its rectangle.
    edge = 2
    grown = [
        cv2.copyMakeBorder(p, edge, edge, edge, edge, cv2.BORDER_REPLICATE) for p in (laid, base)
    ]
    whole = np.asarray(cv2.copyMakeBorder(whole, edge, edge, edge, edge, cv2.BORDER_CONSTANT))
    middle = (x + edge + wide // 2, y + edge + high // 2)
    done = cv2.seamlessClone(grown[0], grown[1], whole, middle, cv2.NORMAL_CLONE)
    added = done[edge:-edge, edge:-edge].astype(np.float32) - laid
    bounded = laid + _MOST_ADDED * np.tanh(added / _MOST_ADDED)
    return np.asarray(np.clip(np.rint(bounded), 0, 255), np.uint8)
