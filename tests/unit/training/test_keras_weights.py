"""Keras' HDF5 files: what is read from them, and what is refused."""

import pickle
import re
import zipfile

import h5py
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mesoscope.errors import WeightsError
from mesoscope.training.adopt.authors import read_keras

# (inputs, filters, kernel) of each convolution in the order of the authors' code.
CONVOLUTIONS = {
    "meso4": [(3, 8, 3), (8, 8, 5), (8, 16, 5), (16, 16, 5)],
    "mesoinception4": [
        *[(3, 1, 1), (3, 4, 1), (4, 4, 3), (3, 4, 1), (4, 4, 3), (3, 2, 1), (2, 2, 3)],
        *[(11, 2, 1), (11, 4, 1), (4, 4, 3), (11, 4, 1), (4, 4, 3), (11, 2, 1), (2, 2, 3)],
        *[(12, 16, 5), (16, 16, 5)],
    ],
}
NORMS = {"meso4": [8, 8, 16, 16], "mesoinception4": [11, 12, 16, 16]}


def made_layers(architecture, seed=0):
    """Layers as Keras keeps them: name → {array name: array}."""
    rng = np.random.default_rng(seed)
    layers = {}
    for i, (inputs, filters, k) in enumerate(CONVOLUTIONS[architecture], start=5):
        layers[f"conv2d_{i}"] = {
            "kernel": rng.normal(0, (inputs * k * k) ** -0.5, (k, k, inputs, filters)),
            "bias": rng.normal(0, 0.1, filters),
        }
    for i, size in enumerate(NORMS[architecture], start=3):
        layers[f"batch_normalization_{i}"] = {
            "gamma": rng.uniform(-1, 1.5, size),
            "beta": rng.normal(0, 0.3, size),
            "moving_mean": rng.uniform(0, 0.5, size),
            "moving_variance": rng.uniform(0.2, 2, size),
        }
    layers["flatten_1"] = {}
    layers["dense_9"] = {"kernel": rng.normal(0, 0.05, (1024, 16)), "bias": rng.normal(0, 1, 16)}
    layers["dense_10"] = {"kernel": rng.normal(0, 1, (16, 1)), "bias": rng.normal(0, 1, 1)}
    return layers


def write(path, layers, under=None):
    """Write layers as Keras 2's ``save_weights`` does, or ``save`` where ``under`` is given."""
    with h5py.File(path, "w") as file:
        root = file.create_group(under) if under else file
        root.attrs["layer_names"] = np.array([name.encode() for name in layers], "S")
        for name, arrays in layers.items():
            group = root.create_group(name)
            names = [f"{name}/{key}:0".encode() for key in arrays]
            group.attrs["weight_names"] = np.array(names, "S") if names else np.array([])
            for key, value in arrays.items():
                group[f"{name}/{key}:0"] = np.asarray(value, np.float32)
    return path


def as_keras_computes(layers, x):
    """Meso-4 written down from Keras' side: channels last, P(real)."""
    a = torch.from_numpy(x)
    pools = (2, 2, 2, 4)
    for number, pool in enumerate(pools):
        conv, norm = layers[f"conv2d_{number + 5}"], layers[f"batch_normalization_{number + 3}"]
        kernel = torch.tensor(conv["kernel"], dtype=torch.float32).permute(3, 2, 0, 1)
        bias = torch.tensor(conv["bias"], dtype=torch.float32)
        a = F.conv2d(a.permute(0, 3, 1, 2), kernel, bias, padding="same").permute(0, 2, 3, 1)
        a = a.clamp(min=0).numpy()
        a = norm["gamma"] * (a - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 1e-3)
        a = torch.from_numpy((a + norm["beta"]).astype(np.float32))
        a = F.max_pool2d(a.permute(0, 3, 1, 2), pool).permute(0, 2, 3, 1)
    flat = a.reshape(len(x), -1).numpy()  # height, width, channel
    h = flat @ layers["dense_9"]["kernel"] + layers["dense_9"]["bias"]
    h = np.where(h > 0, h, 0.1 * h)
    z = h @ layers["dense_10"]["kernel"] + layers["dense_10"]["bias"]
    return 1 / (1 + np.exp(-z[:, 0]))


