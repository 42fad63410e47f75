"""``mesoscope models add FILE.onnx --card CARD.toml``: detectors of others, in their layouts."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mesoscope import Detector
from mesoscope.cli.main import mesoscope
from mesoscope.detection.scorer import OnnxScorer, check_pictures, self_check
from mesoscope.errors import ModelError, OptionError, RecipeError
from mesoscope.models.file import read_card, shipped, verify_bytes

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch", reason="the train extra is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - only where it is installed

from mesoscope.training.adopt.bring import import_classifier  # noqa: E402
from mesoscope.training.adopt.foreign_card import (  # noqa: E402
    ForeignCard,
    InputKeys,
    OutputKeys,
    read_foreign_card,
)

pytestmark = pytest.mark.usefixtures("quick_export")

SIDE = 24
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RNG = np.random.default_rng(3)
FILTERS = RNG.normal(0, 0.5, (4, 3, 3, 3)).astype(np.float32)
DENSE = RNG.normal(0, 0.7, (4, 3)).astype(np.float32)


def network(
    path,
    *,
    classes=2,
    nhwc=False,
    last=(),
    batch="n",
    opset=17,
    ir=8,
    kind=TensorProto.FLOAT,
    more=(),
):
    """A convolution, ReLU, global mean and a dense layer; ``last`` comes behind them."""
    shape = [batch, SIDE, SIDE, 3] if nhwc else [batch, 3, SIDE, SIDE]
    nodes, at = [], "input"
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [at], ["cast"], to=TensorProto.FLOAT))
        at = "cast"
    if nhwc:
        nodes.append(helper.make_node("Transpose", [at], ["chw"], perm=[0, 3, 1, 2]))
        at = "chw"
    nodes += [
        helper.make_node("Conv", [at, "filters"], ["maps"], strides=[2, 2]),
        helper.make_node("Relu", ["maps"], ["bright"]),
        helper.make_node("GlobalAveragePool", ["bright"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["row"]),
        helper.make_node("MatMul", ["row", "dense"], ["scores"]),
    ]
    at = "scores"
    for op, attributes in last:
        nodes.append(helper.make_node(op, [at], [f"{at}+"], **attributes))
        at += "+"
    nodes.append(helper.make_node("Identity", [at], ["output"]))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("input", kind, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(FILTERS, "filters"),
            numpy_helper.from_array(DENSE[:, :classes].copy(), "dense"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    path.write_bytes(made.SerializeToString())
    return path


def expected(pictures):
    """The dense layer's scores of the network, by hand: ``(n, 3)`` for values ``(n, h, w, 3)``."""
    x = np.moveaxis(pictures.astype(np.float64), 3, 1)
    steps = range(0, SIDE - 2, 2)
    patches = np.stack([[x[:, :, i : i + 3, j : j + 3] for j in steps] for i in steps])
    maps = np.maximum(np.einsum("ijncab,fcab->nfij", patches, FILTERS), 0).mean(axis=(2, 3))
    return maps @ DENSE


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def pictures():
    return np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


def wrapped(tmp_path, file, **of):
    out = tmp_path / "wrapped.onnx"
    given, answers = of.pop("input", {}), of.pop("output", {})
    card = ForeignCard(
        name="other", input=InputKeys(size=SIDE, **given), output=OutputKeys(**answers), **of
    )
    import_classifier(file, card, out)
    verify_bytes(out)
    scorer = OnnxScorer(out)
    assert self_check(scorer) <= 1e-6
    return scorer


@pytest.mark.parametrize("batch", ["n", 1, 3])
@pytest.mark.parametrize(("opset", "ir"), [(9, 4), (11, 6), (13, 7), (17, 8), (20, 10)])
def test_nchw_with_mean_and_deviation_and_two_logits(tmp_path, pictures, batch, opset, ir):
    """As timm and torchvision export."""
    file = network(tmp_path / "t.onnx", batch=batch, opset=opset, ir=ir)
    scorer = wrapped(tmp_path, file, input={"mean": MEAN, "deviation": DEVIATION})
    scores = expected((pictures / 255 - MEAN) / DEVIATION)
    found = scorer.score(pictures)
    assert found.logit == pytest.approx(scores[:, 1] - scores[:, 0], abs=1e-4)
    assert found.p_fake == pytest.approx(sigmoid(scores[:, 1] - scores[:, 0]), abs=1e-5)


