"""Weights from a model file: the same answers, with norms that a training can move."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from mesoscope.errors import RecipeError
from mesoscope.models.file import find_model, read_card, shipped
from mesoscope.training.export.onnx_export import with_card
from mesoscope.training.export.weight_bits import BITS, in_32_bits, keep_bits
from mesoscope.training.fit.distil import to_input
from mesoscope.training.nets import build, check_initial, initialise, model_file
from mesoscope.training.recipe.keys import NetworkKeys
from mesoscope.training.recipe.recipe import read_recipe

ROOT = Path(__file__).parents[4]

EXPANDED = (64, 112, 112, 192, 192, 416, 416)
SHIPPED = NetworkKeys(
    architecture="meso4_ira", initial="mesoscope", attention="se", expanded=EXPANDED
)


def crops(n):
    """Pictures of large shapes with some noise, ``(n, 256, 256, 3) uint8``."""
    rng = np.random.default_rng(n)
    small = torch.from_numpy(rng.integers(0, 256, (n, 3, 9, 9)).astype(np.float32))
    large = nn.functional.interpolate(small, (256, 256), mode="bicubic").numpy()
    noisy = large + rng.normal(0, 6, large.shape)
    return noisy.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def initialised(keys):
    made = build(keys)
    initialise(made, keys, dict)
    return made.eval()


@pytest.fixture
def net():
    return initialised(SHIPPED)


def logits_of_file(pixels, path=None, member="member0/"):
    """The logits of an ensemble's member in a file before its calibration, ``(n,)``."""
    model = onnx.load(path or find_model("mesoscope"))
    makers = {name: node for node in model.graph.node for name in node.output}
    scaled = makers[makers[f"{member}logit"].input[0]]  # logit = scale · raw + shift
    raw = scaled.input[0] if scaled.op_type == "Mul" else scaled.output[0]
    model.graph.output.append(helper.make_tensor_value_info(raw, TensorProto.FLOAT, ["n"]))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (logits,) = session.run([raw], {"crops": pixels})
    return logits.ravel()


@torch.no_grad()
@pytest.mark.parametrize("bits", BITS)
def test_an_ensemble_gives_its_member_of_the_recipes_shape(bits, tmp_path):
    shipped_file = find_model("mesoscope")
    card, path = read_card(shipped_file), tmp_path / "some.onnx"
    model = keep_bits(in_32_bits(onnx.load(shipped_file)), bits)
    path.write_bytes(with_card(model, card))
    pixels = crops(3)
    x = to_input(torch.from_numpy(pixels))
    _, second = re.findall(r"([\w-]+)@", card.source)
    narrow = read_recipe(ROOT / f"results/runs/{second}/recipe.toml").network
    for member, keys in enumerate((SHIPPED, narrow)):
        net = initialised(dataclasses.replace(keys, initial=str(path)))
        wanted = logits_of_file(pixels, path, f"member{member}/")
        assert np.ptp(wanted) > 0.1
        assert net(x).numpy() == pytest.approx(wanted, abs=2e-3)


@torch.no_grad()
def test_answers_are_those_of_the_file_before_and_after_the_norms_are_restored(net):
    pixels = crops(8)
    x = to_input(torch.from_numpy(pixels))
    wanted = logits_of_file(pixels)
    assert np.ptp(wanted) > 0.3
    assert net(x).numpy() == pytest.approx(wanted, abs=2e-3)
    model_file.restore_norms(net, [x[:4], x[4:]])
    assert net(x).numpy() == pytest.approx(wanted, abs=2e-3)
    model_file.restore_norms(net, [x[:4]])  # a second time, of others
    assert net(x).numpy() == pytest.approx(wanted, abs=2e-3)


@torch.no_grad()
def test_restored_norms_hold_the_statistics_of_the_pictures(net):
    x = to_input(torch.from_numpy(crops(6)))
    model_file.restore_norms(net, [x])
    before = net.stem(x)
    assert net.stem_norm.running_mean.numpy() == pytest.approx(
        before.mean((0, 2, 3)).numpy(), rel=1e-4, abs=1e-5
    )
    assert net.stem_norm.running_var.numpy() == pytest.approx(
        before.var((0, 2, 3), unbiased=False).numpy(), rel=1e-3, abs=1e-6
    )
    # The batch's own statistics are those of the norms. (Dropout is off.)
    in_inference = net(x).numpy()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()
    assert net(x).numpy() == pytest.approx(in_inference, abs=5e-3)


def test_a_path_and_a_shipped_name_are_models_and_a_folder_is_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_file.is_model("mesoscope")
    assert model_file.is_model("runs/mine/model.onnx")
    assert not model_file.is_model("runs/mine")
    (tmp_path / "mesoscope").mkdir()
    assert not model_file.is_model("mesoscope")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (NetworkKeys(architecture="meso4_ira", initial="mesoscope-medium"), "another shape, from"),
        (NetworkKeys(architecture="meso4", initial="meso4"), "only a model of architecture"),
        (NetworkKeys(architecture="meso4_ira", initial="gone.onnx"), "no model file there"),
        (NetworkKeys(architecture="meso4_ira", initial="broken.onnx"), "broken.onnx"),
        (
            NetworkKeys(architecture="meso4_ira", initial="mesoscope"),
            "is an ensemble of 2 networks, and none has this shape",
        ),
        (NetworkKeys(architecture="meso4_ira", initial="int8.onnx"), "original, mine@12345678"),
    ],
)
def test_other_files_are_refused_before_any_picture_is_read(keys, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.onnx").write_bytes(b"no model at all")
    original = shipped()["mesoscope-medium"]
    card = dataclasses.replace(read_card(original), quantisation={"original": "mine@12345678"})
    (tmp_path / "int8.onnx").write_bytes(with_card(onnx.load(original), card))
    with pytest.raises(RecipeError, match=said):
        check_initial(keys)
