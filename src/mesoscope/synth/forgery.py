"""What every maker of forgeries gives, and how a forged picture and its twin are saved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import OptionError
from mesoscope.imaging.encode import jpeg, png

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


FORMATS = ("png", "jpg")
_FULL_CHROMA = 0.2  # of the pairs


@dataclass(frozen=True, slots=True)
class Saving:
    """How one pair is saved.

    Attributes:
        format: ``png`` or ``jpg``.
        quality: Of JPEG, 1 to 100; 0 for PNG.
        sampling: Of JPEG's chroma, ``4:2:0`` or ``4:4:4``; empty for PNG.
    """

    format: str
    quality: int = 0
    sampling: str = ""

    def encode(self, pixels: Pixels) -> bytes:
        """A file's bytes, without any metadata."""
        if self.format == "jpg":
            return jpeg(pixels, self.quality, full_chroma=self.sampling == "4:4:4")
        return png(pixels, 3)

    def numbers(self) -> dict[str, Json]:
        """For the record of the pair."""
        if self.format == "png":
            return {"format": self.format}
        return {"format": self.format, "quality": self.quality, "sampling": self.sampling}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the pairs of a folder are saved.

    Attributes:
        format: ``png``, which loses nothing, or ``jpg``.
        quality: The lowest and the highest JPEG quality; each pair draws its own.

    Raises:
        OptionError: Another format, or qualities outside 1 to 100 or turned round.
    """

    format: str = "jpg"
    quality: tuple[int, int] = (60, 95)

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise OptionError(f"format must be one of {', '.join(FORMATS)}, got {self.format!r}")
        low, high = self.quality
        if not 1 <= low <= high <= 100:
            raise OptionError(f"quality must be LOW-HIGH within 1 to 100, got {low}-{high}")

    def draw(self, rng: np.random.Generator) -> Saving:
        """How the next pair is saved."""
        if self.format == "png":
            return Saving("png")
        quality = int(rng.integers(self.quality[0], self.quality[1] + 1))
        sampling = "4:4:4" if rng.random() < _FULL_CHROMA else "4:2:0"
        return Saving("jpg", quality, sampling)


def encode_mask(mask: NDArray[np.float32]) -> bytes:
    """A grey PNG of 8 bits: 0 = untouched, 255 = all forged."""
    levels = np.asarray(np.rint(np.clip(mask, 0, 1) * 255), np.uint8)
    return png(levels, 6)
