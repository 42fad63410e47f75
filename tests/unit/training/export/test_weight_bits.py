"""Weights in 16 or 8 bits: which tensors, and how much an answer changes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mesoscope.training.export.weight_bits import in_32_bits, keep_bits


def matmul(weights):
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weights.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weights.shape[1]])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def answer(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(["y"], {"x": x})[0]


def test_large_weights_take_half_the_room_and_answer_alike():
    draw = np.random.default_rng(1)
    model = matmul(draw.normal(0, 0.1, (64, 32)).astype(np.float32))
    half = keep_bits(model, 16)
    onnx.checker.check_model(half)
    assert len(half.SerializeToString()) < 0.6 * len(model.SerializeToString())
    assert model.graph.initializer[0].data_type == TensorProto.FLOAT, "the original is untouched"
    x = draw.normal(0, 1, (8, 64)).astype(np.float32)
    assert answer(half, x) == pytest.approx(answer(model, x), abs=2e-3)
    assert not np.array_equal(answer(half, x), answer(model, x))


@pytest.mark.parametrize(
    "weights",
    [
        np.full((8, 8), 0.5),
        np.full((32, 32), 1e5),
        np.full((32, 32), 1e-6),
        np.zeros((32, 32)),
    ],
    ids=["few numbers", "beyond the range", "too small", "zeros"],
)
def test_what_16_bits_cannot_hold_or_need_not_stays(weights):
    model = matmul(weights.astype(np.float32))
    assert keep_bits(model, 16) == model
    assert keep_bits(model, 8) == model


def test_filters_take_a_quarter_of_the_room_with_a_scale_each():
    draw = np.random.default_rng(2)
    weights = draw.normal(0, 0.1, (32, 16, 3, 3)).astype(np.float32)
    weights[5] *= 100  # a filter with large weights harms no other
    weights[6] = 0
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "filters",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32, 6, 6])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    small = keep_bits(model, 8)
    onnx.checker.check_model(small)
    assert len(small.SerializeToString()) < 0.35 * len(model.SerializeToString())
    x = draw.normal(0, 1, (2, 16, 8, 8)).astype(np.float32)
    wide, narrow = answer(model, x), answer(small, x)
    for number in range(32):
        apart = np.abs(narrow[:, number] - wide[:, number]).max()
        assert apart <= 0.03 * max(np.abs(wide[:, number]).max(), 1e-6)
    assert keep_bits(model, 32) == model


@pytest.mark.parametrize("bits", [16, 8])
def test_kept_weights_become_constants_again_with_the_same_answers(bits):
    draw = np.random.default_rng(3)
    filters = numpy_helper.from_array(draw.normal(0, 0.1, (24, 8, 3, 3)).astype(np.float32), "f")
    weights = numpy_helper.from_array(draw.normal(0, 0.1, (24, 20)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "f"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    read = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8, 12, 12])
    told = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 20])
    graph = helper.make_graph(nodes, "both", [read], [told], [filters, weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    small = keep_bits(model, bits)
    wide = in_32_bits(small)
    onnx.checker.check_model(wide)
    assert {t.name: t.data_type for t in wide.graph.initializer} == {"f": 1, "w": 1}
    assert [node.op_type for node in wide.graph.node] == [node.op_type for node in nodes]
    x = draw.normal(0, 1, (2, 8, 12, 12)).astype(np.float32)
    np.testing.assert_array_equal(answer(wide, x), answer(small, x))
    assert in_32_bits(model).graph.node == model.graph.node
