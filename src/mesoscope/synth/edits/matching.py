"""Making a donor's part look as if it belonged: place, colour, light, sharpness and grain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.imaging.filters import resize
from mesoscope.synth.edits.anatomy import blurred, drawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.edits.anatomy import Points
    from mesoscope.synth.forgery import Mask
    from mesoscope.synth.outline import Region

    Patch = NDArray[np.float32]  # (h, w, 3), 0 to 255

_DARKER = 0.8  # of the donor's level: so far a shift does, beyond it a shift leaves white noses


def alignment(source: Points, target: Points, weights: Points, *, bent: float) -> Points:
    """The map that brings one face's points onto another's, ``(2, 3)``.

    The least-squares similarity (Umeyama 1991, here in complex numbers), drawn towards the
    least-squares affine map.

    Args:
        source: ``(5, 2)``.
        target: ``(5, 2)``.
        weights: ``(5,)``: which points matter for the part that is moved.
        bent: 0 = similarity, 1 = affine.
    """
    share = weights / weights.sum()
    from_mean, to_mean = share @ source, share @ target
    z, w = ((p - m) @ np.array([1, 1j]) for p, m in ((source, from_mean), (target, to_mean)))
    spread = float((share * abs(z) ** 2).sum())
    turn = (share * z.conj() * w).sum() / spread if spread > 0 else 1.0 + 0j
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    if bent > 0:
        root = np.sqrt(share)[:, None]
        # Held by a little of the similarity, since five points may nearly lie on a line.
        rows = np.vstack([root * (source - from_mean), 0.05 * np.sqrt(spread) * np.eye(2)])
        goal = np.vstack([root * (target - to_mean), 0.05 * np.sqrt(spread) * linear.T])
        affine = np.linalg.lstsq(rows, goal, rcond=None)[0].T
        linear = (1 - bent) * linear + bent * affine
    return np.column_stack([linear, to_mean - linear @ from_mean])


def taken(
    donor: NDArray[np.uint8], matrix: Points, region: Region
) -> tuple[NDArray[np.float32], Mask]:
    """The donor as it lies in a region of the target, and where there is any of it.

    Args:
        donor: ``(h, w, 3)``.
        matrix: ``(2, 3)``, from the donor's pixels to the target's.
        region: Of the target.

    Returns:
        ``(H, W, 3)``, 0 to 255, and ``(H, W)``, 0 to 1.
    """
    matrix = matrix.copy()
    scale = float(np.sqrt(max(abs(np.linalg.det(matrix[:, :2])), 1e-12)))
    if scale < 0.6:  # else fine patterns alias, and what aliases glitters
        height, width = donor.shape[:2]
        small = max(1, round(width * scale)), max(1, round(height * scale))
        donor = resize(donor, *small, cv2.INTER_AREA)
        x, y = width / small[0], height / small[1]
        # Pixel centres: the first of the small picture lies at (x - 1) / 2 of the large one.
        matrix[:, 2] += matrix[:, :2] @ ((x - 1) / 2, (y - 1) / 2)
        matrix[:, :2] = matrix[:, :2] * (x, y)
    matrix[:, 2] -= (region.x1, region.y1)
    patch = cv2.warpAffine(
        donor, matrix, region.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    height, width = donor.shape[:2]
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
    outline = corners @ matrix[:, :2].T + matrix[:, 2] + (region.x1, region.y1)
    covered = drawn([outline], region, soft_px=1.0)
    return np.asarray(patch, np.float32), covered


def coloured(patch: Patch, under: Patch, ring: Mask, *, share: float) -> Patch:
    """The patch with the colours that the target has about the seam.

    Mean and standard deviation of each channel of CIE Lab are matched over the ring (Reinhard et
    al. 2001, *Color Transfer between Images*, there in lαβ). Of a much darker target the donor is
    exposed less first: less light makes light and shade smaller with the mean.

    Args:
        patch: Donor, in place.
        under: Target, there.
        ring: ``(h, w)``, weights: where both show skin.
        share: Of the difference that is taken away.
    """
    weights = ring / max(float(ring.sum()), 1e-6)
    levels = [float(np.einsum("hw,hwc->", weights, one)) for one in (patch, under)]
    exposed = min(1.0, levels[1] / (_DARKER * max(levels[0], 1e-6)))
    patch = patch * np.float32(exposed**share)
    labs = [cv2.cvtColor(one / np.float32(255), cv2.COLOR_RGB2LAB) for one in (patch, under)]
    means = [np.einsum("hw,hwc->c", weights, lab) for lab in labs]
    spreads = [
        np.sqrt(np.maximum(np.einsum("hw,hwc->c", weights, (lab - mean) ** 2), 1e-6))
        for lab, mean in zip(labs, means, strict=True)
    ]
    gain = 1 + share * (np.clip(spreads[1] / spreads[0], 0.7, 1.4) - 1)
    gain[0] = np.clip(gain[0], 0.8, 1.25)
    matched = (labs[0] - means[0]) * gain + means[0] + share * (means[1] - means[0])
    rgb = cv2.cvtColor(matched.astype(np.float32), cv2.COLOR_LAB2RGB) * 255
    return np.asarray(np.clip(rgb, 0, 255), np.float32)


def lit(patch: Patch, under: Patch, ring: Mask, *, share: float, wide_px: float) -> Patch:
    """The patch with the target's light along the seam, carried smoothly inwards.

    The difference on the ring is spread by normalised convolution (Knutsson & Westin 1993): as a
    Poisson seam does it, without its bleeding where the seam crosses an edge.

    Args:
        patch: Donor, in place.
        under: Target, there.
        ring: ``(h, w)``, weights.
        share: Of the difference that is taken away.
        wide_px: Standard deviation of the spreading.
    """
    step = max(1, int(wide_px / 4))  # it is smooth: a small picture holds it
    height, width = ring.shape
    small = max(1, width // step), max(1, height // step)
    weighted = cv2.resize((under - patch) * ring[:, :, None], small, interpolation=cv2.INTER_AREA)
    weights = cv2.resize(ring, small, interpolation=cv2.INTER_AREA)
    sigma = wide_px / step
    total = cv2.GaussianBlur(weighted, (0, 0), sigma)
    weight = cv2.GaussianBlur(weights, (0, 0), sigma)
    mean = weighted.reshape(-1, 3).sum(0) / max(float(weights.sum()), 1e-6)
    little = np.float32(0.02)  # far from the ring the mean difference takes over
    spread = (total + little * mean.astype(np.float32)) / (weight[:, :, None] + little)
    full = cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(patch + share * full, 0, 255), np.float32)


def grained(patch: Patch, under: Patch, ring: Mask, rng: np.random.Generator) -> Patch:
    """The patch with about the target's sharpness: softened, or with grain laid over it."""
    have, want = _detail(patch, ring), _detail(under, ring)
    noise = rng.standard_normal(patch.shape[:2], np.float32)
    if have > 1.15 * want:
        excess = max(have / max(want, 0.3) - 1, 0)
        sigma = float(np.clip(0.5 * np.sqrt(excess), 0.25, 1.6))
        return np.asarray(cv2.GaussianBlur(patch, (0, 0), sigma), np.float32)
    if want > 1.15 * have:
        level = float(np.clip(np.sqrt(want**2 - have**2), 0, 7))
        return np.asarray(np.clip(patch + 0.8 * level * noise[:, :, None], 0, 255), np.float32)
    return patch


