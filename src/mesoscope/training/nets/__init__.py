"""Network architectures, one file each, by the names in recipes and cards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.errors import RecipeError, RunError
from mesoscope.training.fit import checkpoint
from mesoscope.training.nets import imagenet, model_file
from mesoscope.training.nets.channels import narrow
from mesoscope.training.nets.meso4_ira import Meso4IRA
from mesoscope.training.nets.mesonet import Meso4, MesoInception4
from mesoscope.training.nets.network import Network
from mesoscope.training.recipe.keys import NetworkKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

__all__ = ["NETWORKS", "Network", "build", "check_initial", "initialise", "parameter_count"]

NETWORKS: dict[str, Callable[[NetworkKeys], Network]] = {
    "meso4": lambda keys: Meso4(dropout=keys.dropout),
    "mesoinception4": lambda keys: MesoInception4(dropout=keys.dropout),
    "meso4_ira": Meso4IRA,
}


def build(network: str | NetworkKeys) -> Network:
    """Build a network with fresh weights.

    Args:
        network: Recipe keys, or the name of an architecture with default keys.

    Raises:
        RecipeError: The architecture is unknown, or does not take these widths.
    """
    keys = NetworkKeys(architecture=network) if isinstance(network, str) else network
    if keys.architecture not in NETWORKS:
        raise RecipeError(f"no network {keys.architecture!r}: there are {', '.join(NETWORKS)}")
    made = NETWORKS[keys.architecture](keys)
    narrow(made, keys.channels)
    return made


def initialise(
    network: Network, keys: NetworkKeys, teacher: Callable[[], Mapping[str, Tensor]]
) -> None:
    """Initialise a fresh network as its recipe says.

    Args:
        network: The network; changed in place.
        keys: The network's recipe keys.
        teacher: Returns the state of the recipe's teacher, for ``initial = "teacher"``.

    Raises:
        RecipeError: The pretrained filters are not available or do not fit the network; or the run
            folder or model file holds no network of this shape.
    """
    if keys.initial == "random":
        return
    if keys.initial not in ("imagenet", "teacher"):
        _load(network, keys.initial)
        return
    if not isinstance(network, Meso4IRA):
        raise RecipeError(f"network.initial = {keys.initial!r} is for the architecture meso4_ira")
    own = keys.initial == "teacher"
    tensors = imagenet.renamed(teacher()) if own else imagenet.weights()
    imagenet.load(network, tensors, scaled=not own)


def check_initial(keys: NetworkKeys) -> None:
    """Check the run folder or model file of initial weights, before any picture is read.

    Raises:
        RecipeError: It holds no network of this shape.
    """
    if keys.initial not in ("random", "imagenet", "teacher"):
        _load(build(keys), keys.initial)


def _load(network: Network, initial: str) -> None:
    if model_file.is_model(initial):
        model_file.load(network, initial)
    else:
        _load_run(network, Path(initial))


def _load_run(network: Network, run: Path) -> None:
    """Load the best weights of a run with a network of the same shape."""
    try:
        weights = checkpoint.best_weights(run)
    except RunError as error:
        raise RecipeError(
            f"network.initial = {str(run)!r} is neither 'random', 'imagenet' or 'teacher', a "
            "model, nor a run folder with checkpoints/best.safetensors: mend it, or train that run "
            "first"
        ) from error
    here = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    there = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    other = sorted(n for n in here.keys() | there.keys() if here.get(n) != there.get(n))
    if other:
        raise RecipeError(
            f"network.initial: {run} holds a network of another shape, from {other[0]} on: take "
            f"the [network] section of {run / 'recipe.toml'}"
        )
    network.load_state_dict(weights)


def parameter_count(net: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
