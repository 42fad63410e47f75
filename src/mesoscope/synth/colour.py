"""Augmentation of colour and sharpness, and matching of these between two pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.imaging.encode import through_jpeg
from mesoscope.imaging.filters import blur, resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.types import Json, Pixels

    Floats = NDArray[np.float32]

# Maximum changes at strength 1.
BRIGHTNESS, TINT = 10.0, 4.0  # grey levels: of all channels, and of each relative to the others
GAIN, CONTRAST = 0.06, 0.1
HUE, SATURATION = 0.045, 0.12  # rotation about the grey axis in radians; relative change
SHRINK = 2.5  # maximum downscaling factor
SHARPEN = 0.8
_SHARPER = 1.25  # maximum detail relative to the surroundings: more looks pasted
_SIGMAS = (0.6, 0.9, 1.3)  # of the blurs that are tried
FREQUENCIES = ("none", "shrink", "sharpen", "compress")
_INTERPOLATIONS = {
    "area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of colour, as one affine map of RGB with a single rounding.

    Attributes:
        matrix: ``(3, 4)``, applied to ``(r, g, b, 1)``.
        numbers: Parameters, for the record.
    """

    matrix: NDArray[np.float64]
    numbers: dict[str, Json]

    def apply(self, pixels: Pixels) -> Pixels:
        """Map the colours of a picture; values are clipped to 0..255."""
        return np.asarray(cv2.transform(pixels, self.matrix), np.uint8)


def draw_shift(rng: np.random.Generator, strength: float, *, grey: bool = False) -> Shift:
    """Draw a change of brightness, contrast, tint, hue and saturation.

    Args:
        rng: Generator.
        strength: Factor of the constants above; 0 changes nothing.
        grey: Keep grey pictures grey: no tint, hue or saturation.
    """
    drawn = rng.uniform(-strength, strength, 9)
    gain, contrast = 1 + GAIN * drawn[0], 1 + CONTRAST * drawn[1]
    tint = 0.0 if grey else drawn[3:6] - drawn[3:6].mean()
    added = BRIGHTNESS * drawn[2] + TINT * tint + np.zeros(3)
    hue, saturation = (0.0, 1.0) if grey else (HUE * drawn[6], 1 + SATURATION * drawn[7])
    linear = gain * contrast * (_hue_matrix(hue, saturation))
    middle = 127.5 * (1 - contrast) * gain
    numbers: dict[str, Json] = {
        "gain": round(float(gain), 4),
        "contrast": round(float(contrast), 4),
        "added": [round(float(v), 2) for v in added],
        "hue": round(float(hue), 4),
        "saturation": round(float(saturation), 4),
    }
    return Shift(np.concatenate([linear, (added + middle)[:, None]], axis=1), numbers)


@dataclass(frozen=True, slots=True)
class Frequency:
    """A change of sharpness, or compression.

    Attributes:
        kind: One of :data:`FREQUENCIES`.
        amount: Downscaling factor, amount of sharpening, or JPEG quality.
        how: Interpolation of ``shrink``: ``area``, ``linear`` or ``cubic``.
    """

    kind: str = "none"
    amount: float = 0.0
    how: str = ""

    def apply(self, pixels: Pixels) -> Pixels:
        """Apply the change to a picture."""
        if self.kind == "shrink":
            height, width = pixels.shape[:2]
            small = max(4, round(width / self.amount)), max(4, round(height / self.amount))
            less = resize(pixels, *small, cv2.INTER_AREA)
            return resize(less, width, height, _INTERPOLATIONS[self.how])
        if self.kind == "sharpen":
            soft = cv2.GaussianBlur(pixels, (5, 5), 1.0)
            sharp = cv2.addWeighted(pixels, 1 + self.amount, soft, -self.amount, 0)
            return np.asarray(sharp, np.uint8)
        if self.kind == "compress":
            # Red and blue are swapped for compatibility with published forgeries.
            return np.ascontiguousarray(
                through_jpeg(pixels[:, :, ::-1], int(self.amount))[:, :, ::-1]
            )
        return pixels

    def numbers(self) -> dict[str, Json]:
        """Return the parameters, for the record."""
        if self.kind == "none":
            return {"kind": self.kind}
        found: dict[str, Json] = {"kind": self.kind, "amount": self.amount}
        return {**found, "how": self.how} if self.how else found


