"""Adaptive discriminator augmentation (Karras et al., NeurIPS 2020).

With few real pictures a discriminator learns them by heart. So it never sees them plain: reals and
fakes pass through the same random changes, each with probability p, and p follows how sure the
discriminator is of the reals. As long as p stays below one, fakes do not learn the changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

TARGET: Final = 0.6  # of the mean sign of the logits of reals (section 3.1)
RAMP_PICTURES: Final = 500_000  # p goes from 0 to 1 in so many at most
_SCALE_SPREAD, _SHIFT, _FRACTION = 0.2, 0.125, 0.125
_COLOUR_SPREAD, _SATURATION_SPREAD, _BRIGHTNESS = 0.5, 1.0, 0.2


@dataclass(slots=True)
class Controller:
    """Moves p so that the discriminator is neither too sure nor lost.

    Attributes:
        p: Probability of each change, 0 to 1.
        signs: Sum of the signs of logits since p was last moved.
        seen: How many logits that were.
        heard: The last mean sign, the paper's r_t; 0 before the first.
    """

    p: float = 0.0
    signs: float = 0.0
    seen: int = 0
    heard: float = 0.0

    def note(self, logits: Tensor) -> None:
        """Count the discriminator's logits of reals, ``[N]``."""
        self.signs += float(logits.detach().sign().sum())
        self.seen += len(logits)

    def move(self) -> None:
        """Move p by what was counted."""
        if not self.seen:
            return
        self.heard = self.signs / self.seen
        step = self.seen / RAMP_PICTURES
        self.p = min(1.0, max(0.0, self.p + math.copysign(step, self.heard - TARGET)))
        self.signs, self.seen = 0.0, 0


def augment(pictures: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Change pictures at random: turns and shifts by pixels, geometry, colours (appendix B).

    Differentiable once, with respect to the pictures. The changes of one picture are one map of
    places and one map of colours, so that it is resampled once.

    Args:
        pictures: ``[N, 3, S, S]``, −1…1.
        p: Of each change; 0 returns the pictures themselves.
        rng: On the CPU, so that every device draws alike.

    Returns:
        ``[N, 3, S, S]``.
    """
    if p <= 0:
        return pictures
    n, size = len(pictures), pictures.shape[-1]
    places = geometry(n, size, p, rng).to(pictures.device, pictures.dtype)
    where = F.affine_grid(places[:, :2], list(pictures.shape), align_corners=False)
    pictures = F.grid_sample(pictures, where, padding_mode="reflection", align_corners=False)
    colours = colour(n, p, rng).to(pictures.device, pictures.dtype)
    flat = colours[:, :3, :3] @ pictures.flatten(2) + colours[:, :3, 3:]
    return flat.reshape(pictures.shape)


def geometry(n: int, size: int, p: float, rng: torch.Generator) -> Tensor:
    """Maps from places in the new picture to places in the old, ``[N, 3, 3]``, within −1…1."""
    whole = torch.eye(3).repeat(n, 1, 1)
    flip = torch.where(_chance(n, p / 2, rng), -1.0, 1.0)  # either way round is as likely
    whole = whole @ _scaling(flip, torch.ones(n))
    quarters = torch.randint(4, (n,), generator=rng) * _chance(n, p, rng)
    whole = whole @ _turning(quarters * (math.pi / 2))
    pixels = ((torch.rand(n, 2, generator=rng) * 2 - 1) * _SHIFT * size).round() * 2 / size
    whole = whole @ _shifting(pixels * _chance(n, p, rng)[:, None])
    scale = torch.where(_chance(n, p, rng), torch.exp2(_normal(n, rng) * _SCALE_SPREAD), 1.0)
    whole = whole @ _scaling(scale, scale)
    # Two turns, around the stretch; together they happen with probability p.
    each = 1 - math.sqrt(1 - p)
    whole = whole @ _turning(_angle(n, rng) * _chance(n, each, rng))
    stretch = torch.where(_chance(n, p, rng), torch.exp2(_normal(n, rng) * _SCALE_SPREAD), 1.0)
    whole = whole @ _scaling(stretch, 1 / stretch)
    whole = whole @ _turning(_angle(n, rng) * _chance(n, each, rng))
    shift = torch.randn(n, 2, generator=rng) * _FRACTION * 2
    return whole @ _shifting(shift * _chance(n, p, rng)[:, None])


def colour(n: int, p: float, rng: torch.Generator) -> Tensor:
    """Maps of colours, ``[N, 4, 4]``: brightness, contrast, luma, hue, saturation."""
    grey = torch.tensor([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)
    along = torch.outer(grey, grey)  # onto the axis of greys
    whole = torch.eye(4).repeat(n, 1, 1)
    lift = torch.eye(4).repeat(n, 1, 1)
    lift[:, :3, 3] = (_normal(n, rng) * _BRIGHTNESS * _chance(n, p, rng))[:, None]
    whole = lift @ whole
    contrast = torch.where(_chance(n, p, rng), torch.exp2(_normal(n, rng) * _COLOUR_SPREAD), 1.0)
    whole = torch.diag_embed(torch.stack([contrast] * 3 + [torch.ones(n)], 1)) @ whole
    turned = (torch.randint(2, (n,), generator=rng) * _chance(n, p, rng))[:, None, None]
    whole = (torch.eye(4) - 2 * along * turned) @ whole
    whole = _about_grey(_angle(n, rng) * _chance(n, p, rng)) @ whole
    stronger = torch.exp2(_normal(n, rng) * _SATURATION_SPREAD)
    stronger = torch.where(_chance(n, p, rng), stronger, 1.0)[:, None, None]
    return (along + (torch.eye(4) - along) * stronger) @ whole


def _chance(n: int, p: float, rng: torch.Generator) -> Tensor:
    return torch.rand(n, generator=rng) < p


def _normal(n: int, rng: torch.Generator) -> Tensor:
    return torch.randn(n, generator=rng)


def _angle(n: int, rng: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=rng) * 2 - 1) * math.pi


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([1 / x, 1 / y, torch.ones_like(x)], 1))


def _shifting(by: Tensor) -> Tensor:
    found = torch.eye(3).repeat(len(by), 1, 1)
    found[:, :2, 2] = -by
    return found


def _turning(angle: Tensor) -> Tensor:
    found = torch.eye(3).repeat(len(angle), 1, 1)
    cos, sin = angle.cos(), angle.sin()
    found[:, 0, 0], found[:, 0, 1], found[:, 1, 0], found[:, 1, 1] = cos, -sin, sin, cos
    return found


def _about_grey(angle: Tensor) -> Tensor:
    """Turns of colour about the axis of greys, by Rodrigues' formula, ``[N, 4, 4]``."""
    u = 1 / math.sqrt(3)
    cross = torch.tensor([[0.0, -u, u], [u, 0.0, -u], [-u, u, 0.0]])
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    found = torch.eye(4).repeat(len(angle), 1, 1)
    found[:, :3, :3] = torch.eye(3) + sin * cross + (1 - cos) * (cross @ cross)
    return found