def test_softmax_of_two_and_fake_first(tmp_path, pictures):
    file = network(tmp_path / "t.onnx", last=[("Softmax", {"axis": 1})])
    scorer = wrapped(tmp_path, file, output={"gives": "probability", "fake_classes": (0,)})
    scores = expected(pictures / 255)
    assert scorer.score(pictures).logit == pytest.approx(scores[:, 0] - scores[:, 1], abs=1e-3)


@pytest.mark.parametrize("last", [[], [("Softmax", {"axis": 1})]])
def test_three_classes_of_which_two_are_forged(tmp_path, pictures, last):
    file = network(tmp_path / "t.onnx", classes=3, last=last)
    gives = "probability" if last else "logit"
    scorer = wrapped(tmp_path, file, output={"gives": gives, "fake_classes": (0, 2)})
    odds = np.exp(expected(pictures / 255))
    p = (odds[:, 0] + odds[:, 2]) / odds.sum(axis=1)
    assert scorer.score(pictures).p_fake == pytest.approx(p, abs=1e-5)


@pytest.mark.parametrize("span", ["0..1", "0..255", "-1..1"])
def test_nhwc_with_one_sigmoid(tmp_path, pictures, span):
    """As Keras exports; the last value may mean "real"."""
    file = network(tmp_path / "k.onnx", classes=1, nhwc=True, last=[("Sigmoid", {})])
    of = {"layout": "nhwc", "range": span}
    if span == "0..255":
        of["deviation"] = (100.0, 100.0, 100.0)
    answers = {"gives": "probability", "fake_is": "low"}
    scorer = wrapped(tmp_path, file, input=of, output=answers)
    values = {"0..1": pictures / 255, "0..255": pictures / 100, "-1..1": pictures / 127.5 - 1}[span]
    p = 1 - sigmoid(expected(values)[:, 0])
    assert scorer.score(pictures).p_fake == pytest.approx(p, abs=1e-5)


def test_bgr_and_one_logit(tmp_path, pictures):
    file = network(tmp_path / "b.onnx", classes=1)
    scorer = wrapped(tmp_path, file, input={"colours": "bgr", "mean": MEAN})
    scores = expected(pictures[..., ::-1] / 255 - MEAN)
    assert scorer.score(pictures).logit == pytest.approx(scores[:, 0], abs=1e-4)


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.FLOAT16])
def test_networks_that_take_bytes_or_halves(tmp_path, pictures, kind):
    file = network(tmp_path / "u.onnx", classes=1, nhwc=True, kind=kind, last=[("Tanh", {})])
    scorer = wrapped(tmp_path, file, input={"layout": "nhwc", "range": "0..255"})
    told = np.tanh(expected(pictures)[:, 0])
    assert scorer.score(pictures).logit == pytest.approx(told, abs=1e-2)


def test_batch_that_is_one_inside_though_it_says_any(tmp_path, pictures):
    reshape = helper.make_node("Reshape", ["input", "one"], ["same"])
    file = network(tmp_path / "r.onnx", classes=1)
    model = onnx.load(file)
    model.graph.node.insert(0, reshape)
    model.graph.node[1].input[0] = "same"
    model.graph.initializer.append(
        numpy_helper.from_array(np.array([1, 3, SIDE, SIDE], np.int64), "one")
    )
    file.write_bytes(model.SerializeToString())
    scorer = wrapped(tmp_path, file)
    scores = expected(pictures / 255)
    assert scorer.score(pictures).logit == pytest.approx(scores[:, 0], abs=1e-4)


def test_one_of_ours_wrapped_judges_the_same(tmp_path, make_face):
    """Through the detector, to the bit: the wrapped graph is the same one."""
    ours = shipped()["meso4"]
    card = ForeignCard(
        name="copy",
        input=InputKeys(size=256, layout="nhwc", range="0..255"),
        output=OutputKeys(name="logit"),
    )
    import_classifier(ours, card, tmp_path / "copy.onnx")
    faces = []
    for n in range(3):
        faces.append(str(tmp_path / f"{n}.png"))
        made = make_face(n)
        (made if isinstance(made, Image.Image) else Image.fromarray(made)).save(faces[-1])
    options = {"faces": "whole", "guard": False}
    before = [v.p_fake for v in Detector(str(ours), **options).check_many(faces)]
    after = [v.p_fake for v in Detector(str(tmp_path / "copy.onnx"), **options).check_many(faces)]
    assert after == pytest.approx(before, abs=1e-7)
    assert None not in after


