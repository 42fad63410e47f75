"""Colour and sharpness of one picture changed as another camera or codec would; and matched."""

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

# The largest changes at strength 1.
BRIGHTNESS, TINT = 10.0, 4.0  # of 255: of all channels, and of each beside the others
GAIN, CONTRAST = 0.06, 0.1
HUE, SATURATION = 0.045, 0.12  # radians round the grey axis; share
SHRINK = 2.5  # the largest divisor of a picture's sides
SHARPEN = 0.8
_SHARPER = 1.25  # times as much fine detail as the other side: more shows as a sticker
_SIGMAS = (0.6, 0.9, 1.3)  # of the blurs tried against it
FREQUENCIES = ("none", "shrink", "sharpen", "compress")
_INTERPOLATIONS = {
    "area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of colour: one affine map of RGB, so that nothing is rounded on the way.

    Attributes:
        matrix: ``(3, 4)``: by it ``(r, g, b, 1)`` is mapped.
        numbers: What it was made of.
    """

    matrix: NDArray[np.float64]
    numbers: dict[str, Json]

    def of(self, pixels: Pixels) -> Pixels:
        """The picture, changed; values are cut off at 0 and 255."""
        return np.asarray(cv2.transform(pixels, self.matrix), np.uint8)


def draw_shift(rng: np.random.Generator, strength: float, *, grey: bool = False) -> Shift:
    """Draw a change of brightness, contrast, tint, hue and saturation.

    Args:
        rng: Decides it.
        strength: 1 as above; 0 changes nothing.
        grey: Leave grey pictures grey: no tint, no hue, no saturation.
    """
    drawn = rng.uniform(-strength, strength, 9)
    gain, contrast = 1 + GAIN * drawn[0], 1 + CONTRAST * drawn[1]
    tint = 0.0 if grey else drawn[3:6] - drawn[3:6].mean()
    added = BRIGHTNESS * drawn[2] + TINT * tint + np.zeros(3)
    hue, saturation = (0.0, 1.0) if grey else (HUE * drawn[6], 1 + SATURATION * drawn[7])
    linear = gain * contrast * (_turned(hue, saturation))
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
    """A change of sharpness or a loss by compression.

    Attributes:
        kind: One of :data:`FREQUENCIES`.
        amount: Divisor of the sides, amount of sharpening, or JPEG quality.
        how: Interpolation of ``shrink``: ``area``, ``linear`` or ``cubic``.
    """

    kind: str = "none"
    amount: float = 0.0
    how: str = ""

    def of(self, pixels: Pixels) -> Pixels:
        """The picture, changed."""
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
            # Red and blue change places for it: so the recorded forgeries were made.
            return np.ascontiguousarray(
                through_jpeg(pixels[:, :, ::-1], int(self.amount))[:, :, ::-1]
            )
        return pixels

    def numbers(self) -> dict[str, Json]:
        """For the record."""
        if self.kind == "none":
            return {"kind": self.kind}
        found: dict[str, Json] = {"kind": self.kind, "amount": self.amount}
        return {**found, "how": self.how} if self.how else found


def draw_frequency(rng: np.random.Generator, strength: float) -> Frequency:
    """Draw a downscaling, a sharpening, a compression, or nothing.

    Args:
        rng: Decides it.
        strength: 1 as above; 0 changes nothing.
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
    """Whether the three channels are one."""
    red, green, blue = cv2.split(pixels)
    return np.array_equal(red, green) and np.array_equal(red, blue)


def matched(pixels: Pixels, like: Pixels, within: Floats, *, share: float = 1.0) -> Pixels:
    """Give a picture the mean and spread of colour that another one has.

    In CIE Lab by channel, after Reinhard et al., *Color transfer between images*, 2001, section 3.

    Args:
        pixels: The picture, ``(H, W, 3) uint8``.
        like: The one whose colours it gets, of the same shape.
        within: Where colours count, ``(H, W)``, 0 to 1.
        share: How far it goes, 0 to 1.
    """
    weight = (within > 0.5).astype(np.uint8)
    if not weight.any():
        return pixels
    mine = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    other = cv2.cvtColor(like.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    mean, spread = (v.ravel() for v in cv2.meanStdDev(mine, mask=weight))
    mean_other, spread_other = (v.ravel() for v in cv2.meanStdDev(other, mask=weight))
    # A flat picture has no spread to stretch, and stretching noise would show.
    scale = np.clip(spread_other / np.maximum(spread, 1e-3), 0.6, 1.6)
    scale = 1 + share * (scale - 1)
    shift = mean + share * (mean_other - mean) - scale * mean
    lab = (mine * scale.astype(np.float32)) + shift.astype(np.float32)
    rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * 255), np.uint8)


def light_apart(pixels: Pixels, like: Pixels, within: Floats) -> tuple[float, float]:
    """How far apart the light of two pictures is.

    Returns:
        The difference of the mean luminances, of 255, and the ratio of their spreads, at least 1.
    """
    weight = (within > 0.5).astype(np.uint8)
    grey = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (pixels, like)]
    (mean, spread), (other, other_spread) = (
        (float(m[0, 0]), max(float(s[0, 0]), 1.0))
        for m, s in (cv2.meanStdDev(p, mask=weight) for p in grey)
    )
    return abs(mean - other), max(spread / other_spread, other_spread / spread)


def likeness(pixels: Pixels, like: Pixels, within: Floats) -> float:
    """How alike two pictures are in their coarse light and shade: a correlation, −1 to 1.

    Two faces with like landmarks agree in eyes, mouth and the shade of the nose; a hand, a fringe,
    or light from the other side does not.
    """
    weight = within > 0.5
    if not weight.any():
        return 0.0
    sigma = max(1.0, 0.03 * float(np.sqrt(weight.sum())))
    levels = [
        cv2.GaussianBlur(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (0, 0), sigma)[weight]
        for p in (pixels, like)
    ]
    one, other = (v.astype(np.float32) - v.mean() for v in levels)
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-6))


def softened(pixels: Pixels, like: Pixels, within: Floats) -> Pixels:
    """Blur a picture until it holds about as little fine detail as another one.

    Args:
        pixels: The picture, ``(H, W, 3) uint8``.
        like: The one to compare with, of the same shape.
        within: Where detail counts, ``(H, W)``, 0 to 1.
    """
    weight = (within > 0.5).astype(np.uint8)
    if not weight.any():
        return pixels
    most = _SHARPER * _detail(like, weight)
    soft = pixels
    for sigma in _SIGMAS:
        if _detail(soft, weight) <= most:
            break
        soft = blur(pixels, sigma)
    return soft


def _detail(pixels: Pixels, weight: NDArray[np.uint8]) -> float:
    """Spread of the second derivative of luminance where the weight is not 0."""
    fine = cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_32F)
    return float(cv2.meanStdDev(fine, mask=weight)[1][0, 0])


def _turned(hue: float, saturation: float) -> NDArray[np.float64]:
    """RGB turned round the axis of grey and drawn to it or away, ``(3, 3)``."""
    axis = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.cos(hue) * (np.eye(3) - axis) + np.sin(hue) * cross
    return np.asarray(axis + saturation * turn)
