"""What every maker of forgeries gives: the forged picture, its twin, its mask, its numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from mesoscope.types import Json, Pixels

Mask = NDArray[np.float32]  # (H, W), 0 = untouched … 1 = all forged
Landmarks = NDArray[np.float32]  # (5, 2) or denser, (x, y) in pixels, in the order of types.Face


@dataclass(frozen=True, slots=True)
class Forgery:
    """One forged picture and what is needed to judge it, or to make it again.

    Attributes:
        pixels: Forged, ``(H, W, 3) uint8``.
        twin: The real picture as it must stand beside it: of the same shape, and resampled in the
            same way where making the forgery resampled all of it.
        mask: ``(H, W) float32``, 0 where nothing was changed to 1.
        maker: ``blend``, ``edit`` …
        numbers: All that was drawn or set, ready for JSON.
    """

    pixels: Pixels
    twin: Pixels
    mask: Mask
    maker: str
    numbers: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pixels.shape != self.twin.shape or self.mask.shape != self.pixels.shape[:2]:
            raise OptionError(
                f"{self.maker}: forged picture, twin and mask must be of one size, got "
                f"{self.pixels.shape}, {self.twin.shape} and {self.mask.shape}"
            )
