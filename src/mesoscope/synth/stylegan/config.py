"""What a generator is built from: its architecture, its size, its widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mesoscope.errors import OptionError

ARCHITECTURES: Final = ("stylegan", "stylegan2")
SIZE_MIN: Final = 4
SIZE_MAX: Final = 1024
_WIDTH_TIMES_SIZE = 16384  # the law of both papers: 512 channels up to 32², then half at each step


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """The shape of a generator.

    Attributes:
        architecture: ``stylegan`` (Karras, Laine & Aila, CVPR 2019) or ``stylegan2`` (Karras et
            al., CVPR 2020, configuration F).
        size: Of the square pictures, in pixels: a power of two from 4 to 1024.
        style_dim: Numbers in a latent, and in a style.
        mapping_layers: Of the network from latents to styles.
        channel_multiplier: Channels at a resolution are ``16384 · multiplier / resolution``, but
            never more than ``channels_max``. The published large networks have 2.
        channels_max: At the lowest resolutions.

    Raises:
        OptionError: A value outside its range.
    """

    architecture: str = "stylegan2"
    size: int = 256
    style_dim: int = 512
    mapping_layers: int = 8
    channel_multiplier: float = 2.0
    channels_max: int = 512

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise OptionError(
                f"architecture {self.architecture!r}: there are {' and '.join(ARCHITECTURES)}"
            )
        if not SIZE_MIN <= self.size <= SIZE_MAX or self.size & (self.size - 1):
            raise OptionError(
                f"size {self.size}: style-based generators make pictures of 4, 8, 16 … 1024 pixels"
            )
        for name in ("style_dim", "mapping_layers", "channels_max"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} {getattr(self, name)}: must be at least 1")
            if getattr(self, name) > 16_384:
                raise OptionError(f"{name} {getattr(self, name)}: must be at most 16,384")
        if not 0 < self.channel_multiplier <= 64:
            raise OptionError(
                f"channel_multiplier {self.channel_multiplier}: must be above 0 and at most 64"
            )

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8 … size."""
        return tuple(2**i for i in range(2, self.size.bit_length()))

    def channels(self, resolution: int) -> int:
        """How many feature maps there are at a resolution."""
        wide = int(_WIDTH_TIMES_SIZE * self.channel_multiplier / resolution)
        return max(1, min(self.channels_max, wide))

    @property
    def style_layers(self) -> int:
        """Layers that take a style of their own: the number of cuts for mixing, and one more."""
        return 2 * len(self.resolutions)

    @property
    def noise_sizes(self) -> tuple[int, ...]:
        """Height, and width, of the noise map of each layer that has one."""
        both = tuple(r for r in self.resolutions for _ in range(2))
        # StyleGAN2 has one convolution at 4², as its constant is convolved but not styled.
        return both[1:] if self.architecture == "stylegan2" else both
