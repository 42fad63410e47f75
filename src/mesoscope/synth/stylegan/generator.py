"""A whole generator: mapping, mean style, synthesis, stored noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mesoscope.synth.stylegan.layers import Mapping
from mesoscope.synth.stylegan.networks import Synthesis1, Synthesis2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.synth.stylegan.config import GeneratorConfig

MEAN_DRAWS = 10_000  # StyleGAN, appendix B
_MEAN_CHUNK = 500


class Generator(nn.Module):
    """From latents to pictures.

    Attributes:
        config: What it was built from.
        w_mean: The mean style, ``[D]``, which truncation draws towards.

    Args:
        config: Sizes and widths.
    """

    w_mean: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(config.style_dim, config.mapping_layers)
        self.synthesis = (
            Synthesis2(config) if config.architecture == "stylegan2" else Synthesis1(config)
        )
        self.register_buffer("w_mean", torch.zeros(config.style_dim))
        for i, size in enumerate(config.noise_sizes):
            self.register_buffer(f"noise_{i}", torch.randn(1, 1, size, size))

    @property
    def stored_noise(self) -> list[Tensor]:
        """The noise maps that belong to the weights, ``[1, 1, H, W]`` a layer."""
        return [self.get_buffer(f"noise_{i}") for i in range(len(self.config.noise_sizes))]

    def forward(self, styles: Tensor, noises: Sequence[Tensor] | None = None) -> Tensor:
        """Pictures from styles.

        Args:
            styles: ``[N, layers, D]``, see :meth:`styles`.
            noises: ``[N or 1, 1, H, W]`` a layer; the stored ones where ``None``.

        Returns:
            ``[N, 3, size, size]``, −1 = black, 1 = white; a little beyond is possible.
        """
        noises = self.stored_noise if noises is None else noises
        pictures: Tensor = self.synthesis(styles, noises)
        return pictures

    def styles(self, z: Tensor) -> Tensor:
        """One style for all layers: latents ``[N, D]`` → ``[N, layers, D]``."""
        w: Tensor = self.mapping(z)
        return w[:, None].expand(-1, self.config.style_layers, -1)

    @torch.no_grad()
    def measure_mean(self) -> None:
        """Set the mean style to the mean over 10,000 latents, always the same ones."""
        draws = np.random.default_rng(0).standard_normal((MEAN_DRAWS, self.config.style_dim))
        z = torch.from_numpy(draws.astype(np.float32)).to(self.w_mean.device)
        parts = [self.mapping(chunk).double().sum(0) for chunk in torch.split(z, _MEAN_CHUNK)]
        self.w_mean.copy_(torch.stack(parts).sum(0) / MEAN_DRAWS)


def truncate(styles: Tensor, mean: Tensor, psi: float, layers: int | None = None) -> Tensor:
    """Draw styles towards the mean (StyleGAN, appendix B): fewer odd faces, less variety.

    Args:
        styles: ``[N, layers, D]``.
        mean: ``[D]``.
        psi: 1 = as they are, 0 = all the mean.
        layers: So many layers, from the coarsest; all where ``None``.
    """
    drawn = mean + psi * (styles - mean)
    if layers is None:
        return drawn
    return torch.cat([drawn[:, :layers], styles[:, layers:]], 1)


def mix(first: Tensor, second: Tensor, cut: int) -> Tensor:
    """Coarse layers of one and fine layers of another (StyleGAN, section 3.1).

    Args:
        first: ``[N, layers, D]``: pose, shape of the face.
        second: ``[N, layers, D]``: colours, texture.
        cut: So many layers are of the first.
    """
    return torch.cat([first[:, :cut], second[:, cut:]], 1)
