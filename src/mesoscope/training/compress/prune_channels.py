"""Structured pruning: whole channels leave, and the network that is left is smaller.

A channel's importance is how much the loss would change without it, to first order: the sum of
weight × gradient over the weights that scale and shift it, squared, mean over batches (Molchanov
et al., *Importance Estimation for Neural Network Pruning*, CVPR 2019, equations 8 and 9, with the
gate behind the norm). What leaves first has the least importance for the multiply-adds it costs.
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
from mesoscope.training.data.dataset import INPUT_PX, batches, draw, plain_crop
from mesoscope.training.fit.validation import to_input
from mesoscope.training.nets.channels import axes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mesoscope.data.manifest import Sample
    from mesoscope.training.nets import Network
    from mesoscope.training.nets.channels import Place
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import Pixels

BATCHES, BATCH = 32, 32  # that importance is measured on
LEAST = 0.25  # share of a group that stays in any case: an empty layer would cut the network in two


def importance(net: Network, recipe: Recipe, train: Sequence[Sample]) -> dict[str, Tensor]:
    """How much each channel matters, measured on training pictures as inference sees them.

    Args:
        net: Trained; its gradients are used and cleared.
        recipe: Its balance of sources and classes, its seed and its crop.
        train: The train split.

    Returns:
        ``(size,)`` by group, not negative; the loss is the same for all, so groups compare.
    """
    order = draw(train, recipe.data, np.random.default_rng(recipe.seed))
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
    """The channels to keep so that a share of the multiply-adds goes at the least loss.

    Wide groups lose channels by the bundle: processors take 8 or 16 at a time, and a network with
    61 channels is as slow as one with 64.

    Args:
        net: The network.
        worth: What :func:`importance` found.
        share: Of all multiply-adds at 256×256 that is to go.

    Returns:
        Which channels stay, ``(size,) bool`` by group; multiply-adds before and after.

    Raises:
        OptionError: Even the narrowest network that is left has more.
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
            f"--sparsity {share:g} --structured: at most {1 - now / before:.0%} of this network's "
            "multiply-adds can go with whole channels: ask for less"
        )
    return stay, before, now


def bundle_of(size: int) -> int:
    """How many channels leave a group of that size at once."""
    return 16 if size >= 64 else 8 if size >= 16 else 1


def multiply_adds(net: Network) -> int:
    """Of one crop of 256×256, convolutions and dense layers alone."""
    return _multiply_adds(net, _cells(net), {})


def _labelled(stacks: Iterator[Pixels], labels: Tensor) -> Iterator[tuple[Pixels, Tensor]]:
    at = 0
    for pixels in stacks:
        yield pixels, labels[at : at + len(pixels)]
        at += len(pixels)


def _change(net: Network, place: Place, size: int) -> Tensor:
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
    """How many cells each weight is applied to, by the weight's name."""
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
