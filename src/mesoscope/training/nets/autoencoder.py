"""Small convolutional autoencoders whose decoders leave the traces of generators in a picture.

After Zhang, Karaman & Chang, *Detecting and simulating artifacts in GAN fake images*, WIFS 2019,
section 3: the upsampling of a decoder leaves replicas of the spectrum, whatever it generates. A
decoder that reconstructs a real picture leaves them without a generator. The kinds differ in
upsampling, in how far they shrink the picture, and in width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

UPSAMPLINGS = ("nearest", "bilinear", "transposed", "shuffle")


@dataclass(frozen=True, slots=True)
class AutoencoderKeys:
    """Shape of an autoencoder.

    Attributes:
        upsampling: One of :data:`UPSAMPLINGS`.
        shrink: Sides of the picture over those of the code: 2, 4 or 8.
        code: Channels of the code.
        widths: Channels of the decoder after the code and after each doubling.
    """

    upsampling: str
    shrink: int
    code: int
    widths: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the kind, such as ``nearest4``."""
        return f"{self.upsampling}{self.shrink}"


KINDS = (
    AutoencoderKeys("nearest", 4, 24, (32, 24, 16)),
    AutoencoderKeys("bilinear", 4, 24, (32, 24, 16)),
    AutoencoderKeys("transposed", 4, 24, (32, 24, 16)),
    AutoencoderKeys("shuffle", 4, 24, (32, 24, 16)),
    AutoencoderKeys("nearest", 8, 64, (64, 32, 24, 16)),
    AutoencoderKeys("transposed", 8, 64, (64, 32, 24, 16)),
    AutoencoderKeys("bilinear", 2, 8, (24, 16)),
    AutoencoderKeys("shuffle", 2, 8, (24, 16)),
)


class Upsampling(nn.Module):
    """Double both sides: ``[N, C, h, w]`` → ``[N, D, 2h, 2w]``."""

    def __init__(self, kind: str, inputs: int, outputs: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "transposed":  # 4×4 filters with stride 2, as in DCGAN
            self.filters: nn.Module = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
        elif kind == "shuffle":  # sub-pixel convolution
            self.filters = nn.Conv2d(inputs, 4 * outputs, 3, padding=1)
        else:
            self.filters = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, h, w] → [N, D, 2h, 2w]
        """Upsample and filter."""
        if self.kind == "nearest":
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        elif self.kind == "bilinear":
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        y: Tensor = self.filters(x)
        return F.pixel_shuffle(y, 2) if self.kind == "shuffle" else y


class Autoencoder(nn.Module):
    """Reconstruct a picture: ``[N, 3, H, W]`` in 0..1 → the same; sides divisible by ``shrink``."""

    def __init__(self, keys: AutoencoderKeys) -> None:
        super().__init__()
        self.keys = keys
        widths, doublings = keys.widths, len(keys.widths) - 1
        self.encoder = nn.Sequential()
        inputs = 3
        for outputs in widths[::-1][1:]:
            self.encoder.append(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1))
            self.encoder.append(nn.LeakyReLU(0.2))
            inputs = outputs
        self.encoder.append(nn.Conv2d(inputs, keys.code, 1))
        self.decoder = nn.Sequential(nn.Conv2d(keys.code, widths[0], 3, padding=1))
        for step in range(doublings):
            self.decoder.append(nn.LeakyReLU(0.2))
            self.decoder.append(Upsampling(keys.upsampling, widths[step], widths[step + 1]))
        self.decoder.append(nn.LeakyReLU(0.2))
        self.decoder.append(nn.Conv2d(widths[-1], 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:  # [N, 3, H, W]
        """Reconstruct."""
        y: Tensor = self.decoder(self.encoder(x - 0.5)) + 0.5
        return y


def loss_of(made: Tensor, real: Tensor) -> Tensor:
    """Mean absolute error of the values and of their differences between neighbours."""
    apart = made - real
    down, right = apart[:, :, 1:] - apart[:, :, :-1], apart[..., 1:] - apart[..., :-1]
    return apart.abs().mean() + down.abs().mean() + right.abs().mean()
