"""A picture while it is edited, and where the parts of its face lie.

Face coordinates: the origin lies between the eyes, ``x`` counts distances from eye to eye to the
right in the picture, ``y`` distances from the eyes to the mouth, downwards. Both axes come from the
landmarks, so shapes follow a turned, tilted or foreshortened face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import SourceUnsuitable
from mesoscope.synth.forgery import Forgery, Mask
from mesoscope.synth.outline import Region, clean, five_of

if TYPE_CHECKING:
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Json, Pixels


_WIDEST = 8.0  # px: standard deviation of blurs that are made at full size


class Canvas:
    """A working copy of a picture.

    Args:
        pixels: ``(H, W, 3) uint8``. Never written to.

    Attributes:
        pixels: As they are now.
        mask: ``(H, W) float32``, where anything was laid on.
    """

    def __init__(self, pixels: Pixels) -> None:
        self._twin = pixels
        self.pixels: Pixels = pixels.copy()
        self.mask: Mask = np.zeros(pixels.shape[:2], np.float32)

    def lay(
        self, region: Region, patch: NDArray[np.float32], share: Mask, *, where: Mask | None = None
    ) -> None:
        """Mix a patch in; where its share is 0, not a bit changes.

        Args:
            region: Where it lies.
            patch: ``(h, w, 3)``, 0 to 255.
            share: ``(h, w)``, of the patch, 0 to 1.
            where: For the mask, in place of the share.
        """
        under = self.pixels[region.slices].astype(np.float32)
        over = np.rint(under + share[:, :, None] * (patch - under))
        self.pixels[region.slices] = np.clip(over, 0, 255).astype(np.uint8)
        here = self.mask[region.slices]
        here += (1 - here) * (share if where is None else where)

    def forgery(self, maker: str, numbers: dict[str, Json]) -> Forgery:
        """What came of it, beside the picture as it was."""
        np.minimum(self.mask, 1, out=self.mask)
        return Forgery(self.pixels, self._twin, self.mask, maker, numbers)


def blurred(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A Gaussian blur, made on a smaller picture where it is so wide that nothing fine is left.

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
    # Shrinking and enlarging blur, too: by about the step's own standard deviations.
    rest = np.sqrt(max((sigma / step) ** 2 - 0.25, 0.1))
    soft = cv2.GaussianBlur(small, (0, 0), float(rest))
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


Points = NDArray[np.float64]  # (N, 2), (x, y) in pixels
FACE_WIDTH = 2.1  # in distances between the eyes: 135 mm from cheekbone to cheekbone, 64 mm
LEAST_WIDTH_PX = 16  # below, no part of a face has pixels enough to be edited


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A face's points and axes, in pixels.

    Attributes:
        five: ``(5, 2)``: eye, eye, tip of the nose, corner, corner of the mouth.
        origin: ``(2,)``, between the eyes.
        across: ``(2,)``, from eye to eye.
        down: ``(2,)``, from between the eyes to the middle of the mouth.
        width_px: Of the face, from cheekbone to cheekbone.
    """

    five: Points
    origin: Points
    across: Points
    down: Points
    width_px: float

    def at(self, x: float, y: float) -> Points:
        """``(2,)``: the pixel at face coordinates."""
        return np.asarray(self.origin + x * self.across + y * self.down)

    def moved(self, by: Points) -> Points:
        """``(N, 2)`` vectors of face coordinates in pixels."""
        return np.asarray(by @ np.stack([self.across, self.down]))

    def oval(
        self, centre: Points, rx: float, ry: float, *, rng: np.random.Generator | None = None,
        bends: float = 0.0, top: float = 1.0,
    ) -> Points:  # fmt: skip
        """``(48, 2)``: an outline about a pixel.

        Args:
            centre: ``(2,)`` in pixels.
            rx: Half its width, in face coordinates.
            ry: Half its height.
            rng: Bends the outline; none leaves an ellipse.
            bends: Largest share by which the outline is bent in or out.
            top: Width of the upper end, as a share of the lower's: a nose is narrow above.
        """
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        radius = np.ones_like(angle)
        if rng is not None:
            for waves in (2, 3, 5):
                radius += rng.uniform(-bends, bends) / 2 * np.cos(waves * angle + rng.uniform(0, 7))
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        x = x * (top + (1 - top) * (y + 1) / 2)
        return np.asarray(centre + self.moved(np.stack([rx * x, ry * y], 1)))


def anatomy(landmarks: Landmarks, shape: tuple[int, ...]) -> Anatomy:
    """Read a face's axes off its landmarks.

    Args:
        landmarks: 5 points as :class:`mesoscope.types.Face` orders them, or 68 or 81 in the order
            of dlib.
        shape: Of the picture, ``(H, W, …)``.

    Raises:
        OptionError: Another number of landmarks, or one that is not finite.
        SourceUnsuitable: The face lies outside of the picture, or it is narrower than
            :data:`LEAST_WIDTH_PX`.
    """
    five = np.asarray(five_of(landmarks), np.float64)
    origin = five[:2].mean(0)
    across, down = five[1] - five[0], five[3:].mean(0) - origin
    wide, high = float(np.hypot(*across)), float(np.hypot(*down))
    # A face turned far away, or a finder's slip: neither axis may vanish, else parts have no area.
    if wide < 0.5 * high:
        across = _of_length(across if wide > 0 else np.array([down[1], -down[0]]), 0.5 * high)
    elif high < 0.5 * wide:
        down = _of_length(down if high > 0 else np.array([-across[1], across[0]]), 0.5 * wide)
    width_px = FACE_WIDTH * max(wide, 0.95 * high)
    height, width = shape[:2]
    x, y = five.mean(0)
    if not (0 <= x < width and 0 <= y < height):
        raise SourceUnsuitable(
            f"the landmarks lie about ({x:.0f}, {y:.0f}), outside of a picture of {width}×{height}"
        )
    if width_px < LEAST_WIDTH_PX:
        raise SourceUnsuitable(f"the face is narrower than {LEAST_WIDTH_PX} pixels")
    return Anatomy(five, origin, across, down, width_px)


