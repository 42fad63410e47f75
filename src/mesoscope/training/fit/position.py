"""The state of a run that a step changes: weights, their running mean, the optimiser."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.distil import open_teacher, teacher_weights
from mesoscope.training.fit.generalise import Objective, freeze
from mesoscope.training.fit.schedule import parameter_groups
from mesoscope.training.nets import build, initialise
from mesoscope.training.nets.model_file import restore_norms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lightning_fabric import Fabric

    from mesoscope.training.recipe.keys import OptimiseKeys
    from mesoscope.training.recipe.recipe import Recipe


class WeightConstraint(Protocol):
    """A constraint on the weights during training, such as pruning masks."""

    def begin(self, at: EpochPosition) -> None:
        """Load the initial weights into a fresh position."""
        ...

    def step(self, at: EpochPosition, epochs: float) -> None:
        """Apply the constraint after a step, ``epochs`` from the start."""
        ...

    def reached(self, epochs: int) -> bool:
        """Whether the constraint holds after so many epochs; only then may weights be the best."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return the state that a resumed run needs."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state of :meth:`tensors`."""
        ...


class EpochPosition:
    """All state that a step changes: weights, their running mean, the optimiser."""

    def __init__(
        self,
        recipe: Recipe,
        fabric: Fabric,
        constraint: WeightConstraint | None = None,
        *,
        fresh: bool = True,
        groups: int = 1,
    ) -> None:
        o = recipe.optimise
        torch.manual_seed(recipe.seed)
        net = build(recipe.network)
        if fresh:  # a resumed run replaces the initial weights
            initialise(net, recipe.network, lambda: teacher_weights(recipe.distil))
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean = fabric.to_device(copy.deepcopy(self.net).eval())
        self.frozen = freeze(net, recipe.network.frozen_stages)
        self.objective = Objective(
            recipe.generalise, net, lambda logits, labels: losses_of(logits, labels, o), groups
        )
        self.norms = [n for n in self.net.modules() if isinstance(n, nn.BatchNorm2d)]
        self.momentum = [n.momentum or 0.0 for n in self.norms]
        self.wrapped, self.optimiser = fabric.setup(
            self.net, torch.optim.AdamW(parameter_groups(self.net, o), lr=o.learning_rate)
        )
        self.teacher = open_teacher(recipe.distil, recipe.augment.window_px)
        self.constraint = constraint
        if constraint is not None:
            constraint.begin(self)

    def update_norm_momentum(self, steps: float, *, mixed: bool = False) -> None:
        """Use cumulative means for the norms' statistics at first, so that short runs converge.

        At the published momentum of .01 they would still hold a third of their initial value after
        a hundred steps. Batches of mixed pictures are left out, as inference sees none.
        """
        for norm, momentum in zip(self.norms, self.momentum, strict=True):
            norm.momentum = 0.0 if mixed else max(momentum, 1 / (1 + steps))

    def restore_norms(self, batches: Iterable[Tensor]) -> None:
        """Give the norms of weights from a model file the statistics of these inputs."""
        restore_norms(self.net, batches)
        self.mean.load_state_dict(self.net.state_dict())

    def learn(self) -> None:
        """Set the training mode; frozen stages stay as in inference."""
        self.wrapped.train()
        for layer in self.frozen:
            layer.eval()

    def tensors(self) -> dict[str, Tensor]:
        """Return the whole state, by name."""
        optimiser = checkpoint.optimiser_tensors(self.optimiser.optimizer)
        return (
            checkpoint.pack("net", checkpoint.plain(self.net))
            | checkpoint.pack("mean", checkpoint.plain(self.mean))
            | checkpoint.pack("optimiser", optimiser)
            | checkpoint.pack("hold", {} if self.constraint is None else self.constraint.tensors())
            | checkpoint.pack("objective", self.objective.tensors())
        )

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state of :meth:`tensors`."""
        self.net.load_state_dict(checkpoint.unpack("net", tensors))
        self.mean.load_state_dict(checkpoint.unpack("mean", tensors))
        checkpoint.restore_optimiser(
            self.optimiser.optimizer, checkpoint.unpack("optimiser", tensors)
        )
        self.objective.restore(checkpoint.unpack("objective", tensors))
        if self.constraint is not None:
            self.constraint.restore(checkpoint.unpack("hold", tensors))


@torch.no_grad()
def blend(net: nn.Module, initial: Mapping[str, Tensor], share: float) -> nn.Module:
    """Return a copy of a network whose weights and statistics are mixed with initial ones.

    Args:
        net: The trained network.
        initial: State of the initial one, by name.
        share: Share of the initial one, 0 to 1.
    """
    mixed = copy.deepcopy(net)
    for name, tensor in mixed.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(initial[name].to(tensor), share)
    return mixed


def loss_of(logits: Tensor, labels: Tensor, keys: OptimiseKeys) -> Tensor:
    """Return the mean loss of a batch; labels ``[N]``, fake = 1."""
    return losses_of(logits, labels, keys).mean()


def losses_of(logits: Tensor, labels: Tensor, keys: OptimiseKeys) -> Tensor:
    """Return the loss of each picture, ``[N]``; labels ``[N]``, fake = 1."""
    soft = labels * (1 - keys.label_smoothing) + keys.label_smoothing / 2
    if keys.loss == "mse":
        return F.mse_loss(torch.sigmoid(logits), soft, reduction="none")
    return F.binary_cross_entropy_with_logits(logits, soft, reduction="none")


@torch.no_grad()
def average(mean: nn.Module, net: nn.Module, decay: float) -> None:
    """Update the exponential moving average of the weights; statistics are copied."""
    for kept, new in zip(mean.parameters(), net.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
    for held, fresh in zip(mean.buffers(), net.buffers(), strict=True):
        held.copy_(fresh)
