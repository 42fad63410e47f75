import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from mesoscope.training.export.graph import pair_columns

FLOAT = onnx.TensorProto.FLOAT


def narrow(filters: int = 8, k: int = 5, **conv: object) -> onnx.ModelProto:
    """Convolution → ReLU → 2×2 max-pool with random weights."""
    rng = np.random.default_rng(k)
    weights = [
        numpy_helper.from_array(rng.standard_normal((filters, 3, k, k), np.float32), "w"),
        numpy_helper.from_array(rng.standard_normal(filters, np.float32), "b"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], **{"pads": [k // 2] * 4, **conv}),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    ends = [
        helper.make_tensor_value_info("x", FLOAT, ["n", 3, "h", "w_"]),
        helper.make_tensor_value_info("y", FLOAT, ["n", filters, None, None]),
    ]
    graph = helper.make_graph(nodes, "narrow", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answer(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("size", [(16, 16), (10, 13), (7, 8)])
def test_pairs_of_columns_give_what_single_columns_give(k: int, size: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, *size), np.float32)
    model = narrow(k=k)
    expected = answer(model, x)
    pair_columns(model)
    assert [node.op_type for node in model.graph.node] == [
        "Conv",
        "Relu",
        "MaxPool",
        "Split",
        "Max",
    ]
    np.testing.assert_allclose(answer(model, x), expected, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        narrow(filters=16),
        narrow(strides=[2, 2]),
        narrow(dilations=[2, 2], pads=[4] * 4),
        narrow(pads=[0] * 4),
    ],
    ids=["wide enough", "strides", "dilation", "no padding"],
)
def test_other_convolutions_stay(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    pair_columns(model)
    assert model.SerializeToString() == before
