"""Initial weights from a model file of mesoscope, such as the shipped one.

An exported graph has no norms: each is folded into the convolution before it. A network that trains
needs them, so they are put back: :func:`load` leaves the folded filters and lets the norms only add
the bias, and :func:`restore_norms` gives them the statistics of pictures. The outputs in inference
stay the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import torch
from torch import Tensor, nn

from mesoscope.errors import ModelError, RecipeError
from mesoscope.models.file import find_model, read_card, shipped
from mesoscope.training.export.graph import constants
from mesoscope.training.export.weight_bits import in_32_bits
from mesoscope.training.nets.meso4_ira import Meso4IRA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from mesoscope.training.nets.network import Network

PIXEL_MAX = 255  # the exported stem takes pixels of 0..255, the network 0..1


def is_model(initial: str) -> bool:
    """Whether ``network.initial`` names a model file, by path or as a shipped model."""
    return initial.endswith(".onnx") or (initial in shipped() and not Path(initial).is_dir())


def load(network: Network, initial: str) -> None:
    """Load the weights of a model file; norms add a bias and do nothing else.

    Of an ensemble, it takes the first member of the network's shape.

    Args:
        network: The network; changed in place.
        initial: Path of the model file, or the name of a shipped model.

    Raises:
        RecipeError: There is no such file, or it holds no network of this architecture and shape.
    """
    if not isinstance(network, Meso4IRA):
        raise RecipeError(
            f"network.initial = {initial!r}: only a model of architecture meso4_ira is taken from "
            "a file: take a run folder for the others"
        )
    try:
        path = find_model(initial)
        card = read_card(path)
        known = constants(in_32_bits(onnx.load(path)))
    except (ModelError, OSError, ValueError) as error:
        raise RecipeError(f"network.initial = {initial!r}: {error}") from error
    except Exception as error:  # protobuf's DecodeError, which has no public name
        raise RecipeError(f"network.initial = {initial!r}: not a model file: {error}") from error
    if card.quantisation:
        raise RecipeError(
            f"network.initial = {initial!r} computes in 8-bit integers, which cannot be trained: "
            f"give its original, {card.original}"
        )
    first_layer = f"net.{next(iter(network.state_dict()))}"
    members = [name.removesuffix(first_layer) for name in known if name.endswith(first_layer)]
    missing = ""
    for prefix in members:
        state, missing = _state(network, known, prefix)
        if not missing:
            network.load_state_dict(state)
            return
    if len(members) > 1:
        raise RecipeError(
            f"network.initial = {initial!r} is an ensemble of {len(members)} networks, and none "
            "has this shape: take the [network] section of the recipe that one was trained with"
        )
    raise RecipeError(
        f"network.initial = {initial!r} holds a network of another shape, from "
        f"{missing or first_layer} on: take the [network] section of the recipe that it was "
        "trained with"
    )


def _state(
    network: Network, known: Mapping[str, NDArray[np.generic]], prefix: str
) -> tuple[dict[str, Tensor], str]:
    """Return the weights with a prefix, and the name of the first that is missing or unlike."""
    state: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        layer, _, part = name.rpartition(".")
        if not layer.endswith("norm"):
            found = known.get(f"{prefix}net.{name}")
        elif part == "bias":
            found = known.get(f"{prefix}net.{layer.removesuffix('_norm')}.weight_bias")
        else:
            found = _neutral(tensor, part, network.get_submodule(layer)).numpy()
        if found is None or tuple(found.shape) != tuple(tensor.shape):
            return state, name
        value = torch.tensor(found, dtype=tensor.dtype)
        state[name] = value * PIXEL_MAX if name == "stem.weight" else value
    return state, ""


def _neutral(tensor: Tensor, part: str, norm: nn.Module) -> Tensor:
    """Return the value with which a norm does not scale or shift."""
    if part == "running_var":
        return torch.full_like(tensor, 1 - float(norm.eps))  # type: ignore[arg-type]
    return torch.ones_like(tensor) if part == "weight" else torch.zeros_like(tensor)


@torch.no_grad()
def restore_norms(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give each norm the statistics of its input, and weights that keep its output as it is.

    A norm ``y = k · (x − m₀) + b`` becomes the equal ``y = k · s · (x − m) / s + b + k · (m − m₀)``
    with the mean ``m`` and the deviation ``s`` of its input.

    Args:
        network: A network after :func:`load`; changed in place.
        batches: Inputs, each ``(N, 3, S, S) float32`` in 0..1.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms}

    def add(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].double().transpose(0, 1).flatten(1).cpu()
        count = torch.full((len(x),), x.shape[1], dtype=torch.float64)
        sums[norm] += torch.stack([x.sum(1), (x * x).sum(1), count])  # type: ignore[index]

    hooks = [norm.register_forward_pre_hook(add) for norm in norms]
    training = network.training
    try:
        network.eval()
        for batch in batches:
            network(batch)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    for norm in norms:
        total, squares, count = sums[norm]
        mean = total / count
        spread = (squares / count - mean**2).clamp_min(0)
        centre, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        scale = norm.weight / (variance + norm.eps).sqrt()
        norm.bias.add_(scale * (mean.to(scale) - centre))
        norm.weight.copy_(scale * (spread + norm.eps).sqrt().to(scale))
        centre.copy_(mean)
        variance.copy_(spread)