WRONG = [
    ({"input": {"layout": "nhwc"}}, {}, "correct input.size or input.layout"),
    ({"size": 32}, {}, "correct input.size or input.layout"),
    ({"output": {"gives": "probability"}}, {}, "are no probabilities"),
    ({}, {"last": [("Softmax", {"axis": 1})]}, "say output.gives = 'probability'"),
    ({"output": {"fake_classes": (2,)}}, {}, "it has 2 classes"),
    ({"output": {"fake_classes": (0, 1)}}, {}, "it has 2 classes"),
    ({"output": {"name": "absent"}}, {}, "its outputs are output"),
    ({}, {"last": [("Log", {}), ("Sqrt", {})]}, "not finite"),
    ({}, {"opset": 7, "ir": 3}, "opset 7"),
    ({}, {"kind": TensorProto.INT64}, "it takes INT64"),
]


@pytest.mark.parametrize(("card", "made", "says"), WRONG)
def test_wrong_declarations_are_refused_and_nothing_is_written(tmp_path, card, made, says):
    file = network(tmp_path / "w.onnx", **made)
    out = tmp_path / "out.onnx"
    foreign = ForeignCard(
        name="w",
        input=InputKeys(**{"size": card.get("size", SIDE), **card.get("input", {})}),
        output=OutputKeys(**card.get("output", {})),
    )
    with pytest.raises(ModelError, match=says) as caught:
        import_classifier(file, foreign, out)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.onnx"]


def test_what_is_no_network_is_refused(tmp_path):
    foreign = ForeignCard(name="w", input=InputKeys(size=SIDE))
    for data in (b"", b"hello", bytes(range(256)) * 9):
        (tmp_path / "no.onnx").write_bytes(data)
        with pytest.raises(ModelError):
            import_classifier(tmp_path / "no.onnx", foreign, tmp_path / "out.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        import_classifier(tmp_path / "absent.onnx", foreign, tmp_path / "out.onnx")
    onnx.save(
        onnx.load(network(tmp_path / "e.onnx")), tmp_path / "far.onnx", save_as_external_data=True,
        location="far.bin", size_threshold=0,
    )  # fmt: skip
    with pytest.raises(ModelError, match="in an external file"):
        import_classifier(tmp_path / "far.onnx", foreign, tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "name must"),
        ("name = '../up'", "name must"),
        ("name = 'a'\n[input]\nsise = 3", "did you mean 'input.size'"),
        ("name = 'a'\n[input]\nsize = 100000", "input.size must lie in 8..2048"),
        ("name = 'a'\n[input]\nmean = [1.0]", "input.mean must be 3 numbers"),
        ("name = 'a'\n[input]\ndeviation = [0, 1, 1]", "input.deviation must"),
        ("name = 'a'\n[input]\nmean = [nan, 0, 0]", "input.mean must"),
        ("name = 'a'\n[input]\nlayout = 'hwcn'", "input.layout must"),
        ("name = 'a'\n[input]\nface_margin = 1e9", "input.face_margin must"),
        ("name = 'a'\n[output]\nfake_classes = []", "output.fake_classes must"),
        ("name = 'a'\n[output]\nfake_classes = [-1]", "output.fake_classes must"),
        ("name = 'a'\n[thresholds]\nreal_below = 0.9\nfake_above = 0.1", "thresholds must"),
        ("name = 'a'\n[thresholds]\nreal_below = nan", "thresholds must"),
    ],
)
def test_cards_that_cannot_be_are_refused(tmp_path, text, says):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(RecipeError, match=says) as caught:
        read_foreign_card(tmp_path / "c.toml")
    assert "\n" not in str(caught.value)


def test_card_of_the_page_is_the_defaults(tmp_path):
    page = Path(__file__).parents[2] / "docs/how-to/bring-your-own-model.md"
    (tmp_path / "c.toml").write_text(page.read_text("utf-8").split("```toml\n")[1].split("```")[0])
    assert read_foreign_card(tmp_path / "c.toml") == ForeignCard(name="swin-forgery")


# --- as a user runs it


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A user's data folder that is still empty."""
    folder = tmp_path / "data"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    monkeypatch.setenv("LOCALAPPDATA", str(folder))
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    return folder


def run(*arguments):
    return CliRunner().invoke(mesoscope, [str(a) for a in arguments])


