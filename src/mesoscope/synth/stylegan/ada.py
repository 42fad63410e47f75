"""Adaptive discriminator augmentation (Karras et al., NeurIPS 2020).

With few real pictures the discriminator overfits. So it sees only augmented pictures: reals and
fakes get the same random augmentations, each with probability p, and p is adapted to the
discriminator's overfitting. As long as p is below one, augmentations do not leak into the fakes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

TARGET: Final = 0.6  # target of the mean sign of the logits of reals (section 3.1)
RAMP_PICTURES: Final = 500_000  # minimum number of pictures for p to go from 0 to 1
_SCALE_STD, _SHIFT, _FRACTION = 0.2, 0.125, 0.125
_COLOUR_STD, _SATURATION_STD, _BRIGHTNESS = 0.5, 1.0, 0.2


@dataclass(slots=True)
class Controller:
    """Adapts p to the discriminator's overfitting (section 3.1).

    Attributes:
        p: Probability of each augmentation, 0 to 1.
        signs: Sum of the signs of logits since the last update.
        seen: Number of these logits.
        heard: The last mean sign, the paper's r_t; 0 before the first update.
    """

    # Field names are part of checkpoints.
    p: float = 0.0
    signs: float = 0.0
    seen: int = 0
    heard: float = 0.0

    def accumulate(self, logits: Tensor) -> None:
        """Accumulate the discriminator's logits of reals, ``[N]``."""
        self.signs += float(logits.detach().sign().sum())
        self.seen += len(logits)

    def update(self) -> None:
        """Update p by the accumulated logits."""
        if not self.seen:
            return
        self.heard = self.signs / self.seen
        step = self.seen / RAMP_PICTURES
        self.p = min(1.0, max(0.0, self.p + math.copysign(step, self.heard - TARGET)))
        self.signs, self.seen = 0.0, 0


def augment(pictures: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Augment pictures by pixel blitting, geometric and colour transformations (appendix B).

    Differentiable once, with respect to the pictures. The transformations of a picture are combined
    into one geometric and one colour matrix, so it is resampled once.

    Args:
        pictures: ``[N, 3, S, S]``, −1…1.
        p: Probability of each augmentation; 0 returns the input.
        rng: Generator on the CPU, so that all devices draw the same numbers.

    Returns:
        ``[N, 3, S, S]``.
    """
    if p <= 0:
        return pictures
    n, size = len(pictures), pictures.shape[-1]
    matrices = geometry(n, size, p, rng).to(pictures.device, pictures.dtype)
    sampling_grid = F.affine_grid(matrices[:, :2], list(pictures.shape), align_corners=False)
    pictures = F.grid_sample(
        pictures, sampling_grid, padding_mode="reflection", align_corners=False
    )
    colours = colour(n, p, rng).to(pictures.device, pictures.dtype)
    flat = colours[:, :3, :3] @ pictures.flatten(2) + colours[:, :3, 3:]
    return flat.reshape(pictures.shape)


def geometry(n: int, size: int, p: float, rng: torch.Generator) -> Tensor:
    """Draw geometric matrices, ``[N, 3, 3]``, from output to input coordinates in −1…1."""
    matrix = torch.eye(3).repeat(n, 1, 1)
    flip = torch.where(_chance(n, p / 2, rng), -1.0, 1.0)  # flipped with probability one half
    matrix = matrix @ _scaling(flip, torch.ones(n))
    quarters = torch.randint(4, (n,), generator=rng) * _chance(n, p, rng)
    matrix = matrix @ _rotation(quarters * (math.pi / 2))
    pixels = ((torch.rand(n, 2, generator=rng) * 2 - 1) * _SHIFT * size).round() * 2 / size
    matrix = matrix @ _translation(pixels * _chance(n, p, rng)[:, None])
    scale = torch.where(_chance(n, p, rng), torch.exp2(_normal(n, rng) * _SCALE_STD), 1.0)
    matrix = matrix @ _scaling(scale, scale)
    # Rotations before and after the anisotropic scaling; at least one with probability p.
    each = 1 - math.sqrt(1 - p)
    matrix = matrix @ _rotation(_angle(n, rng) * _chance(n, each, rng))
    stretch = torch.where(_chance(n, p, rng), torch.exp2(_normal(n, rng) * _SCALE_STD), 1.0)
    matrix = matrix @ _scaling(stretch, 1 / stretch)
    matrix = matrix @ _rotation(_angle(n, rng) * _chance(n, each, rng))
    shift = torch.randn(n, 2, generator=rng) * _FRACTION * 2
    return matrix @ _translation(shift * _chance(n, p, rng)[:, None])


def colour(n: int, p: float, rng: torch.Generator) -> Tensor:
    """Draw colour matrices, ``[N, 4, 4]``: brightness, contrast, luma flip, hue, saturation."""
    grey = torch.tensor([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)
    along = torch.outer(grey, grey)  # projection onto the grey axis
    matrix = torch.eye(4).repeat(n, 1, 1)
    brightness = torch.eye(4).repeat(n, 1, 1)
    brightness[:, :3, 3] = (_normal(n, rng) * _BRIGHTNESS * _chance(n, p, rng))[:, None]
    matrix = brightness @ matrix
    contrast = torch.where(_chance(n, p, rng), torch.exp2(_normal(n, rng) * _COLOUR_STD), 1.0)
    matrix = torch.diag_embed(torch.stack([contrast] * 3 + [torch.ones(n)], 1)) @ matrix
    flipped = (torch.randint(2, (n,), generator=rng) * _chance(n, p, rng))[:, None, None]
    matrix = (torch.eye(4) - 2 * along * flipped) @ matrix
    matrix = _hue_rotation(_angle(n, rng) * _chance(n, p, rng)) @ matrix
    saturation = torch.exp2(_normal(n, rng) * _SATURATION_STD)
    saturation = torch.where(_chance(n, p, rng), saturation, 1.0)[:, None, None]
    return (along + (torch.eye(4) - along) * saturation) @ matrix


def _chance(n: int, p: float, rng: torch.Generator) -> Tensor:
    return torch.rand(n, generator=rng) < p


def _normal(n: int, rng: torch.Generator) -> Tensor:
    return torch.randn(n, generator=rng)


def _angle(n: int, rng: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=rng) * 2 - 1) * math.pi


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([1 / x, 1 / y, torch.ones_like(x)], 1))


def _translation(by: Tensor) -> Tensor:
    matrix = torch.eye(3).repeat(len(by), 1, 1)
    matrix[:, :2, 2] = -by
    return matrix


def _rotation(angle: Tensor) -> Tensor:
    matrix = torch.eye(3).repeat(len(angle), 1, 1)
    cos, sin = angle.cos(), angle.sin()
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1] = cos, -sin, sin, cos
    return matrix


def _hue_rotation(angle: Tensor) -> Tensor:
    """Return rotations about the grey axis by Rodrigues' formula, ``[N, 4, 4]``."""
    u = 1 / math.sqrt(3)
    cross = torch.tensor([[0.0, -u, u], [u, 0.0, -u], [-u, u, 0.0]])
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    matrix = torch.eye(4).repeat(len(angle), 1, 1)
    matrix[:, :3, :3] = torch.eye(3) + sin * cross + (1 - cos) * (cross @ cross)
    return matrix