def _of_length(vector: Points, length: float) -> Points:
    return np.asarray(vector * (length / np.hypot(*vector)))


def region_of(points: Points, shape: tuple[int, ...], *, pad_px: float) -> Region:
    """The rectangle about points, widened, within the picture; it may be empty."""
    low = np.floor(points.min(0) - pad_px).astype(int)
    high = np.ceil(points.max(0) + pad_px).astype(int) + 1
    height, width = shape[:2]
    return Region(
        int(np.clip(low[0], 0, width)), int(np.clip(low[1], 0, height)),
        int(np.clip(high[0], 0, width)), int(np.clip(high[1], 0, height)),
    )  # fmt: skip


def drawn(outlines: list[Points], region: Region, *, soft_px: float) -> Mask:
    """Filled outlines with a soft edge, ``(h, w) float32`` of the region, 0 to 1."""
    width, height = region.size
    shape = np.zeros((height, width), np.uint8)
    for outline in outlines:
        fixed = np.rint((outline - (region.x1, region.y1)) * 16).astype(np.int32)
        cv2.fillPoly(shape, [fixed], 255, cv2.LINE_AA, 4)
    soft = blurred(shape.astype(np.float32), max(soft_px, 0.3)) / 255
    return clean(np.asarray(soft, np.float32))


def soft_shape(
    outlines: list[Points], shape: tuple[int, ...], *, soft_px: float, pad_px: float = 0
) -> tuple[Region, Mask]:
    """The region that outlines and their soft edges take, and :func:`drawn` there."""
    region = region_of(np.concatenate(outlines), shape, pad_px=4 * soft_px + 2 + pad_px)
    if region.empty:
        return region, np.zeros(region.size[::-1], np.float32)
    return region, drawn(outlines, region, soft_px=soft_px)


def united(one: Mask, other: Mask) -> Mask:
    """Where either lies, soft."""
    return np.asarray(1 - (1 - one) * (1 - other), np.float32)


def eye_outlines(face: Anatomy, *, brow: bool, grown: float = 1.0) -> list[Points]:
    """Both eyes, each with its brow or without."""
    above, ry = (-0.14, 0.36) if brow else (-0.01, 0.17)
    lift = face.moved(np.array([[0.0, above]]))[0]
    return [face.oval(eye + lift, 0.33 * grown, ry * grown) for eye in face.five[:2]]


def mouth_outline(face: Anatomy, *, grown: float = 1.0) -> Points:
    """The lips."""
    corners = face.five[3:]
    half = float(np.hypot(*(corners[1] - corners[0]))) / 2 / max(np.hypot(*face.across), 1e-6)
    half = float(np.clip(half, 0.25, 0.6))
    return face.oval(corners.mean(0), (half + 0.06) * grown, 0.24 * grown)


def skin(pixels: Pixels, face: Anatomy) -> tuple[Region, Mask]:
    """Where skin shows in the face: by place, then by likeness to the cheeks' colour.

    Returns:
        The face's region and ``(h, w)`` there, 0 to 1: without eyes, brows and mouth, and
        with little of hair, beard and glasses.
    """
    soft = 0.015 * face.width_px
    oval = face.oval(face.at(0, 0.42), 0.93, 1.18)
    region, inside = soft_shape([oval], pixels.shape, soft_px=2 * soft)
    if region.empty:
        return region, inside
    holes = [*eye_outlines(face, brow=True), mouth_outline(face, grown=1.1)]
    inside = inside * (1 - drawn(holes, region, soft_px=soft))
    lab = cv2.cvtColor(pixels[region.slices], cv2.COLOR_RGB2LAB).astype(np.float32)
    cheeks = [face.at(x, y) for x, y in ((-0.5, 0.55), (0.5, 0.55), (0.0, 0.3), (0.0, -0.45))]
    near = drawn([face.oval(at, 0.16, 0.13) for at in cheeks], region, soft_px=0.5) > 0.5
    if not near.any():
        return region, inside
    usual = np.median(lab[near], 0)
    apart = (lab - usual) * np.array([0.3, 1.0, 1.0], np.float32)  # light varies, colour does not
    alike = np.exp(-(apart**2).sum(2) / (2 * 24.0**2))
    alike = blurred(alike.astype(np.float32), max(0.5, soft))
    found = inside * np.clip(1.6 * alike - 0.3, 0, 1)
    # A face of odd colours (a cartoon, a drawn one) keeps its place rather than nothing.
    chosen = found if found.sum() > 0.1 * inside.sum() else inside
    return region, clean(chosen)