@pytest.fixture
def labelled(tmp_path):
    """Faces whose forgeries are brighter, mostly."""
    root, rng = tmp_path / "faces", np.random.default_rng(5)
    for label, base in (("real", 80), ("fake", 130)):
        folder = root / "validation" / label
        folder.mkdir(parents=True)
        for n in range(40):
            level = base + rng.normal(0, 30)
            noise = rng.normal(level, 20, (48, 48, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noise).save(folder / f"{n}.png")
    return root


def bright(path):
    """One value: the mean brightness, uncalibrated and upside down."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["m"]),
        helper.make_node("Flatten", ["m"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    made = helper.make_graph(
        nodes, "bright", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.full((3, 1), -7, np.float32), "w")],
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


CARD = """name = "bright"
architecture = "mean"
licence = "CC0"

[input]
size = 32

[output]
fake_is = "low"
"""


def test_added_calibrated_listed_used_and_removed(home, tmp_path, labelled):
    file, card = bright(tmp_path / "b.onnx"), tmp_path / "b.toml"
    card.write_text(CARD)
    done = run("models", "add", file, "--card", card, "--calibrate", labelled)
    assert done.exit_code == 0, done.output
    assert "use it with --model bright" in done.output
    kept = home / "mesoscope/models/bright.onnx"
    made = read_card(kept)
    assert made.calibration.method == "Platt scaling"
    assert 0 < made.thresholds.real_below <= made.thresholds.fake_above < 1
    assert made.metrics["auc"] > 0.8
    assert "bright" in run("models", "list").output
    assert run("models", "verify", "bright").exit_code == 0
    assert "CC0" in run("models", "show", "bright").output

    out = tmp_path / "verdicts.jsonl"
    scanned = run("scan", labelled / "validation/fake", "--model", "bright", "--faces", "whole",
                  "--no-table", "--out", out)  # fmt: skip
    assert scanned.exit_code == 0, scanned.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 40
    assert {row["model"].partition("@")[0] for row in rows} == {"bright"}
    assert np.mean([row["p_fake"] for row in rows]) > 0.6
    shown = run("explain", labelled / "validation/fake/0.png", "--model", "bright", "--faces",
                "whole", "--out", tmp_path / "e.png")  # fmt: skip
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "e.png").stat().st_size > 1000
    told = run("evaluate", labelled, "--model", "bright", "--out", tmp_path / "report")
    assert told.exit_code == 0, told.output

    again = run("models", "add", file, "--card", card)
    assert isinstance(again.exception, OptionError)
    assert "already" in str(again.exception)
    assert run("models", "remove", "bright").exit_code == 0
    assert not kept.exists()
    assert isinstance(run("models", "remove", "bright").exception, OptionError)


def test_a_model_that_separates_nothing_is_warned_of(home, tmp_path, labelled):
    for path in (labelled / "validation/real").iterdir():  # the same pictures in both classes
        shutil.copy(path, labelled / "validation/fake" / path.name)
    file, card = bright(tmp_path / "b.onnx"), tmp_path / "b.toml"
    card.write_text(CARD)
    done = run("models", "add", file, "--card", card, "--calibrate", labelled)
    assert done.exit_code == 0, done.output
    assert "warning: no threshold separates the faces of --calibrate" in done.output
    assert read_card(home / "mesoscope/models/bright.onnx").thresholds.real_below == 0


def test_written_elsewhere_and_not_calibrated(home, tmp_path):
    file, card = bright(tmp_path / "b.onnx"), tmp_path / "b.toml"
    card.write_text(CARD + "[thresholds]\nreal_below = 0.2\nfake_above = 0.9\n")
    out = tmp_path / "mine.onnx"
    done = run("models", "add", file, "--card", card, "--out", out)
    assert done.exit_code == 0, done.output
    assert "not calibrated" in done.output
    assert read_card(out).thresholds.fake_above == 0.9
    assert OnnxScorer(out).score(check_pictures(32)).p_fake.shape == (4,)


@pytest.mark.parametrize(
    "arguments",
    [
        ("yunet",), ("b.onnx",), ("yunet", "a", "--card", "c"), ("retinaface", "a.onnx"),
        ("a", "b", "--card", "c"),
    ],
)  # fmt: skip
def test_what_is_neither_form_is_said(home, arguments):
    done = run("models", "add", *arguments)
    assert isinstance(done.exception, OptionError)
    assert "give" in str(done.exception)
