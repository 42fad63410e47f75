"""Weights from a model file: the same answers, with norms that a training can move."""

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from mesoscope.errors import RecipeError
from mesoscope.models.file import find_model, read_card, shipped
from mesoscope.training.export.onnx_export import with_card
from mesoscope.training.fit.distil import to_input
from mesoscope.training.nets import build, check_initial, initialise, model_file
from mesoscope.training.recipe.keys import NetworkKeys

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


@pytest.fixture
def net():
    made = build(SHIPPED)
    initialise(made, SHIPPED, dict)
    return made.eval()


def logits_of_file(pixels):
    """The file's logits before its calibration, ``(n,)``."""
    path = find_model("mesoscope")
    (logits,) = onnxruntime.InferenceSession(path).run(["logit"], {"crops": pixels})
    calibration = read_card(path).calibration
    return (logits - calibration.shift) / calibration.scale


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
        (NetworkKeys(architecture="meso4_ira", initial="mesoscope"), "another shape, from"),
        (NetworkKeys(architecture="meso4", initial="meso4"), "only a model of architecture"),
        (NetworkKeys(architecture="meso4_ira", initial="gone.onnx"), "no model file there"),
        (NetworkKeys(architecture="meso4_ira", initial="broken.onnx"), "broken.onnx"),
        (
            NetworkKeys(architecture="meso4_ira", initial="mesoscope-large"),
            r"is an ensemble \(meso4_ira \+ meso4_ira\), .* one of its members",
        ),
        (NetworkKeys(architecture="meso4_ira", initial="int8.onnx"), "original, mine@12345678"),
    ],
)
def test_other_files_are_refused_before_any_picture_is_read(keys, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.onnx").write_bytes(b"no model at all")
    original = shipped()["mesoscope"]
    card = dataclasses.replace(read_card(original), quantisation={"original": "mine@12345678"})
    (tmp_path / "int8.onnx").write_bytes(with_card(onnx.load(original), card))
    with pytest.raises(RecipeError, match=said):
        check_initial(keys)
