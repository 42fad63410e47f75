"""Methods of domain generalisation: training for what kinds of forgery share.

All are off by default. A step is one of :class:`Objective`; what the methods do is measured on
left-out kinds by ``benchmarks/strangers.py``.

- *MixStyle* (Zhou et al., *Domain Generalization with MixStyle*, ICLR 2021, section 2.2) mixes the
  mean and the deviation of each early feature map between pictures of a batch.
- *SAM* (Foret et al., *Sharpness-Aware Minimization*, ICLR 2021, equations 2 and 3) takes the
  gradient where the loss is largest nearby.
- *Group DRO* (Sagawa et al., *Distributionally Robust Neural Networks*, ICLR 2020, algorithm 1)
  gives groups with a larger loss a larger weight; a group is a class of a source.
- *Supervised contrastive learning* (Khosla et al., NeurIPS 2020, equation 2) draws the features of
  a class together on a sphere.
- *Consistency* is the Jensen-Shannon divergence between the answers on two augmentations of one
  crop (Hendrycks et al., *AugMix*, ICLR 2020, section 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning_fabric import Fabric

    from mesoscope.training.nets.network import Network
    from mesoscope.training.recipe.keys import GeneraliseKeys

MIXSTYLE_ALPHA = 0.1  # of the Beta distribution of shares, as published
MIXED_STAGES = 2  # after which MixStyle mixes: textures, not yet content
TEMPERATURE = 0.1  # of the contrastive term, as published
_EPS = 1e-6


def mixstyle(x: Tensor) -> Tensor:
    """Give each feature map a mixture of its own statistics and those of another picture.

    Args:
        x: Features, ``[N, C, H, W]``.

    Returns:
        ``[N, C, H, W]``; no gradient flows through the statistics.
    """
    with torch.no_grad():
        deviation, mean = torch.std_mean(x.float(), (2, 3), keepdim=True, correction=0)
        deviation = (deviation.square() + _EPS).sqrt()  # [N, C, 1, 1]
        shares = torch.distributions.Beta(MIXSTYLE_ALPHA, MIXSTYLE_ALPHA).sample((len(x),))
        share = shares.to(x.device)[:, None, None, None]
        order = torch.randperm(len(x), device=x.device)
        wanted = share * deviation + (1 - share) * deviation[order]
        shift = share * mean + (1 - share) * mean[order]
        scale = wanted / deviation
    return (x * scale + (shift - mean * scale)).to(x.dtype)


def contrastive_loss(features: Tensor, labels: Tensor) -> Tensor:
    """Return the supervised contrastive loss.

    Args:
        features: ``[N, C]``; scaled to unit length here.
        labels: ``[N]`` of 0 and 1.

    Returns:
        The mean over pictures that share their class with another one; 0 if none does.
    """
    unit = F.normalize(features.float(), dim=1)
    near = unit @ unit.T / TEMPERATURE  # [N, N]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    log_share = near - torch.logsumexp(near.masked_fill(itself, -torch.inf), 1, keepdim=True)
    positive = (labels[:, None] == labels[None]) & ~itself
    count = positive.sum(1)
    each = (log_share * positive).sum(1)[count > 0] / count[count > 0]
    return -each.mean() if len(each) else near.sum() * 0


def consistency_loss(logits: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence of two answers on each crop, in nats.

    Args:
        logits: ``[2 N]``, the two answers on a crop side by side.
    """
    p = torch.sigmoid(logits.reshape(-1, 2))  # [N, 2]
    each = _entropy(p).mean(1)
    return (_entropy(p.mean(1)) - each).mean()


def _entropy(p: Tensor) -> Tensor:
    p = p.clamp(_EPS, 1 - _EPS)
    return -(p * p.log() + (1 - p) * (1 - p).log())


