"""Unstructured and structured pruning: of single weights, and of whole channels.

Han et al., *Learning both Weights and Connections for Efficient Neural Networks*, NIPS 2015, with
one ranking over all layers; the gradual schedule of Zhu & Gupta, *To prune, or not to prune*, 2017.

A channel's importance is the change of the loss without it, to first order: the sum of weight ×
gradient over the weights that scale and shift it, squared, mean over batches (Molchanov et al.,
*Importance Estimation for Neural Network Pruning*, CVPR 2019, equations 8 and 9, with the gate
after the norm). Channels with the least importance per multiply-add are removed first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mesoscope.errors import OptionError
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.training.data.dataset import INPUT_PX, batches, draw_epoch, plain_crop
from mesoscope.training.fit.distil import to_input
from mesoscope.training.nets.channels import axes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mesoscope.data.manifest import Sample
    from mesoscope.training.fit.position import EpochPosition
    from mesoscope.training.nets import Network
    from mesoscope.training.nets.channels import ChannelPlace
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import Json, Pixels

    Masks = dict[str, Tensor]  # by the name of a weight, True where it is kept


RAMP = 0.5  # share of the fine-tuning in which a gradual schedule reaches its sparsity
LEAST_KEPT = 0.5  # of the mean share that layers keep: the dense layer's weights are small
RANKINGS = 100  # during the ramp; ranking 300,000 weights takes a few hundredths of a second


def prunable(net: nn.Module) -> dict[str, Tensor]:
    """Return the weights of all convolutions and dense layers, by name; no biases or norms."""
    kinds = nn.Conv1d | nn.Conv2d | nn.Linear
    layers = ((name, layer) for name, layer in net.named_modules() if isinstance(layer, kinds))
    return {f"{name}.weight": layer.weight for name, layer in layers}


def smallest(weights: Mapping[str, Tensor], held: Mapping[str, Tensor], zeros: int) -> Masks:
    """Return masks that keep all but the smallest magnitudes, ranked over all layers together.

    Each layer keeps at least half the share that it would keep under uniform pruning. Without this
    limit, a layer with small weights, such as one after a mean over positions, is emptied long
    before the others, and an empty layer passes nothing on (Tanaka et al., *Pruning neural networks
    without any data by iteratively conserving synaptic flow*, NeurIPS 2020, section 3, call it the
    collapse of a layer).

    Args:
        weights: By name.
        held: Masks of the same names and shapes; weights that they remove stay removed.
        zeros: Number of weights to remove in all. Exact: ties are broken in the order of the
            layers.

    Returns:
        ``True`` where a weight stays, by name.
    """
    kept = LEAST_KEPT * (1 - zeros / sum(w.numel() for w in weights.values()))
    ranks = torch.cat([_ranks(w, held[name], kept) for name, w in weights.items()])
    stays = torch.ones(len(ranks), dtype=torch.bool, device=ranks.device)
    stays[torch.sort(ranks, stable=True).indices[:zeros]] = False
    parts = torch.split(stays, [w.numel() for w in weights.values()])
    return {
        name: part.reshape(w.shape) for (name, w), part in zip(weights.items(), parts, strict=True)
    }


def _ranks(weight: Tensor, held: Tensor, kept: float) -> Tensor:
    """Magnitudes of one layer, ``(n,)``: −1 for removed weights, infinite for protected ones."""
    ranks = torch.where(held, weight.detach().abs(), -1.0).flatten()
    stays = ranks.topk(min(math.ceil(kept * len(ranks)), int(held.sum()))).indices
    ranks[stays] = math.inf
    return ranks


def cubic(first: float, last: float, through: float) -> float:
    """Return the sparsity between ``first`` and ``last`` (Zhu & Gupta 2017, equation 1).

    It rises quickly at first and slowly at the end.

    Args:
        first: Initial sparsity.
        last: Final sparsity.
        through: Share of the schedule, clipped to 0..1.
    """
    left = 1 - min(max(through, 0.0), 1.0)
    return last + (first - last) * left**3


class WeightPruning:
    """Apply pruning masks to a network during fine-tuning.

    Implements :class:`mesoscope.training.fit.loop.WeightConstraint`. Masks only grow: a removed
    weight stays removed. They are applied after every step, to the network and to the running mean
    of its weights.

    Args:
        start: Initial weights and statistics.
        sparsity: Share of the prunable weights that are zero at the end.
        ramp_epochs: Epochs until then; 0 applies the whole sparsity at once.
    """

    def __init__(self, start: Mapping[str, Tensor], sparsity: float, ramp_epochs: float) -> None:
        self._start = start
        self._sparsity, self._ramp = sparsity, ramp_epochs
        self._first = 0.0
        self.masks: Masks = {}

    def begin(self, at: EpochPosition) -> None:
        """Load the initial weights; zeros in them count and stay."""
        self.put_in(at.net)
        at.mean.load_state_dict(at.net.state_dict())

    def put_in(self, net: nn.Module) -> None:
        """Load the initial weights into a network, without those that are removed at once."""
        net.load_state_dict(self._start)
        weights = prunable(net)
        self.masks = {name: w.detach() != 0 for name, w in weights.items()}
        self._first = min(share_of_zeros(self.masks), self._sparsity)
        self._rank(weights, 0.0)
        self._apply(net)

    def step(self, at: EpochPosition, epochs: float) -> None:
        """Update the masks by the schedule, and apply them."""
        if self._ramp:
            self._rank(prunable(at.net), epochs / self._ramp)
        self._apply(at.net)
        self._apply(at.mean)

    def reached(self, epochs: int) -> bool:
        """Whether the target sparsity is reached."""
        return epochs >= self._ramp

    def tensors(self) -> dict[str, Tensor]:
        """Return the masks, and the sparsity of the initial weights."""
        return {**self.masks, "first": torch.tensor(self._first, dtype=torch.float64)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what :meth:`tensors` gave."""
        self._first = float(tensors["first"])
        self.masks = {name: tensors[name].to(device=old.device) for name, old in self.masks.items()}

    def _rank(self, weights: Mapping[str, Tensor], through: float) -> None:
        through = 1.0 if not self._ramp else int(through * RANKINGS) / RANKINGS
        share = cubic(self._first, self._sparsity, through)
        zeros = round(share * sum(w.numel() for w in weights.values()))
        if zeros > sum(int((~mask).sum()) for mask in self.masks.values()):
            self.masks = smallest(weights, self.masks, zeros)

    @torch.no_grad()
    def _apply(self, net: nn.Module) -> None:
        for name, weight in prunable(net).items():
            weight.masked_fill_(~self.masks[name], 0.0)  # a product would leave −0


