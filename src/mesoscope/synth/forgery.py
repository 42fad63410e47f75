"""The result of a maker of forgeries, and the encoding of a forgery and its twin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import OptionError
from mesoscope.imaging.encode import jpeg, png

if TYPE_CHECKING:
    from mesoscope.types import Json, Pixels


Mask = NDArray[np.float32]  # (H, W), 0 = untouched, 1 = forged
Landmarks = NDArray[np.float32]  # (5, 2) or denser, (x, y) in pixels, in the order of types.Face


@dataclass(frozen=True, slots=True)
class Forgery:
    """A forged picture with its twin, mask and parameters.

    Attributes:
        pixels: The forged picture, ``(H, W, 3) uint8``.
        twin: The untouched counterpart, of the same shape; resampled in the same way if the whole
            forged picture was.
        mask: ``(H, W) float32``, 0 = untouched, 1 = forged.
        maker: ``self_blend``, ``edit`` …
        numbers: All drawn and set parameters, as JSON values.
    """

    pixels: Pixels
    twin: Pixels
    mask: Mask
    maker: str
    numbers: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pixels.shape != self.twin.shape or self.mask.shape != self.pixels.shape[:2]:
            raise OptionError(
                f"{self.maker}: forged picture, twin and mask must have one size, got "
                f"{self.pixels.shape}, {self.twin.shape} and {self.mask.shape}"
            )


FORMATS = ("png", "jpg")
_FULL_CHROMA = 0.2  # share of pairs without chroma subsampling


@dataclass(frozen=True, slots=True)
class Saving:
    """The encoding of one pair.

    Attributes:
        format: ``png`` or ``jpg``.
        quality: JPEG quality, 1 to 100; 0 for PNG.
        sampling: JPEG chroma subsampling, ``4:2:0`` or ``4:4:4``; empty for PNG.
    """

    format: str
    quality: int = 0
    sampling: str = ""

    def encode(self, pixels: Pixels) -> bytes:
        """Encode a picture, without metadata."""
        if self.format == "jpg":
            return jpeg(pixels, self.quality, full_chroma=self.sampling == "4:4:4")
        return png(pixels, 3)

    def numbers(self) -> dict[str, Json]:
        """Return the parameters, for the record of the pair."""
        if self.format == "png":
            return {"format": self.format}
        return {"format": self.format, "quality": self.quality, "sampling": self.sampling}


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding of a folder's pairs.

    Attributes:
        format: ``png`` or ``jpg``.
        quality: Minimum and maximum JPEG quality; it is drawn per pair.

    Raises:
        OptionError: The format is unknown, or the qualities are not ordered within 1 to 100.
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
        """Draw the encoding of a pair."""
        if self.format == "png":
            return Saving("png")
        quality = int(rng.integers(self.quality[0], self.quality[1] + 1))
        sampling = "4:4:4" if rng.random() < _FULL_CHROMA else "4:2:0"
        return Saving("jpg", quality, sampling)


def encode_mask(mask: NDArray[np.float32]) -> bytes:
    """Encode a mask as an 8-bit grey PNG: 0 = untouched, 255 = forged."""
    levels = np.asarray(np.rint(np.clip(mask, 0, 1) * 255), np.uint8)
    return png(levels, 6)
