"""A picture while it is edited: patches are laid on, and a mask keeps where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.synth.forgery import Forgery

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.forgery import Mask
    from mesoscope.synth.masks import Region
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
