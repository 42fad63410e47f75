"""A picture while it is edited, and the positions of the parts of its face.

Face coordinates: the origin is between the eyes, the unit of ``x`` (to the right in the picture) is
the distance between the eyes, and the unit of ``y`` (downwards) the distance from the eyes to the
mouth. Both axes come from the landmarks, so shapes follow the pose of the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import SourceUnsuitable
from mesoscope.synth.forgery import Forgery, Mask
from mesoscope.synth.outline import Region, bounding_region, clip_mask, five_points

if TYPE_CHECKING:
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Json, Pixels


_WIDEST = 8.0  # largest standard deviation of blurs at full resolution, in pixels


class Canvas:
    """A working copy of a picture.

    Args:
        pixels: ``(H, W, 3) uint8``; not modified.

    Attributes:
        pixels: The edited picture.
        mask: ``(H, W) float32``, mask of the edits.
    """

    def __init__(self, pixels: Pixels) -> None:
        self._twin = pixels
        self.pixels: Pixels = pixels.copy()
        self.mask: Mask = np.zeros(pixels.shape[:2], np.float32)

    def blend(
        self, region: Region, patch: NDArray[np.float32], alpha: Mask, *, mask: Mask | None = None
    ) -> None:
        """Blend a patch into the picture; pixels with alpha 0 are unchanged.

        Args:
            region: Position of the patch.
            patch: ``(h, w, 3)``, 0 to 255.
            alpha: Opacity of the patch, ``(h, w)``, 0 to 1.
            mask: Mask of the edit, ``(h, w)``, 0 to 1; default ``alpha``.
        """
        under = self.pixels[region.slices].astype(np.float32)
        over = np.rint(under + alpha[:, :, None] * (patch - under))
        self.pixels[region.slices] = np.clip(over, 0, 255).astype(np.uint8)
        part = self.mask[region.slices]
        part += (1 - part) * (alpha if mask is None else mask)

    def forgery(self, maker: str, numbers: dict[str, Json]) -> Forgery:
        """Return the edited picture as a forgery, with the original as its twin."""
        np.minimum(self.mask, 1, out=self.mask)
        return Forgery(self.pixels, self._twin, self.mask, maker, numbers)


def blurred(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Apply a Gaussian blur; wide blurs are computed at lower resolution.

    Args:
        values: ``(h, w)`` or ``(h, w, 3)``.
        sigma: Standard deviation in pixels.
    """
    height, width = values.shape[:2]
    step = int(2 * sigma / _WIDEST)
    if step < 2 or min(height, width) < 2 * step:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)
    small = cv2.resize(
        values, (-(-width // step), -(-height // step)), interpolation=cv2.INTER_AREA
    )
    # Downscaling and upscaling also blur; subtract their variance.
    rest = np.sqrt(max((sigma / step) ** 2 - 0.25, 0.1))
    soft = cv2.GaussianBlur(small, (0, 0), float(rest))
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


Points = NDArray[np.float64]  # (N, 2), (x, y) in pixels
FACE_WIDTH = 2.1  # width at the cheekbones in distances between the eyes: 135 mm / 64 mm
MIN_WIDTH_PX = 16  # parts of smaller faces have too few pixels for an edit


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A face's landmarks and axes, in pixels.

    Attributes:
        five: ``(5, 2)``: left eye, right eye, nose tip, left and right corner of the mouth.
        origin: ``(2,)``, midpoint of the eyes.
        across: ``(2,)``, from the left to the right eye.
        down: ``(2,)``, from the midpoint of the eyes to the centre of the mouth.
        width_px: Width of the face at the cheekbones.
    """

    five: Points
    origin: Points
    across: Points
    down: Points
    width_px: float

    def at(self, x: float, y: float) -> Points:
        """Convert face coordinates to pixels, ``(2,)``."""
        return np.asarray(self.origin + x * self.across + y * self.down)

    def vectors(self, by: Points) -> Points:
        """Convert ``(N, 2)`` vectors in face coordinates to pixels."""
        return np.asarray(by @ np.stack([self.across, self.down]))

    def oval(
        self, centre: Points, rx: float, ry: float, *, rng: np.random.Generator | None = None,
        bends: float = 0.0, top: float = 1.0,
    ) -> Points:  # fmt: skip
        """Return an elliptic outline, ``(48, 2)`` in pixels.

        Args:
            centre: ``(2,)`` in pixels.
            rx: Horizontal radius, in face coordinates.
            ry: Vertical radius, in face coordinates.
            rng: Draws a deformation of the outline; ``None`` for an ellipse.
            bends: Maximum relative deformation of the radius.
            top: Width of the upper end relative to the lower, for a nose.
        """
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        radius = np.ones_like(angle)
        if rng is not None:
            for waves in (2, 3, 5):
                radius += rng.uniform(-bends, bends) / 2 * np.cos(waves * angle + rng.uniform(0, 7))
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        x = x * (top + (1 - top) * (y + 1) / 2)
        return np.asarray(centre + self.vectors(np.stack([rx * x, ry * y], 1)))


def anatomy(landmarks: Landmarks, shape: tuple[int, ...]) -> Anatomy:
    """Compute a face's axes from its landmarks.

    Args:
        landmarks: 5 points in the order of :class:`mesoscope.types.Face`, or 68 or 81 in the order
            of dlib.
        shape: Shape of the picture, ``(H, W, …)``.

    Raises:
        OptionError: The number of landmarks is wrong, or a value is not finite.
        SourceUnsuitable: The face is outside of the picture, or narrower than
            :data:`MIN_WIDTH_PX`.
    """
    five = np.asarray(five_points(landmarks), np.float64)
    origin = five[:2].mean(0)
    across, down = five[1] - five[0], five[3:].mean(0) - origin
    wide, high = float(np.hypot(*across)), float(np.hypot(*down))
    # Bound the axes' ratio for profiles and false detections, else parts could have no area.
    if wide < 0.5 * high:
        across = _with_length(across if wide > 0 else np.array([down[1], -down[0]]), 0.5 * high)
    elif high < 0.5 * wide:
        down = _with_length(down if high > 0 else np.array([-across[1], across[0]]), 0.5 * wide)
    width_px = FACE_WIDTH * max(wide, 0.95 * high)
    height, width = shape[:2]
    x, y = five.mean(0)
    if not (0 <= x < width and 0 <= y < height):
        raise SourceUnsuitable(
            f"the landmarks lie about ({x:.0f}, {y:.0f}), outside of a picture of {width}×{height}"
        )
    if width_px < MIN_WIDTH_PX:
        raise SourceUnsuitable(f"the face is narrower than {MIN_WIDTH_PX} pixels")
    return Anatomy(five, origin, across, down, width_px)


def _with_length(vector: Points, length: float) -> Points:
    return np.asarray(vector * (length / np.hypot(*vector)))


def fill_outlines(outlines: list[Points], region: Region, *, soft_px: float) -> Mask:
    """Return the mask of outlines in a region, ``(h, w) float32``, 0 to 1, with blurred edges."""
    width, height = region.size
    shape = np.zeros((height, width), np.uint8)
    for outline in outlines:
        fixed = np.rint((outline - (region.x1, region.y1)) * 16).astype(np.int32)
        cv2.fillPoly(shape, [fixed], 255, cv2.LINE_AA, 4)
    soft = blurred(shape.astype(np.float32), max(soft_px, 0.3)) / 255
    return clip_mask(np.asarray(soft, np.float32))


def soft_shape(
    outlines: list[Points], shape: tuple[int, ...], *, soft_px: float
) -> tuple[Region, Mask]:
    """Return the region of outlines with their blurred edges, and its mask."""
    region = bounding_region(np.concatenate(outlines), shape, pad_px=4 * soft_px + 2)
    if region.empty:
        return region, np.zeros(region.size[::-1], np.float32)
    return region, fill_outlines(outlines, region, soft_px=soft_px)


def mouth_outline(face: Anatomy, *, scale: float = 1.0) -> Points:
    """Return the outline of the lips."""
    corners = face.five[3:]
    half = float(np.hypot(*(corners[1] - corners[0]))) / 2 / max(np.hypot(*face.across), 1e-6)
    half = float(np.clip(half, 0.25, 0.6))
    return face.oval(corners.mean(0), (half + 0.06) * scale, 0.24 * scale)


def skin_mask(pixels: Pixels, face: Anatomy) -> tuple[Region, Mask]:
    """Segment the skin of a face by position and similarity to the cheeks' colour.

    Returns:
        The face's region and its mask, ``(h, w)``, 0 to 1: without eyes, brows and mouth, and
        with little hair, beard and glasses.
    """
    soft = 0.015 * face.width_px
    oval = face.oval(face.at(0, 0.42), 0.93, 1.18)
    region, inside = soft_shape([oval], pixels.shape, soft_px=2 * soft)
    if region.empty:
        return region, inside
    up = face.vectors(np.array([[0.0, -0.14]]))[0]
    holes = [face.oval(eye + up, 0.33, 0.36) for eye in face.five[:2]]  # with the brows
    holes.append(mouth_outline(face, scale=1.1))
    inside = inside * (1 - fill_outlines(holes, region, soft_px=soft))
    lab = cv2.cvtColor(pixels[region.slices], cv2.COLOR_RGB2LAB).astype(np.float32)
    cheeks = [face.at(x, y) for x, y in ((-0.5, 0.55), (0.5, 0.55), (0.0, 0.3), (0.0, -0.45))]
    samples = [face.oval(at, 0.16, 0.13) for at in cheeks]
    sampled = fill_outlines(samples, region, soft_px=0.5) > 0.5
    if not sampled.any():
        return region, inside
    median = np.median(lab[sampled], 0)
    distance = (lab - median) * np.array([0.3, 1.0, 1.0], np.float32)  # lightness varies more
    similarity = np.exp(-(distance**2).sum(2) / (2 * 24.0**2))
    similarity = blurred(similarity.astype(np.float32), max(0.5, soft))
    found = inside * np.clip(1.6 * similarity - 0.3, 0, 1)
    # If the colours of a face vary too much, as in a drawing, use the position only.
    chosen = found if found.sum() > 0.1 * inside.sum() else inside
    return region, clip_mask(chosen)