def share_of_zeros(masks: Mapping[str, Tensor]) -> float:
    """Return the share of all weights that masks remove."""
    total = sum(mask.numel() for mask in masks.values())
    return sum(int((~mask).sum()) for mask in masks.values()) / total


def sparsity_of(net: nn.Module) -> dict[str, Json]:
    """Return the sparsity of convolutions and dense layers, overall and by layer.

    Returns:
        ``overall`` (share), ``weights`` and ``zeros`` (numbers), ``by_layer`` (share by name).
    """
    weights = prunable(net)
    zeros = {name: int((w == 0).sum()) for name, w in weights.items()}
    total = sum(w.numel() for w in weights.values())
    by_layer: dict[str, Json] = {
        name.removesuffix(".weight"): round(zeros[name] / w.numel(), 4)
        for name, w in weights.items()
    }
    return {
        "overall": round(sum(zeros.values()) / total, 6),
        "weights": total,
        "zeros": sum(zeros.values()),
        "by_layer": by_layer,
    }


BATCHES, BATCH = 32, 32  # crops on which importance is measured
LEAST = 0.25  # of a group is kept in any case: an empty layer would cut the network in two


def importance(net: Network, recipe: Recipe, train: Sequence[Sample]) -> dict[str, Tensor]:
    """Measure how much each channel matters, on training pictures as inference sees them.

    Args:
        net: Trained network; its gradients are used and cleared.
        recipe: Gives the balance of sources and classes, the seed and the crop.
        train: The train split.

    Returns:
        ``(size,)`` by group, not negative; the loss is the same for all, so groups compare.
    """
    order = draw_epoch(train, recipe.data, np.random.default_rng(recipe.seed))
    samples = [train[i] for i in order[: BATCHES * BATCH]]
    crops = map_ordered(lambda s: plain_crop(s, recipe.data.crop_margin), samples, threads=cores())
    labels = torch.tensor([float(sample.label) for sample in samples])
    groups = net.eval().channel_groups()
    total = {group.name: torch.zeros(group.size) for group in groups}
    seen = 0
    for pixels, y in _labelled(batches(crops, BATCH), labels):
        net.zero_grad()
        logits = net(to_input(torch.from_numpy(pixels)))  # [n, 3, 256, 256] → [n]
        torch.autograd.backward(F.binary_cross_entropy_with_logits(logits, y))
        for group in groups:
            change = sum(_change(net, place, group.size) for place in group.gate)
            total[group.name] += torch.as_tensor(change) ** 2
        seen += 1
    net.zero_grad()
    return {name: value / seen for name, value in total.items()}


