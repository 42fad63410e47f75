"""Channel groups of a network for structured pruning, and their removal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mesoscope.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesoscope.training.nets.network import Network

    Axes = dict[tuple[str, int], Tensor]  # (tensor, axis) → mask of entries to keep


@dataclass(frozen=True, slots=True)
class ChannelPlace:
    """Position of a group's channels in a tensor.

    Attributes:
        tensor: Name in the network's state dict.
        axis: Axis of the channels.
        start: Index of the first entry; not 0 for concatenated branches.
        each: Entries per channel; the number of positions after flattening.
    """

    tensor: str
    axis: int
    start: int = 0
    each: int = 1


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Channels that are removed together from every tensor that writes or reads them.

    Attributes:
        name: Name in the recipe's ``network.channels``.
        size: Number of channels.
        gate: Weights that scale and shift a whole channel: those of its norm, or its own filter and
            bias. The sum of weight × gradient over them is, to first order, the change of the loss
            when the channel is removed.
        places: All tensors that hold the channels.
    """

    name: str
    size: int
    gate: tuple[ChannelPlace, ...]
    places: tuple[ChannelPlace, ...]


def width(net: nn.Module, layer: str) -> int:
    """Return the number of output channels of a layer."""
    return net.get_parameter(f"{layer}.weight").shape[0]


def layer_out(name: str) -> tuple[ChannelPlace, ...]:
    """Return weight and bias of a layer that writes the channels."""
    return ChannelPlace(f"{name}.weight", 0), ChannelPlace(f"{name}.bias", 0)


def norm_gate(name: str, start: int = 0) -> tuple[ChannelPlace, ...]:
    """Return the scale and shift of the channels in a norm."""
    return ChannelPlace(f"{name}.weight", 0, start), ChannelPlace(f"{name}.bias", 0, start)


def norm_all(name: str, start: int = 0) -> tuple[ChannelPlace, ...]:
    """Return all tensors of a norm, statistics included."""
    statistics = (
        ChannelPlace(f"{name}.{part}", 0, start) for part in ("running_mean", "running_var")
    )
    return *norm_gate(name, start), *statistics


def readers(names: Sequence[str], start: int = 0, each: int = 1) -> tuple[ChannelPlace, ...]:
    """Return the weights of layers that read the channels."""
    return tuple(ChannelPlace(f"{name}.weight", 1, start, each) for name in names)


def narrow(net: Network, channels: Mapping[str, int]) -> None:
    """Shrink a network in place, so that the weights of a pruned one fit.

    Args:
        net: A fresh network; the first channels of each group are kept.
        channels: Number of channels to keep, by group; groups not named stay whole.

    Raises:
        RecipeError: The group is unknown, or the number is out of range.
    """
    groups = {group.name: group for group in net.channel_groups()}
    for name, count in channels.items():
        if name not in groups:
            raise RecipeError(
                f"network.channels: no channels {name!r}: there are {', '.join(groups)}"
            )
        if not 1 <= count <= groups[name].size:
            raise RecipeError(
                f"network.channels.{name} must lie in 1..{groups[name].size}, got {count}"
            )
    select(net, {name: torch.arange(groups[name].size) < n for name, n in channels.items()})


def select(net: Network, stay: Mapping[str, Tensor]) -> None:
    """Keep some channels of a network, in place: weights, norms and their statistics.

    Args:
        net: The network.
        stay: Masks of channels to keep by group, ``(size,) bool``.
    """
    touched = set()
    for (tensor, axis), kept in axes(net, stay).items():
        if bool(kept.all()):
            continue
        owner, _, name = tensor.rpartition(".")
        module = net.get_submodule(owner)
        old = getattr(module, name)
        new = old.detach().index_select(axis, kept.nonzero()[:, 0].to(old.device)).clone()
        setattr(module, name, nn.Parameter(new) if isinstance(old, nn.Parameter) else new)
        touched.add(module)
    for module in touched:
        _recount(module)


def axes(net: Network, stay: Mapping[str, Tensor]) -> Axes:
    """Return masks of the entries to keep, by tensor and axis.

    Branches are concatenated along one axis, so all groups are collected before cutting.
    """
    state = net.state_dict()
    found: Axes = {}
    for group in net.channel_groups():
        kept = stay.get(group.name, torch.ones(group.size, dtype=torch.bool))
        for place in group.places:
            length = state[place.tensor].shape[place.axis]
            axis = found.setdefault(
                (place.tensor, place.axis), torch.ones(length, dtype=torch.bool)
            )
            axis[place.start : place.start + group.size * place.each] = kept.repeat_interleave(
                place.each
            )
    return found


def _recount(module: nn.Module) -> None:
    """Update a layer's size attributes from its weights."""
    if isinstance(module, nn.Conv2d):
        module.out_channels = module.weight.shape[0]
        if module.groups > 1:  # depthwise: one filter per channel
            module.groups = module.in_channels = module.out_channels
        else:
            module.in_channels = module.weight.shape[1]
    elif isinstance(module, nn.BatchNorm2d):
        module.num_features = module.weight.shape[0]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
