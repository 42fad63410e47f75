"""Models that lie about what they take and give, that loop, or ask for more than there is."""

import dataclasses
import hashlib

import numpy as np
import pytest

from mesoscope.detection.scorer import OnnxScorer, check_pictures
from mesoscope.errors import ModelError, ModelMismatch
from mesoscope.models.file import sealed, shipped, verify_bytes
from mesoscope.models.graph import length_delimited
from mesoscope.types import Guard, ModelCard

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - only where it is installed

SIDE = 16


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def tensor(name, values, kind=np.float32):
    return numpy_helper.from_array(np.asarray(values, kind), name)


MEAN = [
    node("Cast", "crops", "f", to=1),
    node("ReduceMean", "f axes", "m", keepdims=0),
    node("Mul", "m small", "logit"),
    node("Sigmoid", "logit", "p_fake"),
]
WEIGHTS = [tensor("axes", [1, 2, 3], np.int64), tensor("small", 0.01)]


@pytest.fixture
def written(tmp_path):
    def write(
        nodes=MEAN, weights=WEIGHTS, *, outs=("p_fake", "logit"), takes=None, more=None, **of
    ):
        takes = takes or (TensorProto.UINT8, ["n", SIDE, SIDE, 3])
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outs]
        graph = helper.make_graph(
            nodes, "g", [helper.make_tensor_value_info("crops", *takes)], outputs, weights
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        if more:
            more(model)
        digest = hashlib.sha256(model.graph.SerializeToString()).hexdigest()
        card = ModelCard(
            name="odd", architecture="none", input_px=of.pop("input_px", SIDE),
            graph_sha256=of.pop("graph_sha256", digest), **of,
        )  # fmt: skip
        model.metadata_props.add(key="mesoscope.card", value=card.to_json())
        path = tmp_path / "odd.onnx"
        path.write_bytes(sealed(model.SerializeToString()))
        return path

    return write


def refused(path, says, kind=ModelError):
    with pytest.raises(kind, match=says) as caught:
        OnnxScorer(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_honest_model_without_maps_is_asked_with_parts_covered(written):
    scorer = OnnxScorer(written())
    crops = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    crops[0, :2, :2] = 255  # the only bright part: covered, the logit falls
    scores = scorer.score(crops, heat=True)
    assert scores.heat.shape == (2, 8, 8)
    assert scores.heat[0].argmax() == 0
    assert not scores.heat[1].any()
    assert scorer.score(crops).heat is None


def grown(*nodes, weights=()):
    """The honest graph with something large added to its logit."""
    adds = [node("ReduceSum", "large", "sum", keepdims=0), node("Add", "m", "m2")]
    adds[1].input.append("sum")
    rest = [node("Mul", "m2 small", "logit"), MEAN[3]]
    return [*MEAN[:2], *nodes, *adds, *rest], [*WEIGHTS, *weights]


def loop(body_op="Loop"):
    def branch(name):
        out = helper.make_tensor_value_info("b", TensorProto.FLOAT, [])
        value = node("Constant", "", "b", value=tensor("c", 1.0))
        return helper.make_graph([value], name, [], [out])

    if body_op == "If":
        made = node("If", "cond", "large", then_branch=branch("t"), else_branch=branch("e"))
        return grown(made, weights=[tensor("cond", True, np.bool_)])
    infos = [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        helper.make_tensor_value_info("v", TensorProto.FLOAT, []),
    ]
    outs = [
        helper.make_tensor_value_info("c2", TensorProto.BOOL, []),
        helper.make_tensor_value_info("v2", TensorProto.FLOAT, []),
    ]
    body = helper.make_graph(
        [node("Identity", "c", "c2"), node("Identity", "v", "v2")], "body", infos, outs
    )
    made = helper.make_node("Loop", ["", "cond", "start"], ["large"], body=body)
    weights = [tensor("cond", True, np.bool_), tensor("start", 0.0)]
    return grown(made, weights=weights)


@pytest.mark.parametrize("op", ["Loop", "If"])
def test_loops_and_branches_are_refused_unrun(written, op):
    refused(written(*loop(op)), "loops or branches")


TERABYTES = [
    (node("ConstantOfShape", "size", "large"), [100_000, 100_000, 100]),
    (node("Expand", "f size", "large"), [100_000, SIDE, SIDE * 1000, 3]),
    (node("Tile", "f size", "large"), [10_000, 1000, 100, 1]),
    (node("Pad", "f size", "large"), [0, 0, 0, 0, 100_000, 100_000, 0, 0]),
    (helper.make_node("Resize", ["f", "", "", "size"], ["large"]), [1, 1_000_000, 1_000_000, 3]),
]


@pytest.mark.parametrize(("grows", "size"), TERABYTES, ids=lambda v: getattr(v, "op_type", ""))
def test_tensors_of_terabytes_are_refused_in_bounded_memory(written, grows, size):
    path = written(*grown(grows, weights=[tensor("size", size, np.int64)]))
    refused(path, "ONNX Runtime cannot")


def test_tensors_that_double_at_each_step_are_refused(written):
    steps = [node("Concat", "f f", "d0", axis=0)]
    steps += [node("Concat", f"d{n} " * 64, f"d{n + 1}", axis=0) for n in range(8)]
    refused(written(*grown(*steps, node("Identity", "d8", "large"))), "ONNX Runtime cannot")


def external(model, location="../../etc/passwd"):
    weight = model.graph.initializer[1]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)


def test_weights_in_other_files_are_never_opened(written):
    refused(written(more=external), "in an external file")


def test_constants_in_other_files_are_never_opened(written):
    def constant(model):
        value = tensor("c", 1.0)
        value.ClearField("raw_data")
        value.external_data.add(key="location", value="/etc/passwd")
        model.graph.node.append(node("Constant", "", "unused", value=value))

    refused(written(more=constant), "in an external file")


def test_foreign_and_random_operations_are_refused(written):
    refused(written([*MEAN, node("Evil", "f", "x", domain="org.else")]), "org.else::Evil")
    refused(written([*MEAN, node("RandomNormalLike", "f", "x")]), "at random")


def test_sparse_weights_and_functions_are_refused(written):
    def sparse(model):
        made = helper.make_sparse_tensor(tensor("s", [1.0]), tensor("i", [3], np.int64), [10])
        model.graph.sparse_initializer.append(made)

    def function(model):
        model.functions.append(
            helper.make_function("own", "F", ["a"], ["b"], [node("Identity", "a", "b")],
                                 [helper.make_opsetid("", 20)])
        )  # fmt: skip

    refused(written(more=sparse), "sparse")
    refused(written(more=function), "functions")


@pytest.mark.parametrize(
    ("takes", "says"),
    [
        ((TensorProto.FLOAT, ["n", SIDE, SIDE, 3]), "its card says crops"),
        ((TensorProto.UINT8, ["n", SIDE, SIDE + 1, 3]), "its card says crops"),
        ((TensorProto.UINT8, ["n", 3, SIDE, SIDE]), "its card says crops"),
        ((TensorProto.UINT8, ["n", SIDE * SIDE * 3]), "its card says crops"),
    ],
)
def test_graphs_that_take_something_else_are_refused(written, takes, says):
    of = MEAN if len(takes[1]) == 4 else [MEAN[0], node("ReduceMean", "f one", "m", keepdims=0)]
    of = [*of[:2], *MEAN[2:]]
    refused(written(of, [*WEIGHTS, tensor("one", [1], np.int64)], takes=takes), says)


def test_graph_of_another_size_than_its_card(written):
    refused(written(input_px=32), "its card says crops")


@pytest.mark.parametrize("batch", [1, 2])
def test_graphs_of_a_fixed_batch_are_asked_in_parts(written, batch):
    crops = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    free = OnnxScorer(written()).score(crops)
    fixed = OnnxScorer(written(takes=(TensorProto.UINT8, [batch, SIDE, SIDE, 3])))
    assert np.allclose(fixed.score(crops).logit, free.logit, atol=1e-6)
    assert fixed.score(crops[:0]).p_fake.shape == (0,)


TIMES, SQUASH = MEAN[2], MEAN[3]
LIES = {
    "p_fake outside": (
        [*MEAN[:3], node("Add", "logit two", "p_fake")],
        "outside 0 to 1",
    ),
    "nan": (
        [*MEAN[:2], node("Sub", "m m", "z"), node("Div", "z z", "logit"), SQUASH],
        "not finite",
    ),
    "infinite": (
        [MEAN[0], node("Exp", "f", "e"), node("Exp", "e", "ee"),
         node("ReduceMean", "ee axes", "logit", keepdims=0), SQUASH],
        "not finite",
    ),
    "disagree": (
        [*MEAN[:3], node("Neg", "logit", "other"), node("Sigmoid", "other", "p_fake")],
        "disagree",
    ),
    "one for all": (
        [*MEAN[:2], node("ReduceMean", "m", "mm", keepdims=0), node("Mul", "mm small", "logit"),
         SQUASH],
        "for 1 crops is",
    ),
    "a row each": (
        [MEAN[0], node("ReduceMean", "f axes", "m", keepdims=1), TIMES, SQUASH],
        "for 1 crops",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_answers_that_no_score_can_be_are_refused(written, lie):
    nodes, says = LIES[lie]
    refused(written(nodes, [*WEIGHTS, tensor("two", 2.0)]), says)


def test_missing_outputs_and_doubles_are_refused(written):
    refused(written(outs=("logit",)), "no output p_fake")
    refused(written(guard=Guard()), "unfamiliar")

    def double(model):
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE

    refused(written(more=double), "ONNX Runtime cannot|no output p_fake")


GREY = node("ReduceMean", "h three", "heat", keepdims=0)


@pytest.mark.parametrize(
    ("name", "made", "says"),
    [
        ("heat", [node("Neg", "f", "h"), GREY], "negative"),
        ("heat", [node("Concat", "f f", "h", axis=0), GREY], r"its heat for 1 crops is \(2"),
        ("heat", [node("Identity", "m", "heat")], "its heat for 1 crops is"),
        ("unfamiliar", [node("Neg", "m", "unfamiliar")], "negative"),
        ("unfamiliar", [node("Identity", "f", "unfamiliar")], "its unfamiliar for 1"),
    ],
)  # fmt: skip
def test_maps_and_guards_that_lie_are_refused(written, name, made, says):
    weights = [*WEIGHTS, tensor("three", [3], np.int64)]
    refused(written([*MEAN, *made], weights, outs=("p_fake", "logit", name)), says)


def test_graph_that_is_not_the_one_of_its_card(written):
    refused(written(graph_sha256="0" * 64), "graph check", ModelMismatch)
    path = written(graph_sha256="")  # nothing to hold it against: said by `models verify`
    OnnxScorer(path)
    with pytest.raises(ModelMismatch, match="nothing"):
        verify_bytes(path)


def test_answers_that_are_not_those_of_its_card(written):
    refused(written(self_check=(0.01, 0.5, 0.5, 0.5)), "where its card says", ModelMismatch)


def test_lying_answers_of_a_later_call_are_refused(written):
    """Finite on the check pictures, not on black: a model can wait with its lie."""
    nodes = [*MEAN[:2], node("Div", "m m", "one"), node("Mul", "one small", "logit"), MEAN[3]]
    scorer = OnnxScorer(written(nodes))
    with pytest.raises(ModelError, match="not finite"):
        scorer.score(np.zeros((1, SIDE, SIDE, 3), np.uint8))


def test_nothing_is_printed_whatever_fails(written, capfd):
    with pytest.raises(ModelError):
        OnnxScorer(written([node("Cast", "crops", "p_fake", to=1)]))
    with pytest.raises(ModelError):
        OnnxScorer(written([*MEAN[:2], node("Conv", "f f", "logit"), MEAN[3]]))
    assert capfd.readouterr() == ("", "")


def answers(path):
    return OnnxScorer(path).score(check_pictures()).p_fake


@pytest.mark.parametrize("name", ["meso4", "mesoscope"])
def test_no_bit_of_a_shipped_model_turns_unnoticed(tmp_path, name):
    whole = shipped()[name].read_bytes()
    path = tmp_path / "flipped.onnx"
    path.write_bytes(whole)
    before = OnnxScorer(path).card
    rng = np.random.default_rng(7)
    judged = 0
    for place in rng.integers(0, len(whole) * 8, 60):
        flipped = bytearray(whole)
        flipped[place >> 3] ^= 1 << (place & 7)
        path.write_bytes(flipped)
        try:
            found = OnnxScorer(path)
        except ModelError:
            continue
        judged += 1
        assert found.card == before
    assert judged == 0


def test_no_bit_of_a_copy_without_a_seal_changes_scores(tmp_path):
    whole = shipped()["meso4"].read_bytes()
    path = tmp_path / "flipped.onnx"
    path.write_bytes(whole)
    before = answers(path)
    rng = np.random.default_rng(8)
    heads = rng.integers(0, 8 * 200, 30)
    for place in [*heads, *rng.integers(0, len(whole) * 8, 30), *(len(whole) * 8 - heads - 1)]:
        flipped = bytearray(whole)
        flipped[place >> 3] ^= 1 << (place & 7)
        path.write_bytes(flipped)
        try:
            found = answers(path)
        except ModelError:
            continue
        assert np.array_equal(found, before)


def test_deep_nesting_is_damage_and_not_a_traceback(tmp_path, written):
    deep = b""
    for _ in range(5000):
        deep = length_delimited(6, deep)
    graph = length_delimited(1, length_delimited(5, deep))
    card = ModelCard(name="n", architecture="a", graph_sha256=hashlib.sha256(graph).hexdigest())
    card = dataclasses.replace(card, input_px=SIDE)
    entry = length_delimited(1, b"mesoscope.card") + length_delimited(2, card.to_json().encode())
    path = tmp_path / "deep.onnx"
    path.write_bytes(b"\x08\x0a" + length_delimited(7, graph) + length_delimited(14, entry))
    refused(path, "loops or branches")
