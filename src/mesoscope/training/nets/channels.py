"""Channels that can leave a network: which tensors hold them, and the network without them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mesoscope.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesoscope.training.nets.network import Network

    Axes = dict[tuple[str, int], Tensor]  # (tensor, axis) → which of its entries stay, bool


@dataclass(frozen=True, slots=True)
class ChannelPlace:
    """Where a tensor holds the channels of a group.

    Attributes:
        tensor: Its name in the network's state.
        axis: Along which the channels lie.
        start: Index of the first entry there; not 0 where branches lie side by side.
        each: Entries a channel; the number of cells where maps were flattened.
    """

    tensor: str
    axis: int
    start: int = 0
    each: int = 1


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Channels that come and go together in every tensor that writes or reads them.

    Attributes:
        name: As in the recipe's ``network.channels``.
        size: How many channels there are.
        gate: Weights that scale and shift a channel as a whole: those of the norm behind it, or
            its own filter and bias. The sum of weight × gradient over them is, to first order,
            how much the loss changes when the channel is shut.
        places: All tensors that hold the channels.
    """

    name: str
    size: int
    gate: tuple[ChannelPlace, ...]
    places: tuple[ChannelPlace, ...]


def width(net: nn.Module, layer: str) -> int:
    """How many channels a layer writes."""
    return net.get_parameter(f"{layer}.weight").shape[0]


def layer_out(name: str) -> tuple[ChannelPlace, ...]:
    """Weight and bias of a layer that writes the channels."""
    return ChannelPlace(f"{name}.weight", 0), ChannelPlace(f"{name}.bias", 0)


def norm_gate(name: str, start: int = 0) -> tuple[ChannelPlace, ...]:
    """What scales and shifts the channels in a norm."""
    return ChannelPlace(f"{name}.weight", 0, start), ChannelPlace(f"{name}.bias", 0, start)


def norm_all(name: str, start: int = 0) -> tuple[ChannelPlace, ...]:
    """The channels in a norm, its statistics included."""
    statistics = (
        ChannelPlace(f"{name}.{part}", 0, start) for part in ("running_mean", "running_var")
    )
    return *norm_gate(name, start), *statistics


def readers(names: Sequence[str], start: int = 0, each: int = 1) -> tuple[ChannelPlace, ...]:
    """Weights of the layers that read the channels."""
    return tuple(ChannelPlace(f"{name}.weight", 1, start, each) for name in names)


def narrow(net: Network, channels: Mapping[str, int]) -> None:
    """Make a network smaller in place, so that weights of a pruned one fit into it.

    Args:
        net: Freshly built; of each group the first channels stay.
        channels: How many channels of a group stay; groups that are not named stay whole.

    Raises:
        RecipeError: No group of that name, or a number that it cannot have.
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
        stay: By group, which channels stay: ``(size,) bool``.
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
    """Which entries stay along each axis of each tensor that holds channels.

    Branches write side by side into one axis, so all groups are gathered before anything is cut.
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
    """Let a layer's own numbers follow its weights."""
    if isinstance(module, nn.Conv2d):
        module.out_channels = module.weight.shape[0]
        if module.groups > 1:  # depthwise: a filter a channel
            module.groups = module.in_channels = module.out_channels
        else:
            module.in_channels = module.weight.shape[1]
    elif isinstance(module, nn.BatchNorm2d):
        module.num_features = module.weight.shape[0]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
