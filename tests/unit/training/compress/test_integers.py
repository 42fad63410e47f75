"""What is chosen to compute in integers, and rewrites that change no answer."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mesoscope.training.compress import int8 as integers
from mesoscope.training.decide.comparison import multiply_adds, shapes
from mesoscope.training.export.graph import constants

OUTPUTS = ["p_fake", "logit", "heat"]


def crops(n=2):
    return np.random.default_rng(n).integers(0, 256, (n, 256, 256, 3), dtype=np.uint8)


def answers(model, outputs=OUTPUTS):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(outputs, {"crops": crops()})


def assert_same_answers(model, before, outputs=OUTPUTS):
    for after, expected in zip(answers(model, outputs), before, strict=True):
        np.testing.assert_allclose(after, expected, rtol=1e-3, atol=1e-4)


def kinds(model):
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("divide", [False, True])
@pytest.mark.parametrize(
    "stem", [(6, 4, (2, 2)), (4, 4, (0, 0)), (7, 4, (3, 3)), (5, 4, (2, 1)), (8, 8, (0, 0))]
)
def test_columns_as_channels_give_the_same_answers(small_graph, stem, divide):
    model = small_graph(stem=stem, divide=divide)
    before = answers(model)
    integers.widen_first(model)
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    assert first.input[0] == integers.SEEN
    assert constants(model)[first.input[1]].shape[1] == 3 * stem[1]
    assert "Div" not in kinds(model)
    assert_same_answers(model, before)


def test_who_else_reads_the_crops_keeps_them(small_graph):
    model = small_graph()
    total = helper.make_node("ReduceSum", ["floats", "everything"], ["brightness"], keepdims=0)
    model.graph.node.append(total)
    axes = numpy_helper.from_array(np.array([1, 2, 3]), "everything")
    model.graph.initializer.append(axes)
    model.graph.output.append(helper.make_tensor_value_info("brightness", TensorProto.FLOAT, ["n"]))
    before = answers(model, [*OUTPUTS, "brightness"])
    integers.widen_first(model)
    assert kinds(model).count("Cast") == 2
    assert_same_answers(model, before, [*OUTPUTS, "brightness"])


@pytest.mark.parametrize(
    "change",
    [{"filters": 8}, {"stem": (3, 2, (1, 1))}, {"stem": (5, 5, (2, 2))}],
    ids=["few filters", "small stride", "columns that do not divide"],
)
def test_first_convolution_that_stays_narrow_stays(small_graph, change):
    model = small_graph(**change)
    before = model.SerializeToString()
    integers.widen_first(model)
    assert model.SerializeToString() == before


def test_mean_over_places_becomes_a_pooling(small_graph):
    model = small_graph()
    before = answers(model)
    integers.pool_globally(model)
    assert "GlobalAveragePool" in kinds(model)
    assert "ReduceMean" not in kinds(model)
    assert_same_answers(model, before)


def test_wide_layers_are_chosen_with_what_stands_between_them(small_graph):
    model = small_graph()
    integers.pool_globally(model)
    integers.widen_first(model)
    assert integers.integer_nodes(model) == [
        "stem", "stem6", "deep", "deep6", "mean", "weighed", "project",
    ]  # fmt: skip


def test_narrow_layers_and_the_evidence_map_are_not_chosen(small_graph):
    assert integers.integer_nodes(small_graph(filters=8)) == []
    without_stem = integers.integer_nodes(small_graph())  # three channels, and nothing widened
    assert without_stem == ["deep", "deep6", "weighed", "project"]


def test_large_dense_layers_keep_8_bits_and_answer_nearly_alike(small_graph):
    model = small_graph()
    _, logit, heat = answers(model)
    size = model.ByteSize()
    assert integers.shrink_dense(model) == ["dense1"]
    onnx.checker.check_model(model, full_check=True)
    assert constants(model)["dense1.w"].dtype == np.int8
    assert model.ByteSize() < size - 3 * 1024 * 8 + 200
    _, after, heat_after = answers(model)
    np.testing.assert_allclose(after, logit, atol=0.03 * np.abs(logit).max())
    assert not np.array_equal(after, logit)
    np.testing.assert_array_equal(heat_after, heat)


def test_multiply_adds_are_those_of_the_layers_before_the_logit(small_graph):
    model = small_graph()
    places = 64 * 64
    assert shapes(model)["sum"] == [1, 16, 64, 64]
    assert multiply_adds(model) == (
        places * 16 * 3 * 36  # stem
        + places * 16 * 9  # depthwise
        + 16 * 8 * 2  # squeeze and excite
        + places * 16 * 16  # project
        + 1024 * 8
        + 8
    )
