"""Import the MesoNet authors' Keras weights as a model file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import h5py
import numpy as np
import torch

from mesoscope.errors import WeightsError
from mesoscope.errors.failures import cause
from mesoscope.models.added import name_of_model, refuse_model_file
from mesoscope.training.export.onnx_export import export
from mesoscope.training.nets import NETWORKS, build
from mesoscope.types import Calibration, ModelCard, Thresholds
from mesoscope.types.names import PUBLISHED

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from mesoscope.training.nets import Network
    from mesoscope.types import Pixels

    Layer = dict[str, NDArray[np.float32]]

__all__ = ["import_keras", "read_keras"]

LICENCE = "Apache-2.0, copyright 2018 Darius Afchar et al."
TRAINING_DATA = (
    "As stated by the authors (Afchar et al., WIFS 2018): faces from forged and real videos; files "
    "named DF: their Deepfake set, files named F2F: Face2Face of FaceForensics."
)
NOISE_CROPS = 4


def import_keras(
    file: Path, architecture: str, out: Path, *, name: str | None = None, force: bool = False
) -> ModelCard:
    """Convert the authors' weights to a model file.

    Their output is the probability of real; the model's ``p_fake`` is one minus that. Nothing is
    written where the file does not hold the network asked for.

    Args:
        file: The ``.h5`` file.
        architecture: Network in the file: ``meso4`` or ``mesoinception4``.
        out: The model file to write.
        name: Name in the model's card; the stem of ``out`` where ``None``.
        force: Replace ``out`` where it exists.

    Returns:
        The card as written to the file.

    Raises:
        WeightsError: The file does not hold that network.
        ModelMismatch: The exported file does not answer as torch does.
        OptionError: ``out`` or ``name`` is not valid.
        OutputError: The file cannot be written.
    """
    refuse_model_file(out, force=force)
    called = name_of_model(name, out)
    card = ModelCard(
        name=called,
        architecture=architecture,
        thresholds=Thresholds(0.5, 0.5, "the authors' own: one half"),
        training_data=TRAINING_DATA,
        licence=LICENCE,
        source=(
            f"{file.name} of DariusAf/MesoNet: the MesoNet authors' weights, unchanged but for the "
            "output, which is turned round to mean fake"
        ),
    )
    return export(read_keras(file, architecture), out, card, Calibration(), check_crops=_noise())


def _noise() -> Pixels:
    """Return seeded noise of four strengths, as check crops that need no face.

    The exporter also compares on its four smooth check pictures. Together they drive the network
    through dark, bright, flat and rough input. A training run compares on faces.
    """
    random = np.random.default_rng(2018)
    noise = random.normal(0.0, 1.0, (NOISE_CROPS, 256, 256, 3))
    strength = np.array([8.0, 24.0, 64.0, 128.0])[:, None, None, None]
    return np.clip(128 + strength * noise, 0, 255).astype(np.uint8)


ARRAYS = {
    "conv2d": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "dense": ("kernel", "bias"),
}
_BRANCHES = ("a1", "b1", "b2", "c1", "c2", "d1", "d2")  # in the order of the authors' code
_CONVOLUTIONS = {
    "meso4": [f"block{i}.convolution" for i in (1, 2, 3, 4)],
    "mesoinception4": [
        *(f"block{i}.{branch}" for i in (1, 2) for branch in _BRANCHES),
        "block3.convolution",
        "block4.convolution",
    ],
}
_NORMS = [f"block{i}.norm" for i in (1, 2, 3, 4)]
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_keras(path: Path, architecture: str) -> Network:
    """Read a Keras weight file into a network, and negate its output.

    Kernels are transposed from (height, width, in, out) to (out, in, height, width). Keras flattens
    height, width, channel, and torch channel, height, width, so the first dense layer's inputs are
    reordered. The authors' output is the probability of *real*, ``sigmoid(z)``; as ``1 − sigmoid(z)
    = sigmoid(−z)``, the last layer's weights and bias change sign.

    Args:
        path: An ``.h5`` file by ``save_weights`` or ``save`` of Keras 2.
        architecture: ``meso4`` or ``mesoinception4``.

    Returns:
        The network in evaluation mode.

    Raises:
        WeightsError: The file is damaged or holds another network, a layer is missing or surplus,
            or shapes or values are not valid.
    """
    if architecture not in NETWORKS:
        raise WeightsError(f"no network {architecture!r}: there are {', '.join(NETWORKS)}")
    _refuse_other_formats(path)
    try:
        with h5py.File(path, "r") as file:
            layers = _read_layers(file, path, architecture)
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        # h5py raises each of these on damaged files; its messages may span lines.
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path}: truncated or damaged: {reason}: download it again") from error
    net = build(architecture).eval()
    net.load_state_dict(_state(layers, architecture))
    return net


def _refuse_other_formats(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read: {cause(error)}") from error
    if start.startswith(_HDF5):
        return
    if start[:1] == b"\x80" and len(start) > 1 and start[1] <= 5:  # pickle protocols
        what = "a pickle: a pickle executes code when read, so it is refused"
    elif start.startswith(b"PK"):
        what = "a zip archive, as .keras and torch's files are: save the weights as HDF5 (.h5)"
    elif not start:
        what = "an empty file: download it again"
    else:
        what = "not an HDF5 file: give the .h5 that Keras wrote"
    raise WeightsError(f"{path}: {what}")


def _read_layers(file: h5py.File, path: Path, architecture: str) -> dict[str, list[Layer]]:
    """Return arrays by kind of layer, each kind in the order of creation."""
    root = file.get("model_weights", file)
    if "layer_names" not in root.attrs:
        raise WeightsError(
            f"{path}: HDF5, but not as Keras 2 writes weights (no layer_names): "
            "save it with save_weights of Keras 2"
        )
    groups: dict[str, list[tuple[int, str]]] = {kind: [] for kind in ARRAYS}
    for name in (_text(n) for n in root.attrs["layer_names"]):
        if len(root[name].attrs.get("weight_names", ())) == 0:
            continue  # pooling, dropout, flatten
        match = re.fullmatch(r"(conv2d|batch_normalization|dense)(?:_(\d+))?", name)
        if not match:
            raise WeightsError(f"{path}: layer {name!r} is in no network of the MesoNet family")
        groups[match[1]].append((int(match[2] or 0), name))
    _refuse_other_networks({kind: len(found) for kind, found in groups.items()}, path, architecture)
    shapes = _keras_shapes(architecture)
    return {
        kind: [
            _read_layer(root[name], name, kind, shapes[kind][i], path)
            for i, (_, name) in enumerate(sorted(found))
        ]
        for kind, found in groups.items()
    }


def _refuse_other_networks(found: dict[str, int], path: Path, architecture: str) -> None:
    for known, names in _CONVOLUTIONS.items():
        if found == {"conv2d": len(names), "batch_normalization": 4, "dense": 2}:
            if known == architecture:
                return
            raise WeightsError(
                f"{path}: holds {PUBLISHED[known]}, and `architecture` says {architecture}: use "
                f"`architecture={known}`"
            )
    counts = ", ".join(f"{count} {kind}" for kind, count in found.items())
    raise WeightsError(
        f"{path}: not {PUBLISHED[architecture]}: it holds {counts} layers, and expected are "
        f"{len(_CONVOLUTIONS[architecture])} conv2d, 4 batch_normalization, 2 dense"
    )


def _read_layer(
    group: h5py.Group, name: str, kind: str, shapes: dict[str, tuple[int, ...]], path: Path
) -> Layer:
    stored = {_text(n).rpartition("/")[2].partition(":")[0]: n for n in group.attrs["weight_names"]}
    layer: Layer = {}
    for key in ARRAYS[kind]:
        if key not in stored:
            raise WeightsError(f"{path}: layer {name} has no {key}: it is not the authors' network")
        array = group[stored[key]]
        if array.shape != shapes[key]:  # before reading, so that no false size is ever allocated
            raise WeightsError(
                f"{path}: {key} of layer {name} is {array.shape}, and expected is {shapes[key]}"
            )
        with np.errstate(over="ignore"):  # float32 overflow becomes infinite and is refused below
            layer[key] = np.asarray(array[()], dtype=np.float32)
        if not np.isfinite(layer[key]).all():
            raise WeightsError(f"{path}: {key} of layer {name} holds values that are not finite")
    if kind == "batch_normalization" and (layer["moving_variance"] < 0).any():
        raise WeightsError(f"{path}: moving_variance of layer {name} is negative")
    return layer


def _keras_shapes(architecture: str) -> dict[str, list[dict[str, tuple[int, ...]]]]:
    """Return the shapes of Keras' arrays, derived from the torch network."""
    own = {key: tuple(value.shape) for key, value in build(architecture).state_dict().items()}

    def weight(name: str) -> dict[str, tuple[int, ...]]:
        o, i, *places = own[f"{name}.weight"]
        return {"kernel": (*places, i, o), "bias": (o,)}

    return {
        "conv2d": [weight(name) for name in _CONVOLUTIONS[architecture]],
        "batch_normalization": [
            dict.fromkeys(ARRAYS["batch_normalization"], own[f"{name}.weight"]) for name in _NORMS
        ],
        "dense": [weight("dense1"), weight("dense2")],
    }


def _state(layers: dict[str, list[Layer]], architecture: str) -> dict[str, Tensor]:
    state: dict[str, NDArray[np.generic]] = {}
    for name, layer in zip(_CONVOLUTIONS[architecture], layers["conv2d"], strict=True):
        state[f"{name}.weight"] = layer["kernel"].transpose(3, 2, 0, 1)
        state[f"{name}.bias"] = layer["bias"]
    for name, layer in zip(_NORMS, layers["batch_normalization"], strict=True):
        state[f"{name}.weight"], state[f"{name}.bias"] = layer["gamma"], layer["beta"]
        state[f"{name}.running_mean"] = layer["moving_mean"]
        state[f"{name}.running_var"] = layer["moving_variance"]
        state[f"{name}.num_batches_tracked"] = np.array(0)
    first, last = layers["dense"]
    kernel = first["kernel"].reshape(8, 8, 16, 16)  # height, width, channel, unit
    state["dense1.weight"] = kernel.transpose(3, 2, 0, 1).reshape(16, 1024)
    state["dense1.bias"] = first["bias"]
    state["dense2.weight"], state["dense2.bias"] = -last["kernel"].T, -last["bias"]
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in state.items()}


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