class Objective:
    """Computes a step's loss and its gradient, with the methods that a recipe asks for.

    Args:
        keys: The recipe's keys.
        net: The network, already on its device; hooks are added to it.
        loss_of: Loss of each picture: logits ``[N]`` and labels ``[N]`` → ``[N]``.
        groups: Number of groups: classes of sources.
    """

    def __init__(
        self,
        keys: GeneraliseKeys,
        net: Network,
        loss_of: Callable[[Tensor, Tensor], Tensor],
        groups: int = 1,
    ) -> None:
        self._keys = keys
        self._net = net
        self._loss_of = loss_of
        self.weights = torch.full((groups,), 1 / groups)
        self._features: Tensor | None = None
        stages = net.stages()
        if keys.mixstyle:
            for stage in stages[:MIXED_STAGES]:
                stage[-1].register_forward_hook(self._mix)
        if keys.contrastive:
            stages[-1][-1].register_forward_hook(self._keep)

    @property
    def views(self) -> int:
        """Number of augmentations of each crop that a step needs, side by side."""
        return 2 if self._keys.consistency else 1

    def backward(
        self,
        fabric: Fabric,
        wrapped: nn.Module,
        batch: tuple[Tensor, Tensor],
        groups: Tensor,
        *,
        mixed: bool = False,
    ) -> float:
        """Compute the gradient of a step, and return its loss.

        Args:
            fabric: Devices and precision.
            wrapped: The network as Fabric wraps it.
            batch: Crops ``[N, 3, S, S]`` and labels ``[N]``.
            groups: Group of each picture, ``[N] int64``, from 0.
            mixed: Pictures were mixed with others, so that they are of no single group or class.
        """
        x, y = batch
        devices = [x.device] if x.is_cuda else []
        # SAM's second pass takes the same dropout and mixtures.
        with torch.random.fork_rng(devices, enabled=bool(self._keys.sam_radius)):
            loss = self._loss(fabric, wrapped(x).float(), y, groups, mixed=mixed, learn=True)
        fabric.backward(loss)
        if self._keys.sam_radius:
            norms = [m for m in self._net.modules() if isinstance(m, nn.BatchNorm2d)]
            momentum = [norm.momentum for norm in norms]
            moved = self._climb()
            for norm in norms:  # the statistics of these weights are not wanted
                norm.momentum = 0.0
            again = self._loss(fabric, wrapped(x).float(), y, groups, mixed=mixed, learn=False)
            fabric.backward(again)
            for norm, kept in zip(norms, momentum, strict=True):
                norm.momentum = kept
            with torch.no_grad():
                for parameter, step in moved:
                    parameter.sub_(step)
        self._features = None
        return loss.item()

    def tensors(self) -> dict[str, Tensor]:
        """Return the state that a resumed run needs."""
        return {"weights": self.weights} if self._keys.worst_group else {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state of :meth:`tensors`."""
        self.weights = tensors.get("weights", self.weights)

    def _loss(
        self,
        fabric: Fabric,
        logits: Tensor,
        y: Tensor,
        groups: Tensor,
        *,
        mixed: bool,
        learn: bool,
    ) -> Tensor:
        each = self._loss_of(logits, y)  # [N]
        if self._keys.worst_group and not mixed:
            loss = self._by_group(fabric, each, groups, learn=learn)
        else:
            loss = each.mean()
        if self._keys.contrastive and not mixed and self._features is not None:
            pooled = self._features.float().mean((2, 3))
            loss = loss + self._keys.contrastive * contrastive_loss(pooled, (y > 0.5).long())
        if self._keys.consistency:
            loss = loss + self._keys.consistency * consistency_loss(logits)
        return loss

    def _by_group(self, fabric: Fabric, each: Tensor, groups: Tensor, *, learn: bool) -> Tensor:
        """Weigh the mean losses of groups; those with a larger loss gain weight."""
        size = len(self.weights)
        members = F.one_hot(groups, size).to(each.dtype)  # [N, groups]
        sums, counts = each @ members, members.sum(0)
        if learn:
            both = torch.stack([sums.detach(), counts])
            both = fabric.all_reduce(both, reduce_op="sum").cpu()  # type: ignore[union-attr]
            mean = torch.where(both[1] > 0, both[0] / both[1].clamp(min=1), 0.0)
            self.weights = self.weights * torch.exp(self._keys.worst_group * mean)
            self.weights = self.weights / self.weights.sum()
        weights = self.weights.to(each.device) * (counts > 0)
        return (weights * sums / counts.clamp(min=1)).sum() / weights.sum()

    def _climb(self) -> list[tuple[Tensor, Tensor]]:
        """Move the weights uphill by the radius and clear the gradient; return the moves."""
        with torch.no_grad():
            held = [(p, p.grad) for p in self._net.parameters() if p.grad is not None]
            length = torch.stack([gradient.norm() for _, gradient in held]).norm()
            moved: list[tuple[Tensor, Tensor]] = []
            for parameter, gradient in held:
                step = gradient * (self._keys.sam_radius / (length + 1e-12))
                parameter.add_(step)
                moved.append((parameter, step))
                parameter.grad = None
        return moved

    def _mix(self, module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> Tensor | None:
        del given
        if not module.training or torch.rand(()) >= self._keys.mixstyle:
            return None
        return mixstyle(out)

    def _keep(self, module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        del given
        if module.training:
            self._features = out


def freeze(net: Network, stages: int) -> list[nn.Module]:
    """Keep the first stages at their weights.

    Args:
        net: The network; changed in place.
        stages: Number of stages, from the input on.

    Returns:
        The frozen layers; during training they must be in evaluation mode.
    """
    frozen = [layer for stage in net.stages()[:stages] for layer in stage]
    for layer in frozen:
        layer.requires_grad_(False)
    return frozen
