"""From network to model file: the same answers, one file, nothing left behind."""

import dataclasses
import itertools
import logging
import subprocess
import sys
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from mesoscope.detection.scorer import OnnxScorer, check_pictures, self_check
from mesoscope.errors import ModelError, ModelMismatch, OutputError
from mesoscope.files import atomic
from mesoscope.models.file import read_card, verify_bytes
from mesoscope.training.export import graph
from mesoscope.training.export import onnx_export as export_module
from mesoscope.training.export.onnx_export import ExportedNetwork, export, stamp
from mesoscope.training.nets import NETWORKS, build
from mesoscope.types import Calibration, ModelCard

MAP_PX = {"meso4": 32, "mesoinception4": 32, "meso4_ira": 8}  # sides of the evidence maps
CALIBRATION = Calibration(1.7, -0.4, "Platt scaling", "noise")


def network(architecture, *, negative):
    """A network whose norms are neither fresh nor, if so wanted, all rising."""
    torch.manual_seed(5)
    net = build(architecture)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.3, 1.5)
            if negative:
                layer.weight.data[::3] *= -1
            nn.init.normal_(layer.bias)
            layer.running_mean.uniform_(0, 0.5)
            layer.running_var.uniform_(0.2, 2)
        elif isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.normal_(layer.bias, std=0.2)
    return net


def noise(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 256, 256, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def exporting(tmp_path_factory):
    """Export each network once for all tests: torch takes seconds for it."""
    done = {}

    def make(architecture, negative):
        if (architecture, negative) not in done:
            net = network(architecture, negative=negative)
            out = tmp_path_factory.mktemp(architecture) / "model.onnx"
            card = ModelCard(name="made", architecture=architecture, licence="none")
            card = export(net, out, card, CALIBRATION, check_crops=noise(2))
            done[architecture, negative] = net, out, card
        return done[architecture, negative]

    return make


@pytest.fixture(params=[(a, n) for a in NETWORKS for n in (False, True)], ids=str)
def exported(request, exporting):
    return exporting(*request.param)


def test_answers_are_the_networks_for_every_batch_size(exported):
    net, out, card = exported
    side = MAP_PX[card.architecture]
    scorer, judging = OnnxScorer(out), ExportedNetwork(net, CALIBRATION).eval()
    for n in (1, 2, 5):
        crops = np.concatenate([check_pictures(), noise(1, seed=9)])[:n]
        with torch.no_grad():
            p_fake, logit, heat = (part.numpy() for part in judging(torch.from_numpy(crops)))
        found = scorer.score(crops, heat=True)
        np.testing.assert_allclose(found.p_fake, p_fake, atol=1e-5)
        np.testing.assert_allclose(found.logit, logit, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.heat, heat, rtol=1e-4, atol=1e-5 * max(1, heat.max()))
        assert found.heat.shape == (n, side, side)
        assert scorer.score(crops).heat is None


def test_scaling_and_calibration_are_inside_and_heat_is_scaled_like_the_logit(exported):
    net, out, _ = exported
    crops = noise(2, seed=3)
    found = OnnxScorer(out).score(crops, heat=True)
    net = net.eval()
    with torch.no_grad():
        a = net.forward_features(torch.from_numpy(crops).permute(0, 3, 1, 2) / 255)
        logit = 1.7 * net.forward_head(a).numpy() - 0.4
        heat = 1.7 * net.heat(a).numpy()
    np.testing.assert_allclose(found.logit, logit, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.p_fake, 1 / (1 + np.exp(-logit)), atol=1e-5)
    np.testing.assert_allclose(found.heat, heat, rtol=1e-4, atol=1e-5 * max(1, heat.max()))


def test_file_is_one_of_few_operations_without_surplus(exported):
    net, out, card = exported
    side = MAP_PX[card.architecture]
    model = onnx.load(out)
    assert (model.ir_version, model.opset_import[0].version) == (10, 20)
    assert [p.name for p in out.parent.iterdir()] == ["model.onnx"]
    weights = sum(value.numel() * 4 for value in net.state_dict().values())
    assert out.stat().st_size < weights + 28_000  # few weights twice, no exporter's notes
    operations = [node.op_type for node in model.graph.node]
    assert "Div" not in operations[: operations.index("Conv")]
    pairs = list(itertools.pairwise(operations))
    negative = any(
        (scale < 0).any() for name, scale in net.named_parameters() if name.endswith("norm.weight")
    )
    pooled_first = sum(pairs.count((pool, "BatchNormalization")) for pool in ("MaxPool", "Max"))
    pools = 0 if card.architecture == "meso4_ira" else 4
    assert pooled_first == (0 if negative else pools)
    dimensions = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
                  for v in (*model.graph.input, *model.graph.output)}  # fmt: skip
    assert dimensions == {"crops": ["n", 256, 256, 3], "p_fake": ["n"], "logit": ["n"],
                          "heat": ["n", side, side]}  # fmt: skip