def draw_frequency(rng: np.random.Generator, strength: float) -> Frequency:
    """Draw a downscaling, a sharpening, a compression, or no change.

    Args:
        rng: Generator.
        strength: Factor of the constants above; 0 changes nothing.
    """
    kind = FREQUENCIES[rng.integers(len(FREQUENCIES))]
    share = float(rng.random())
    how = sorted(_INTERPOLATIONS)[rng.integers(len(_INTERPOLATIONS))]
    if not strength or kind == "none":
        return Frequency()
    if kind == "shrink":
        return Frequency(kind, round(1 + (0.15 + 0.85 * share) * (SHRINK - 1) * strength, 3), how)
    if kind == "sharpen":
        return Frequency(kind, round((0.25 + 0.75 * share) * SHARPEN * strength, 3))
    return Frequency(kind, max(20, round(92 - 42 * share * strength)))


def is_grey(pixels: Pixels) -> bool:
    """Whether the three channels are equal."""
    red, green, blue = cv2.split(pixels)
    return np.array_equal(red, green) and np.array_equal(red, blue)


def match_colour(
    pixels: Pixels, reference: Pixels, within: Floats, *, share: float = 1.0
) -> Pixels:
    """Match mean and standard deviation of a picture's colours to those of a reference.

    Per channel of CIE Lab; Reinhard et al., *Color transfer between images*, 2001, section 3.

    Args:
        pixels: The picture, ``(H, W, 3) uint8``.
        reference: The reference, of the same shape.
        within: Mask of the pixels that count, ``(H, W)``, 0 to 1.
        share: Share of the difference that is removed, 0 to 1.
    """
    weight = (within > 0.5).astype(np.uint8)
    if not weight.any():
        return pixels
    source = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    target = cv2.cvtColor(reference.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    mean, std = (v.ravel() for v in cv2.meanStdDev(source, mask=weight))
    target_mean, target_std = (v.ravel() for v in cv2.meanStdDev(target, mask=weight))
    # Bounded, as stretching the noise of a flat picture would be visible.
    scale = np.clip(target_std / np.maximum(std, 1e-3), 0.6, 1.6)
    scale = 1 + share * (scale - 1)
    shift = mean + share * (target_mean - mean) - scale * mean
    lab = (source * scale.astype(np.float32)) + shift.astype(np.float32)
    rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * 255), np.uint8)


def luminance_gap(pixels: Pixels, reference: Pixels, within: Floats) -> tuple[float, float]:
    """Compare the luminance of two pictures in a mask.

    Returns:
        The difference of the means in grey levels, and the ratio of the standard deviations, at
        least 1.
    """
    weight = (within > 0.5).astype(np.uint8)
    grey = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (pixels, reference)]
    (mean, std), (other_mean, other_std) = (
        (float(m[0, 0]), max(float(s[0, 0]), 1.0))
        for m, s in (cv2.meanStdDev(p, mask=weight) for p in grey)
    )
    return abs(mean - other_mean), max(std / other_std, other_std / std)


def shading_correlation(pixels: Pixels, reference: Pixels, within: Floats) -> float:
    """Return the correlation of two pictures' blurred luminance in a mask, −1 to 1.

    It is high for aligned faces, and low if one is occluded or lit from another side.
    """
    weight = within > 0.5
    if not weight.any():
        return 0.0
    sigma = max(1.0, 0.03 * float(np.sqrt(weight.sum())))
    levels = [
        cv2.GaussianBlur(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (0, 0), sigma)[weight]
        for p in (pixels, reference)
    ]
    one, other = (v.astype(np.float32) - v.mean() for v in levels)
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-6))


def match_sharpness(pixels: Pixels, reference: Pixels, within: Floats) -> Pixels:
    """Blur a picture until it is about as smooth as a reference.

    Args:
        pixels: The picture, ``(H, W, 3) uint8``.
        reference: The reference, of the same shape.
        within: Mask of the pixels that count, ``(H, W)``, 0 to 1.
    """
    weight = (within > 0.5).astype(np.uint8)
    if not weight.any():
        return pixels
    limit = _SHARPER * _detail(reference, weight)
    soft = pixels
    for sigma in _SIGMAS:
        if _detail(soft, weight) <= limit:
            break
        soft = blur(pixels, sigma)
    return soft


def _detail(pixels: Pixels, weight: NDArray[np.uint8]) -> float:
    """Return the standard deviation of the luminance's Laplacian where the weight is not 0."""
    fine = cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_32F)
    return float(cv2.meanStdDev(fine, mask=weight)[1][0, 0])


def _hue_matrix(hue: float, saturation: float) -> NDArray[np.float64]:
    """Return the RGB matrix of a rotation about the grey axis and a scaling around it, (3, 3)."""
    axis = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    rotation = np.cos(hue) * (np.eye(3) - axis) + np.sin(hue) * cross
    return np.asarray(axis + saturation * rotation)