def test_meso4_computes_one_minus_what_keras_would(tmp_path):
    layers = made_layers("meso4")
    net = read_keras(write(tmp_path / "w.h5", layers), "meso4")
    assert not net.training
    x = np.random.default_rng(1).random((2, 256, 256, 3), dtype=np.float32)
    with torch.no_grad():
        p_fake = torch.sigmoid(net(torch.from_numpy(x).permute(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(p_fake, 1 - as_keras_computes(layers, x), atol=1e-5)
    assert 0.01 < p_fake[0] < 0.99


@pytest.mark.parametrize("architecture", list(CONVOLUTIONS))
@pytest.mark.parametrize("under", [None, "model_weights"])
def test_every_array_lands_in_its_layer(tmp_path, architecture, under):
    layers = made_layers(architecture)
    shuffled = dict(sorted(layers.items(), key=lambda item: item[0][::-1]))  # the file's order
    net = read_keras(write(tmp_path / "w.h5", shuffled, under), architecture)
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    kept = [v for k, v in layers.items() if k.startswith("conv")]
    for layer, arrays in zip(convolutions, kept, strict=True):
        np.testing.assert_allclose(
            layer.weight.detach(), arrays["kernel"].transpose(3, 2, 0, 1), rtol=1e-6
        )
        np.testing.assert_allclose(layer.bias.detach(), arrays["bias"], rtol=1e-6)
    kept = [v for k, v in layers.items() if k.startswith("batch")]
    for layer, arrays in zip(norms, kept, strict=True):
        np.testing.assert_allclose(layer.weight.detach(), arrays["gamma"], rtol=1e-6)
        np.testing.assert_allclose(layer.bias.detach(), arrays["beta"], rtol=1e-6)
        np.testing.assert_allclose(layer.running_mean, arrays["moving_mean"], rtol=1e-6)
        np.testing.assert_allclose(layer.running_var, arrays["moving_variance"], rtol=1e-6)


def test_layer_without_a_number_is_the_first(tmp_path):
    layers = made_layers("meso4")
    renamed = {("conv2d" if k == "conv2d_5" else k): v for k, v in reversed(layers.items())}
    net = read_keras(write(tmp_path / "w.h5", renamed), "meso4")
    np.testing.assert_allclose(
        net.block1.convolution.bias.detach(), layers["conv2d_5"]["bias"], 1e-6
    )


def refused(path, architecture="meso4"):
    with pytest.raises(WeightsError) as caught:
        read_keras(path, architecture)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


class Alarm:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was executed",))


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_is_named_and_never_read(tmp_path, protocol):
    path = tmp_path / "w.h5"
    path.write_bytes(pickle.dumps(Alarm(), protocol=protocol))
    message = refused(path)
    if protocol >= 2:  # protocols 0 and 1 have no mark of their own
        assert "a pickle executes code when read" in message
    assert "refused" in message or "not an HDF5 file" in message


def test_other_files_are_named(tmp_path):
    path = tmp_path / "w.h5"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert ".keras" in refused(path)
    path.write_bytes(b"")
    assert "empty" in refused(path)
    path.write_text("hello")
    assert "not an HDF5 file" in refused(path)
    assert "no such file" in refused(tmp_path / "gone.h5")
    assert "cannot be read" in refused(tmp_path)
    with h5py.File(path, "w") as file:
        file["anything"] = np.zeros(3)
    assert "no layer_names" in refused(path)


def test_truncated_file_is_refused_at_any_length(tmp_path):
    whole = write(tmp_path / "whole.h5", made_layers("meso4")).read_bytes()
    cut = tmp_path / "cut.h5"
    for length in (9, 100, len(whole) // 3, len(whole) * 2 // 3, len(whole) - 1):
        cut.write_bytes(whole[:length])
        assert "truncated or damaged" in refused(cut)


def test_damaged_bytes_raise_nothing_but_weights_error(tmp_path):
    whole = write(tmp_path / "whole.h5", made_layers("meso4")).read_bytes()
    rng = np.random.default_rng(0)
    path, messages = tmp_path / "damaged.h5", []
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, 12_000, 12):  # where HDF5 keeps its structure
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_keras(path, "meso4")
        except WeightsError as error:
            messages.append(str(error))
    assert len(messages) > 5
    assert not any("\n" in message for message in messages)


def test_other_architecture_is_named(tmp_path):
    meso = write(tmp_path / "meso.h5", made_layers("meso4"))
    inception = write(tmp_path / "inception.h5", made_layers("mesoinception4"))
    assert "holds MesoInception-4, and `architecture` says meso4" in refused(inception)
    assert "use `architecture=meso4`" in refused(meso, "mesoinception4")
    with pytest.raises(WeightsError, match="meso5"):
        read_keras(meso, "meso5")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x: x.pop("conv2d_6"), "3 conv2d, 4 batch_normalization, 2 dense"),
        (lambda x: x.update(dense_11=x["dense_10"]), "3 dense layers"),
        (lambda x: x["conv2d_6"].pop("bias"), "conv2d_6 has no bias"),
        (lambda x: x["conv2d_7"].update(kernel=np.zeros((3, 3, 8, 16))), "(3, 3, 8, 16)"),
        (lambda x: x["dense_9"].update(kernel=np.zeros((16, 1024))), "(1024, 16)"),
        (lambda x: x["dense_9"]["bias"].fill(np.nan), "bias of layer dense_9"),
        (lambda x: x["conv2d_5"]["kernel"].fill(np.inf), "not finite"),
        (lambda x: x["batch_normalization_3"]["moving_variance"].fill(-1), "negative"),
        (lambda x: x.update(lstm_1={"kernel": np.zeros(3)}), "'lstm_1'"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, change, says):
    layers = made_layers("meso4")
    change(layers)
    assert says in refused(write(tmp_path / "w.h5", layers))


def test_missing_group_is_refused(tmp_path):
    path = write(tmp_path / "w.h5", made_layers("meso4"))
    with h5py.File(path, "a") as file:
        del file["dense_9"]
    assert re.search("damaged.*dense_9", refused(path))


def test_false_size_is_refused_before_anything_is_allocated(tmp_path):
    path = write(tmp_path / "w.h5", made_layers("meso4"))
    with h5py.File(path, "a") as file:
        del file["dense_9/dense_9/kernel:0"]
        huge = (1 << 20, 1 << 20)  # four terabytes, none of it written
        file.create_dataset("dense_9/dense_9/kernel:0", huge, np.float32, chunks=(1024, 1024))
    assert "(1048576, 1048576)" in refused(path)