def choose(
    net: Network, worth: Mapping[str, Tensor], share: float
) -> tuple[dict[str, Tensor], int, int]:
    """Choose the channels to keep, so that a share of the multiply-adds goes at the least loss.

    Wide groups lose channels in bundles: processors compute 8 or 16 at a time, and a network with
    61 channels is as slow as one with 64.

    Args:
        net: The network.
        worth: Result of :func:`importance`.
        share: Share of all multiply-adds at 256×256 to remove.

    Returns:
        Masks of the kept channels, ``(size,) bool`` by group; multiply-adds before and after.

    Raises:
        OptionError: The narrowest possible network has more multiply-adds.
    """
    cells = _cells(net)
    stay = {g.name: torch.ones(g.size, dtype=torch.bool) for g in net.channel_groups()}
    before = now = _multiply_adds(net, cells, stay)
    bundles = []
    for name, values in worth.items():
        size = bundle_of(len(values))
        least = max(1, math.ceil(LEAST * len(values)))
        order = torch.sort(values, stable=True).indices[: len(values) - least]
        for rank, bundle in enumerate(b for b in torch.split(order, size) if len(b) == size):
            without = {**stay, name: stay[name].clone()}
            without[name][bundle] = False
            saved = before - _multiply_adds(net, cells, without)
            bundles.append((float(values[bundle].sum()) / max(saved, 1), name, rank, bundle))
    for _, name, _, bundle in sorted(bundles, key=lambda one: one[:3]):
        if now <= (1 - share) * before:
            break
        stay[name][bundle] = False
        now = _multiply_adds(net, cells, stay)
    if now > (1 - share) * before:
        raise OptionError(
            f"`sparsity={share:g}` with `structured`: at most {1 - now / before:.0%} of this "
            "network's multiply-adds can go with whole channels: ask for less"
        )
    return stay, before, now


def bundle_of(size: int) -> int:
    """Return how many channels a group of that size loses at once."""
    return 16 if size >= 64 else 8 if size >= 16 else 1


def multiply_adds(net: Network) -> int:
    """Return the multiply-adds of one crop of 256×256, in convolutions and dense layers."""
    return _multiply_adds(net, _cells(net), {})


def _labelled(stacks: Iterator[Pixels], labels: Tensor) -> Iterator[tuple[Pixels, Tensor]]:
    at = 0
    for pixels in stacks:
        yield pixels, labels[at : at + len(pixels)]
        at += len(pixels)


def _change(net: Network, place: ChannelPlace, size: int) -> Tensor:
    """Weight × gradient, summed over all but the channels: ``(size,)``."""
    weight = net.get_parameter(place.tensor)
    if weight.grad is None:
        return torch.zeros(size)
    product = (
        (weight.detach() * weight.grad).flatten(1)
        if weight.ndim > 1
        else (weight.detach() * weight.grad)[:, None]
    )
    return product.sum(1)[place.start : place.start + size]


def _cells(net: Network) -> dict[str, int]:
    """Return how many output positions each weight is applied to, by the weight's name."""
    found: dict[str, int] = {}
    hooks = []
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):

            def count(
                module: nn.Module, _inputs: object, output: Tensor, key: str = f"{name}.weight"
            ) -> None:
                dense = isinstance(module, nn.Linear)
                found[key] = 1 if dense else math.prod(output.shape[2:])

            hooks.append(layer.register_forward_hook(count))
    device = next(net.parameters()).device
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, 3, INPUT_PX, INPUT_PX, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _multiply_adds(net: Network, cells: Mapping[str, int], stay: Mapping[str, Tensor]) -> int:
    lengths = {place: int(kept.sum()) for place, kept in axes(net, stay).items()}
    total = 0
    for name, count in cells.items():
        shape = net.get_parameter(name).shape
        total += count * math.prod(
            lengths.get((name, axis), length) for axis, length in enumerate(shape)
        )
    return total