def kept(patch: Patch, under: Patch, inside: Mask, width_px: float) -> Mask:
    """What is left of a piece where its seam keeps clear of places at which both differ.

    A brow that comes with a strip of hair is cut out without the strip, as by careful hands; the
    middle of the piece stays whatever it shows.

    Args:
        patch: Donor, matched and in place.
        under: Target, there.
        inside: ``(h, w)``, the piece.
        width_px: Of the face.

    Returns:
        ``(h, w)``, 0 to 1.
    """
    apart = blurred(np.abs(patch - under).mean(2), max(0.5, 0.015 * width_px))
    alike = np.exp(-((np.maximum(apart - 22, 0) / 25) ** 2))
    depth = np.clip((blurred(inside, max(0.5, 0.05 * width_px)) - 0.6) / 0.3, 0, 1)
    left = alike + (1 - alike) * depth
    return blurred(np.asarray(left, np.float32), max(0.5, 0.01 * width_px))


def _detail(patch: Patch, ring: Mask) -> float:
    """Standard deviation, in grey levels, of what a blur of 1 px takes away from skin."""
    grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    # The mean of what is small: an edge of hair in the ring is no grain.
    weights = ring * (fine < 12)
    return float((weights * fine).sum() / max(float(weights.sum()), 1e-6)) * 1.25
