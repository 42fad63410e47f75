"""A small model file that holds one of everything that quantising meets; made without torch."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mesoscope.detection.scorer import OnnxScorer, check_pictures
from mesoscope.models.file import graph_sha256
from mesoscope.training.export.onnx_export import with_card
from mesoscope.types import ModelCard

FILTERS = 16


@pytest.fixture(scope="session")
def small_graph():
    """``small_graph(filters=16, stem=(6, 4, (2, 2)), divide=False)`` → an ONNX model.

    Strided stem → depthwise → squeeze-excitation → project, a skip, pooling, two dense layers; the
    evidence map reads the last block. ``stem`` is kernel, stride, padding left and right.
    """
    return _graph


@pytest.fixture
def small_model(tmp_path):
    """The same graph as a model file with its card."""
    model = _graph()
    card = ModelCard(
        name="small",
        architecture="small",
        licence="none",
        graph_sha256=graph_sha256(model.SerializeToString()),
    )
    path = tmp_path / "small.onnx"
    path.write_bytes(with_card(model, card))
    assert OnnxScorer(path).score(check_pictures()).p_fake.std() > 0.01
    return path


def _graph(filters=FILTERS, stem=(6, 4, (2, 2)), divide=False):
    rng = np.random.default_rng(4)
    kernel, stride, (left, right) = stem
    places = (256 + left + right - kernel) // stride + 1
    pool = places // 8
    values = {
        "stem.w": rng.normal(0, 0.15, (filters, 3, kernel, kernel)) / (1 if divide else 255),
        "stem.b": rng.normal(0, 0.2, filters),
        "deep.w": rng.normal(0, 0.3, (filters, 1, 3, 3)),
        "squeeze.w": rng.normal(0, 0.5, (8, filters, 1, 1)),
        "excite.w": rng.normal(0, 0.5, (filters, 8, 1, 1)),
        "project.w": rng.normal(0, 0.3, (filters, filters, 1, 1)),
        "dense1.w": rng.normal(0, 0.05, (filters * 64, 8)),
        "dense1.b": rng.normal(0, 0.1, 8),
        "dense2.w": rng.normal(0, 0.5, (8, 1)),
        "six": np.float32(6),
        "zero": np.float32(0),
        "grey": np.float32(255),
    }
    weights = [numpy_helper.from_array(np.float32(v), name) for name, v in values.items()]
    weights += [
        numpy_helper.from_array(np.array(v, np.int64), name)
        for name, v in {"over": [2, 3], "flat": [0, -1], "last": [1], "maps": [1]}.items()
    ]
    node = helper.make_node
    seen = "quotient" if divide else "floats"
    nodes = [
        node("Transpose", ["crops"], ["first"], perm=[0, 3, 1, 2]),
        node("Cast", ["first"], ["floats"], to=TensorProto.FLOAT),
        *([node("Div", ["floats", "grey"], ["quotient"])] if divide else []),
        node("Conv", [seen, "stem.w", "stem.b"], ["stem"], strides=[stride] * 2,
             pads=[left, left, right, right], name="stem"),
        node("Clip", ["stem", "zero", "six"], ["stem6"], name="stem6"),
        node("Conv", ["stem6", "deep.w"], ["deep"], group=filters, pads=[1] * 4, name="deep"),
        node("Clip", ["deep", "zero", "six"], ["deep6"], name="deep6"),
        node("ReduceMean", ["deep6", "over"], ["mean"], keepdims=1, name="mean"),
        node("Conv", ["mean", "squeeze.w"], ["squeezed"], name="squeeze"),
        node("Relu", ["squeezed"], ["squeezed0"], name="squeezed0"),
        node("Conv", ["squeezed0", "excite.w"], ["excited"], name="excite"),
        node("HardSigmoid", ["excited"], ["weight"], name="weight"),
        node("Mul", ["deep6", "weight"], ["weighed"], name="weighed"),
        node("Conv", ["weighed", "project.w"], ["projected"], name="project"),
        node("Add", ["stem6", "projected"], ["sum"], name="sum"),
        node("MaxPool", ["sum"], ["pooled"], kernel_shape=[pool] * 2, strides=[pool] * 2,
             name="pooled"),
        node("Reshape", ["pooled", "flat"], ["row"], name="row"),
        node("Gemm", ["row", "dense1.w", "dense1.b"], ["hidden"], name="dense1"),
        node("LeakyRelu", ["hidden"], ["hidden1"], name="hidden1"),
        node("MatMul", ["hidden1", "dense2.w"], ["column"], name="dense2"),
        node("Squeeze", ["column", "last"], ["logit"], name="logit"),
        node("Sigmoid", ["logit"], ["p_fake"], name="p_fake"),
        node("Mul", ["sum", "six"], ["louder"], name="louder"),
        node("ReduceSum", ["louder", "maps"], ["all"], keepdims=0, name="all"),
        node("Relu", ["all"], ["heat"], name="heat"),
    ]  # fmt: skip
    value = helper.make_tensor_value_info
    ends = [
        value("p_fake", TensorProto.FLOAT, ["n"]),
        value("logit", TensorProto.FLOAT, ["n"]),
        value("heat", TensorProto.FLOAT, ["n", places, places]),
    ]
    crops = value("crops", TensorProto.UINT8, ["n", 256, 256, 3])
    graph = helper.make_graph(nodes, "small", [crops], ends, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture(autouse=True)
def _quick_export(request):
    """Use the real exporter for its own tests alone; others need a model file, not its graph."""
    if "export" not in request.path.parent.name:
        request.getfixturevalue("quick_export")
