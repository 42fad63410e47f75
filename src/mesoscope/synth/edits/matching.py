"""Matching of a donor's part to the target: alignment, colour, light, sharpness and grain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.imaging.filters import resize
from mesoscope.synth.edits.anatomy import blurred, fill_outlines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.edits.anatomy import Points
    from mesoscope.synth.forgery import Mask
    from mesoscope.synth.outline import Region

    Patch = NDArray[np.float32]  # (h, w, 3), 0 to 255

_DARKER = 0.8  # relative level of the target below which the donor's exposure is reduced


def alignment(source: Points, target: Points, weights: Points, *, bent: float) -> Points:
    """Return the map of one face's points to another's, ``(2, 3)``.

    An interpolation of the weighted least-squares similarity (Umeyama 1991, with complex numbers)
    and the least-squares affine map.

    Args:
        source: ``(5, 2)``.
        target: ``(5, 2)``.
        weights: ``(5,)``, weights of the points.
        bent: 0 = similarity, 1 = affine.
    """
    share = weights / weights.sum()
    from_mean, to_mean = share @ source, share @ target
    z, w = ((p - m) @ np.array([1, 1j]) for p, m in ((source, from_mean), (target, to_mean)))
    spread = float((share * abs(z) ** 2).sum())
    factor = (share * z.conj() * w).sum() / spread if spread > 0 else 1.0 + 0j
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    if bent > 0:
        root = np.sqrt(share)[:, None]
        # Regularised towards the similarity, as five points may be nearly collinear.
        rows = np.vstack([root * (source - from_mean), 0.05 * np.sqrt(spread) * np.eye(2)])
        goal = np.vstack([root * (target - to_mean), 0.05 * np.sqrt(spread) * linear.T])
        affine = np.linalg.lstsq(rows, goal, rcond=None)[0].T
        linear = (1 - bent) * linear + bent * affine
    return np.column_stack([linear, to_mean - linear @ from_mean])


def warp_donor(
    donor: NDArray[np.uint8], matrix: Points, region: Region
) -> tuple[NDArray[np.float32], Mask]:
    """Warp a donor to a region of the target; also return the mask of the covered pixels.

    Args:
        donor: ``(h, w, 3)``.
        matrix: ``(2, 3)``, from the donor's pixels to the target's.
        region: Region of the target.

    Returns:
        ``(H, W, 3)``, 0 to 255, and ``(H, W)``, 0 to 1.
    """
    matrix = matrix.copy()
    scale = float(np.sqrt(max(abs(np.linalg.det(matrix[:, :2])), 1e-12)))
    if scale < 0.6:  # downscale by averaging first, to avoid aliasing
        height, width = donor.shape[:2]
        small = max(1, round(width * scale)), max(1, round(height * scale))
        donor = resize(donor, *small, cv2.INTER_AREA)
        x, y = width / small[0], height / small[1]
        # The first pixel centre of the small picture is at (x - 1) / 2 in the large one.
        matrix[:, 2] += matrix[:, :2] @ ((x - 1) / 2, (y - 1) / 2)
        matrix[:, :2] = matrix[:, :2] * (x, y)
    matrix[:, 2] -= (region.x1, region.y1)
    patch = cv2.warpAffine(
        donor, matrix, region.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    height, width = donor.shape[:2]
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
    outline = corners @ matrix[:, :2].T + matrix[:, 2] + (region.x1, region.y1)
    covered = fill_outlines([outline], region, soft_px=1.0)
    return np.asarray(patch, np.float32), covered


def match_colour(patch: Patch, under: Patch, ring: Mask, *, share: float) -> Patch:
    """Match the patch's colours to the target's around the seam.

    Mean and standard deviation of each channel of CIE Lab are matched over the ring (Reinhard et
    al. 2001, *Color Transfer between Images*, there in lαβ). If the target is much darker, the
    donor's exposure is reduced first, which also reduces its contrast.

    Args:
        patch: The warped donor.
        under: The target.
        ring: Weights, ``(h, w)``, of pixels where both show skin.
        share: Share of the difference that is removed.
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


def match_light(patch: Patch, under: Patch, ring: Mask, *, share: float, wide_px: float) -> Patch:
    """Match the patch's light to the target's along the seam, smoothly interpolated inwards.

    The difference on the ring is interpolated by normalised convolution (Knutsson & Westin 1993).
    The result is similar to Poisson blending, without its bleeding at edges that cross the seam.

    Args:
        patch: The warped donor.
        under: The target.
        ring: Weights, ``(h, w)``.
        share: Share of the difference that is removed.
        wide_px: Standard deviation of the convolution.
    """
    step = max(1, int(wide_px / 4))  # smooth, so low resolution is sufficient
    height, width = ring.shape
    small = max(1, width // step), max(1, height // step)
    weighted = cv2.resize((under - patch) * ring[:, :, None], small, interpolation=cv2.INTER_AREA)
    weights = cv2.resize(ring, small, interpolation=cv2.INTER_AREA)
    sigma = wide_px / step
    total = cv2.GaussianBlur(weighted, (0, 0), sigma)
    weight = cv2.GaussianBlur(weights, (0, 0), sigma)
    mean = weighted.reshape(-1, 3).sum(0) / max(float(weights.sum()), 1e-6)
    prior = np.float32(0.02)  # weight of the mean difference, dominant far from the ring
    spread = (total + prior * mean.astype(np.float32)) / (weight[:, :, None] + prior)
    full = cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(patch + share * full, 0, 255), np.float32)


def match_grain(patch: Patch, under: Patch, ring: Mask, rng: np.random.Generator) -> Patch:
    """Match the patch's sharpness to the target's, by a blur or by grain."""
    detail, target = _detail(patch, ring), _detail(under, ring)
    noise = rng.standard_normal(patch.shape[:2], np.float32)
    if detail > 1.15 * target:
        excess = max(detail / max(target, 0.3) - 1, 0)
        sigma = float(np.clip(0.5 * np.sqrt(excess), 0.25, 1.6))
        return np.asarray(cv2.GaussianBlur(patch, (0, 0), sigma), np.float32)
    if target > 1.15 * detail:
        level = float(np.clip(np.sqrt(target**2 - detail**2), 0, 7))
        return np.asarray(np.clip(patch + 0.8 * level * noise[:, :, None], 0, 255), np.float32)
    return patch


def careful_mask(patch: Patch, under: Patch, inside: Mask, width_px: float) -> Mask:
    """Return a mask that excludes pixels near the seam where donor and target differ.

    It removes a strip of hair beside a brow, for example. The centre of the piece is kept.

    Args:
        patch: The warped and matched donor.
        under: The target.
        inside: Mask of the piece, ``(h, w)``.
        width_px: Width of the face.

    Returns:
        ``(h, w)``, 0 to 1.
    """
    difference = blurred(np.abs(patch - under).mean(2), max(0.5, 0.015 * width_px))
    similar = np.exp(-((np.maximum(difference - 22, 0) / 25) ** 2))
    depth = np.clip((blurred(inside, max(0.5, 0.05 * width_px)) - 0.6) / 0.3, 0, 1)
    mask = similar + (1 - similar) * depth
    return blurred(np.asarray(mask, np.float32), max(0.5, 0.01 * width_px))


def _detail(patch: Patch, ring: Mask) -> float:
    """Estimate the standard deviation of fine detail of skin, in grey levels."""
    grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    # Large values are excluded: an edge of hair in the ring is no grain.
    weights = ring * (fine < 12)
    return float((weights * fine).sum() / max(float(weights.sum()), 1e-6)) * 1.25