def test_card_in_the_file_says_what_was_measured(exported):
    net, out, card = exported
    assert read_card(out) == card
    assert card.calibration == CALIBRATION
    assert card.parameters == sum(p.numel() for p in net.parameters())
    assert card.licence == "none"
    verify_bytes(out)
    assert self_check(OnnxScorer(out)) < 1e-6
    p_fake = OnnxScorer(out).score(check_pictures()).p_fake
    assert card.self_check == pytest.approx(p_fake.tolist(), abs=1e-6)


def test_stamp_changes_the_card_and_nothing_else(exported, tmp_path):
    _, out, card = exported
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(out.read_bytes())
    wanted = dataclasses.replace(card, metrics={"auc": 0.75}, self_check=(), parameters=1)
    assert stamp(copy, wanted) == dataclasses.replace(card, metrics={"auc": 0.75})
    assert read_card(copy).metrics == {"auc": 0.75}
    verify_bytes(copy)
    assert [p.name for p in tmp_path.iterdir()] == ["copy.onnx"]
    crops = noise(1)
    np.testing.assert_array_equal(
        OnnxScorer(copy).score(crops).logit, OnnxScorer(out).score(crops).logit
    )


@pytest.fixture
def cheap(monkeypatch, exporting):
    """Export without the seconds that torch takes: the graph of a file exported before."""
    net, out, card = exporting("meso4", negative=False)

    def graph_again(_judging, _side_px):
        return onnx.load(out)

    monkeypatch.setattr(export_module, "_to_onnx", graph_again)
    return net, card


def tampered(model, name, change):
    for tensor in model.graph.initializer:
        if tensor.name.endswith(name):
            value = change(numpy_helper.to_array(tensor).copy())
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))
            return model
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("dense2.weight", lambda w: w * 1.01, "differs"),
        ("dense1.bias", lambda w: w * np.nan, "not finite"),
        ("block4.norm.bias", lambda w: w + 0.05, "differs"),
    ],
)
def test_graph_that_answers_otherwise_is_refused(cheap, tmp_path, monkeypatch, name, change, says):
    net, card = cheap
    good = export_module._to_onnx
    monkeypatch.setattr(export_module, "_to_onnx", lambda j, s: tampered(good(j, s), name, change))
    with pytest.raises(ModelMismatch, match=says):
        export(net, tmp_path / "bad.onnx", card, CALIBRATION, check_crops=noise(1))
    assert list(tmp_path.iterdir()) == []


def test_refusal_leaves_the_file_that_stood_there(cheap, tmp_path):
    net, card = cheap
    out = tmp_path / "model.onnx"
    out.write_bytes(b"before")
    with pytest.raises(ModelMismatch, match="scale must be positive"):
        export(net, out, card, Calibration(-1.0, 0.0), check_crops=noise(1))
    with pytest.raises(ModelMismatch, match="differs"):
        export(net, out, card, Calibration(1.0, 0.0), check_crops=noise(1))  # the graph has 1.7
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("model.onnx", b"before")]


def test_outputs_of_another_shape_are_refused(cheap, tmp_path, monkeypatch):
    net, card = cheap
    good = export_module._to_onnx

    def cut(judging, side_px):
        model = good(judging, side_px)
        last = next(node for node in model.graph.node if "heat" in node.output)
        last.output[0] = "whole"
        model.graph.node.append(helper.make_node("ReduceMax", ["whole", "axes"], ["heat"]))
        model.graph.initializer.append(helper.make_tensor("axes", TensorProto.INT64, [1], [1]))
        for value in model.graph.output:
            if value.name == "heat":
                value.type.tensor_type.shape.dim[1].dim_value = 1
        return model

    monkeypatch.setattr(export_module, "_to_onnx", cut)
    with pytest.raises(ModelMismatch, match=r"heat is \(1, 1, 32\)"):
        export(net, tmp_path / "bad.onnx", card, CALIBRATION, check_crops=noise(1))


