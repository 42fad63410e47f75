"""The networks, one file each, by the name that recipes and cards use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.errors import RecipeError
from mesoscope.training.nets import imagenet
from mesoscope.training.nets.channels import narrow
from mesoscope.training.nets.meso4 import Meso4
from mesoscope.training.nets.meso4_ira import Meso4IRA
from mesoscope.training.nets.mesoinception4 import MesoInception4
from mesoscope.training.nets.network import Network
from mesoscope.training.recipe import NetworkKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

__all__ = ["NETWORKS", "Network", "begin", "build", "parameter_count"]

NETWORKS: dict[str, Callable[[NetworkKeys], Network]] = {
    "meso4": lambda keys: Meso4(dropout=keys.dropout),
    "mesoinception4": lambda keys: MesoInception4(dropout=keys.dropout),
    "meso4_ira": Meso4IRA,
}


def build(network: str | NetworkKeys) -> Network:
    """Make a network with fresh weights.

    Args:
        network: Its recipe keys, or the name of an architecture with everything else as usual.

    Raises:
        RecipeError: No network of that name, or widths that it does not take.
    """
    keys = NetworkKeys(architecture=network) if isinstance(network, str) else network
    if keys.architecture not in NETWORKS:
        raise RecipeError(f"no network {keys.architecture!r}: there are {', '.join(NETWORKS)}")
    made = NETWORKS[keys.architecture](keys)
    narrow(made, keys.channels)
    return made


def begin(network: Network, keys: NetworkKeys) -> None:
    """Give a fresh network what its recipe lets it begin with.

    Raises:
        RecipeError: ImageNet's filters are asked for, and their package is missing or the network
            has no place for them.
    """
    if keys.initial == "imagenet":
        if not isinstance(network, Meso4IRA):
            raise RecipeError("network.initial = 'imagenet' is for the architecture meso4_ira")
        imagenet.load(network, imagenet.weights())


def parameter_count(net: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
