"""What generator and discriminator are trained on."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_MEAN_RATE = 0.01  # of the mean path length


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Logistic loss of logits ``[N]`` each (Goodfellow et al., 2014)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """The non-saturating logistic loss of logits ``[N]`` (Goodfellow et al., 2014, section 3)."""
    return F.softplus(-fake).mean()


def gradient_penalty(logits: Tensor, pictures: Tensor) -> Tensor:
    """R1 without its weight γ/2: mean squared gradient on reals (Mescheder et al., ICML 2018).

    Args:
        logits: ``[N]``, computed from the pictures.
        pictures: ``[N, 3, S, S]`` that require a gradient.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def path_lengths(pictures: Tensor, styles: Tensor, noise: Tensor) -> Tensor:
    """How far a picture moves for a step in style (StyleGAN2, section 3.2).

    Args:
        pictures: ``[N, 3, S, S]``, made from the styles.
        styles: ``[N, layers, D]`` that require a gradient.
        noise: ``[N, 3, S, S]`` from N(0, 1).

    Returns:
        ``[N]``.
    """
    scaled = noise / math.sqrt(pictures.shape[2] * pictures.shape[3])
    (gradient,) = torch.autograd.grad((pictures * scaled).sum(), styles, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def path_penalty(lengths: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance of path lengths ``[N]`` from their running mean, and the new mean."""
    moved = mean + _MEAN_RATE * (lengths.mean().detach() - mean)
    return (lengths - moved).square().mean(), moved