def test_disk_that_is_full_is_an_output_error_and_leaves_nothing(cheap, tmp_path, monkeypatch):
    net, card = cheap
    with pytest.raises(OutputError, match="cannot be written"):
        export(net, tmp_path / "no/folder/m.onnx", card, CALIBRATION, check_crops=noise(1))

    def full(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        export(net, tmp_path / "m.onnx", card, CALIBRATION, check_crops=noise(1))
    assert list(tmp_path.iterdir()) == []


def test_network_and_its_mode_stay_as_they_were(cheap, tmp_path):
    net, card = cheap
    net.train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    export(net, tmp_path / "m.onnx", card, CALIBRATION, check_crops=noise(1))
    assert net.training
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_export_is_silent_and_puts_loggers_and_filters_back(tmp_path):
    code = f"""
import logging, pathlib, sys, warnings
import numpy as np
from mesoscope.training.export.onnx_export import export
from mesoscope.training.nets import build
from mesoscope.types import Calibration, ModelCard
names = ("torch.onnx", "onnxscript", "onnx_ir")
state = lambda: (list(warnings.filters), [logging.getLogger(n).level for n in names])
before = state()
card = ModelCard(name="m", architecture="meso4")
crops = np.zeros((1, 256, 256, 3), np.uint8)
out = pathlib.Path({str(tmp_path / "m.onnx")!r})
export(build("meso4"), out, card, Calibration(), check_crops=crops)
sys.exit(state() != before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_quiet_puts_levels_back_even_after_an_error():
    logger = logging.getLogger("onnxscript")
    before, filters = logger.level, list(warnings.filters)
    seen = []

    def fail():
        with export_module._quiet():
            seen.append(logger.level)
            raise ModelError("within")

    with pytest.raises(ModelError):
        fail()
    assert seen == [logging.ERROR]
    assert (logger.level, warnings.filters) == (before, filters)


def tiny_model(scale):
    """x / 4 → convolution → norm → pool, in ONNX alone."""
    rng = np.random.default_rng(1)
    channels = len(scale)
    weights = {
        "c": np.array(4.0),
        "w": rng.normal(size=(channels, 2, 3, 3)),
        "b": rng.normal(size=channels),
        "scale": np.array(scale),
        "shift": rng.normal(size=channels),
        "mean": rng.normal(size=channels),
        "var": rng.uniform(0.5, 2, channels),
    }
    nodes = [
        helper.make_node("Div", ["x", "c"], ["q"]),
        helper.make_node("Conv", ["q", "w", "b"], ["y"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["y", "scale", "shift", "mean", "var"], ["z"]),
        helper.make_node("MaxPool", ["z"], ["out"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 8, 8])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, channels, 4, 4])],
            [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
    )
    onnx.checker.check_model(model)
    return model


@pytest.mark.parametrize(
    ("scale", "swapped"),
    [([1.0, 0.5, 2.0], True), ([1.0, 0.0, 2.0], True), ([1.0, -0.5, 2.0], False)],
)
def test_rewrites_change_nothing_that_is_computed(scale, swapped):
    model = tiny_model(scale)
    x = np.random.default_rng(2).normal(size=(1, 2, 8, 8)).astype(np.float32)
    (before,) = ReferenceEvaluator(model).run(None, {"x": x})
    graph.optimise(model)
    onnx.checker.check_model(model, full_check=True)
    (after,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)
    order = ["MaxPool", "BatchNormalization"]
    assert [n.op_type for n in model.graph.node] == ["Conv", *(order if swapped else order[::-1])]
    assert "c" not in {t.name for t in model.graph.initializer}


def test_what_others_read_too_is_left_alone():
    model = tiny_model([1.0, 1.0, 1.0])
    for name, shape in (("q", [1, 2, 8, 8]), ("z", [1, 3, 8, 8])):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    x = np.random.default_rng(2).normal(size=(1, 2, 8, 8)).astype(np.float32)
    before = ReferenceEvaluator(model).run(None, {"x": x})
    graph.optimise(model)
    after = ReferenceEvaluator(model).run(None, {"x": x})
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_constants_are_computed_once():
    nodes = [
        helper.make_node("Reshape", ["w", "shape"], ["r"]),
        helper.make_node("ReduceSum", ["r", "axes"], ["s"], keepdims=0),
        helper.make_node("MatMul", ["x", "s"], ["out"]),
    ]
    w = np.arange(24, dtype=np.float32)
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "constants",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3])],
            [
                numpy_helper.from_array(w, "w"),
                numpy_helper.from_array(np.array([2, 3, 4]), "shape"),
                numpy_helper.from_array(np.array([2]), "axes"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
    )
    graph.optimise(model)
    assert [n.op_type for n in model.graph.node] == ["MatMul"]
    assert [t.name for t in model.graph.initializer] == ["s"]
    (out,) = ReferenceEvaluator(model).run(None, {"x": np.ones((1, 2), np.float32)})
    np.testing.assert_array_equal(out, w.reshape(2, 3, 4).sum(2).sum(0)[None])
