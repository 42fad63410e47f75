"""``mesoscope evaluate`` as a user runs it: a process, its files, its exit code."""

import csv
import dataclasses
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from sklearn.metrics import roc_auc_score

from command_line import mesoscope
from mesoscope.models.file import file_sha256, read_card
from mesoscope.training.export.onnx_export import with_card
from mesoscope.types import ModelCard, OperatingPoint, Thresholds
from mesoscope.types.label import ANSWERS

EVALUATE = [sys.executable, "-m", "mesoscope", "evaluate"]


def run(*arguments, cwd=None):
    return mesoscope("evaluate", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file whose p_fake is the crop's mean brightness."""
    point = OperatingPoint(0.5, 0.45, 200, 100, (0.43, 0.57), 200, 0.6, (0.53, 0.67))
    card = ModelCard(
        "brightness", "none", input_px=32, thresholds=Thresholds(0.4, 0.6, "by hand"),
        operating_points=(point,),
    )  # fmt: skip
    number = TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["crops"], ["float"], to=number),
            helper.make_node("Div", ["float", "white"], ["share"]),
            helper.make_node("ReduceMean", ["share", "within"], ["mean"], keepdims=0),
            helper.make_node("Clip", ["mean", "least", "most"], ["p_fake"]),
            helper.make_node("Sub", ["one", "p_fake"], ["rest"]),
            helper.make_node("Div", ["p_fake", "rest"], ["odds"]),
            helper.make_node("Log", ["odds"], ["logit"]),
            helper.make_node("ReduceMean", ["share", "colour"], ["heat"], keepdims=0),
        ],
        "brightness",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", 32, 32, 3])],
        [
            helper.make_tensor_value_info("p_fake", number, ["n"]),
            helper.make_tensor_value_info("logit", number, ["n"]),
            helper.make_tensor_value_info("heat", number, ["n", 32, 32]),
        ],
        [
            helper.make_tensor("white", number, [], [255.0]),
            helper.make_tensor("one", number, [], [1.0]),
            helper.make_tensor("least", number, [], [1e-6]),
            helper.make_tensor("most", number, [], [1 - 1e-6]),
            helper.make_tensor("within", TensorProto.INT64, [3], [1, 2, 3]),
            helper.make_tensor("colour", TensorProto.INT64, [1], [3]),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(made, {"mesoscope.card": card.to_json()})
    path = tmp_path_factory.mktemp("model") / "brightness.onnx"
    path.write_bytes(made.SerializeToString())
    onnx.checker.check_model(str(path))
    return path


def grey(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((48, 48, 3), level, np.uint8)).save(path)


@pytest.fixture
def faces(tmp_path):
    """Ten greys of either class in validation, forgeries mostly brighter; four in train."""
    root = tmp_path / "faces"
    draw = np.random.default_rng(0)
    for label, base in (("real", 60), ("fake", 75)):
        for i in range(10):
            grey(root / "validation" / label / f"{i}.png", base + int(draw.integers(0, 100)))
        for i in range(2):
            grey(root / "train" / label / f"{i}.png", base + 20 * i)
    return root


def test_figures_page_and_predictions_are_written(faces, model, tmp_path):
    (faces / "validation/fake/cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    out = tmp_path / "deep" / "out"
    options = ("--model", model, "--out", out, "--resamples", 100)
    done = run(faces, *options)
    assert done.returncode == 1, done.stderr  # one picture could not be read
    assert "Traceback" not in done.stderr
    assert {path.name for path in out.iterdir()} == {
        "metrics.json", "predictions.csv", "told.csv", "report.html", "roc.png",
        "precision_recall.png", "reliability.png", "scores.png", "mistakes.png",
    }  # fmt: skip
    data = json.loads((out / "metrics.json").read_text())
    assert (data["n"], data["n_real"], data["n_fake"], data["n_scored"]) == (21, 10, 11, 20)
    assert data["coverage"] == pytest.approx(20 / 21, abs=1e-6)
    assert data["conditions"]["model_sha256"] == file_sha256(model)
    assert data["conditions"]["model"] == f"brightness@{file_sha256(model)[:8]}"
    with (out / "predictions.csv").open(newline="") as file:
        scored = [row for row in csv.DictReader(file) if row["p_fake"]]
    truth = [row["label"] == "fake" for row in scored]
    scores = [float(row["p_fake"]) for row in scored]
    assert data["auc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
    low, high = data["intervals"]["auc"]
    assert low < data["auc"] <= high
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "cut.jpg" in page
    assert f"mesoscope evaluate {faces}" in page
    header, row, _, told, real, fake, last = done.stdout.splitlines()
    assert header.split() == ["source", "n", "accuracy", "AUC", "decided", "wrong", "coverage"]
    assert row.split()[:2] == ["faces", "21"]
    assert f"{data['auc']:.3f} [{low:.3f}, {high:.3f}]" in row
    assert told.split() == ["items", "source", "n", *ANSWERS]
    assert (real.split()[:5], fake.split()[:5]) == (
        ["real", "ones", "told", "all", "10"], ["fake", "ones", "told", "all", "11"]
    )  # fmt: skip
    assert last == f"page: {out / 'report.html'}"


def test_a_second_model_is_compared_on_the_same_items(faces, model, tmp_path):
    other, out = tmp_path / "darkness.onnx", tmp_path / "out"
    graph = onnx.load(model)
    card = dataclasses.replace(read_card(model), name="darkness")
    for node in graph.graph.node:  # p_fake = 1 - mean brightness
        if node.output[0] in ("p_fake", "rest"):
            node.output[0] = "rest" if node.output[0] == "p_fake" else "p_fake"
            node.input[:] = [{"p_fake": "rest"}.get(name, name) for name in node.input]
    other.write_bytes(with_card(graph, card))
    options = ("--model", model, "--out", out, "--resamples", 100)
    done = run(faces, *options, "--against", other)
    assert done.returncode == 0, done.stderr
    data = json.loads((out / "metrics.json").read_text())
    assert data["against"]["model"] == f"darkness@{file_sha256(other)[:8]}"
    auc = data["against"]["figures"]["faces"]["auc"]
    assert auc["model"] == data["auc"]
    assert auc["against"] == pytest.approx(1 - data["auc"], abs=1e-6)
    assert auc["difference"] == pytest.approx(auc["model"] - auc["against"], abs=1e-6)
    assert auc["interval"][0] < auc["difference"] < auc["interval"][1]
    with (out / "against.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))["difference"]) == auc["difference"]
    lines = done.stdout.splitlines()
    (at,) = [i for i, line in enumerate(lines) if line.startswith("darkness@")]
    assert lines[at].endswith(", on the same items:")
    assert f"{auc['against']:.3f} → {auc['model']:.3f}: {auc['difference']:+.3f}" in lines[at + 2]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Against another model" in page
    assert f"--against {other}" in page
    assert run(faces, *options).returncode == 0
    assert not (out / "against.csv").exists(), "no file of an earlier evaluation stays"


def test_a_job_is_evaluated_without_judging(faces, model, tmp_path):
    options = ("--model", model, "--resamples", 50)
    assert run(faces, *options, "--out", tmp_path / "judged").returncode == 0
    scan = ("scan", faces, "--model", model, "--faces", "whole", "--out", tmp_path / "job/")
    assert mesoscope(*scan).returncode == 0
    for path in faces.rglob("*.png"):  # for the page's mistakes the pictures stay in their places
        grey(path, 0)
    asked = (faces, *options, "--job", tmp_path / "job", "--out", tmp_path / "stored")
    done = run(*asked)
    assert done.returncode == 0, done.stderr
    first, again = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("judged", "stored")
    )
    assert again["conditions"].pop("job") == str(tmp_path / "job")
    assert again["conditions"] == first["conditions"]
    assert again["auc"] == first["auc"]
    assert (tmp_path / "stored/told.csv").read_bytes() == (
        tmp_path / "judged/told.csv"
    ).read_bytes()
    page = (tmp_path / "stored/report.html").read_text(encoding="utf-8")
    assert f"--job {tmp_path / 'job'}" in page
    for more, says in [
        (("--faces", "whole"), "--faces is for judging, and a job is judged: leave it out"),
        (("--robustness",), "--robustness is for judging, and a job is judged: leave it out"),
        (("--against", "meso4"), "--against is for judging, and a job is judged: leave it out"),
    ]:
        refused = run(*asked, *more)
        assert (refused.returncode, says in refused.stderr) == (2, True), refused.stderr
    refused = run(faces, "--ledger", "sqlite:///x", "--out", tmp_path / "o")
    assert (refused.returncode, "--ledger needs --job" in refused.stderr) == (2, True)
    refused = run(faces, "--job", tmp_path, "--out", tmp_path / "o")
    assert (refused.returncode, "Traceback" in refused.stderr) == (2, False), refused.stderr


def test_the_command_on_the_page_does_the_same_again(faces, model, tmp_path):
    out = tmp_path / "out put"
    assert run(faces, "--model", model, "--out", out, "--resamples", 50).returncode == 0
    first = {name: (out / name).read_bytes() for name in ("metrics.json", "predictions.csv")}
    page = (out / "report.html").read_text(encoding="utf-8")
    command = page.split("<pre>")[1].split("</pre>")[0].replace("&#39;", "'")
    assert "--resamples 50" in command
    again = command.replace("mesoscope evaluate", f"{sys.executable} -m mesoscope evaluate", 1)
    done = subprocess.run(again, shell=True, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert first == {name: (out / name).read_bytes() for name in first}


def test_several_sources_and_all_splits(faces, model, tmp_path):
    other = tmp_path / "other"
    for i in range(4):
        grey(other / "test" / ("real" if i % 2 else "fake") / f"{i}.png", 50 * i)
    options = ("--model", model, "--split", "all", "--out", tmp_path / "out", "--resamples", 0)
    done = run(faces, other, *options)
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "out/metrics.json").read_text())
    assert data["conditions"]["splits"] == {"test": 4, "train": 4, "validation": 20}
    assert {name: one["n"] for name, one in data["by_source"].items()} == {"faces": 24, "other": 4}
    assert data["intervals"]["auc"] is None
    names = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert names[:5] == ["source", "faces", "other", "all", "mean over sources"]
    assert "4 of the 28 pictures are of a train split" in done.stderr
    assert "4 of the 28 pictures are of a train split" in (tmp_path / "out/report.html").read_text()


def test_alarms_at_a_rate_and_their_truth_at_prevalences(faces, model, tmp_path):
    options = ("--model", model, "--out", tmp_path / "out", "--resamples", 0)
    asked = ("--fpr", 0.5, "--prevalence", 0.001, "--prevalence", 0.1)
    done = run(faces, *options, *asked)
    assert done.returncode == 0, done.stderr
    label, card, here = json.loads((tmp_path / "out/metrics.json").read_text())["alarms"]
    assert (label["name"], label["threshold"]) == ("label", 0.6)
    assert (card["name"], card["threshold"], card["wanted_fpr"]) == ("card", 0.45, 0.5)
    assert (here["name"], here["false_alarms"], here["fpr"]) == ("here", 5, 0.5)
    with (tmp_path / "out/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    false = sum(row["label"] == "real" and float(row["p_fake"]) >= 0.45 for row in rows)
    assert card["false_alarms"] == false
    tpr, fpr = here["tpr"], here["fpr"]
    assert [one["prevalence"] for one in here["true_alarms"]] == [0.001, 0.1]
    assert here["true_alarms"][1]["share"] == pytest.approx(
        0.1 * tpr / (0.1 * tpr + 0.9 * fpr), abs=1e-6
    )
    lines = done.stdout.splitlines()
    head = next(line for line in lines if line.startswith("threshold"))
    assert "true alarms at 0.001" in head
    assert any(line.startswith("card's threshold, FPR 0.5") for line in lines)
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "--prevalence 0.001 \\\n  --prevalence 0.1" in page
    assert "true alarms at 0.1" in page


def test_a_rate_without_enough_reals_is_said_and_not_guessed(faces, model, tmp_path):
    done = run(faces, "--model", model, "--out", tmp_path / "o", "--resamples", 0, "--fpr", 0.01)
    assert done.returncode == 0, done.stderr
    assert "has no threshold for a false-positive rate of 0.01: choose one of 0.5" in done.stdout
    assert "10 reals, worth 10 of a group of their own" in done.stdout


def test_one_class_is_measured_as_far_as_it_goes(faces, model, tmp_path):
    for path in (faces / "validation/fake").iterdir():
        path.unlink()
    done = run(faces, "--model", model, "--out", tmp_path / "out", "--threshold", 0.5)
    assert done.returncode == 0, done.stderr
    assert "No fake picture in faces" in done.stderr
    data = json.loads((tmp_path / "out/metrics.json").read_text())
    assert data["auc"] is None
    assert data["accuracy"] == pytest.approx(1 - data["error_among_decided"])
    assert data["decided"] == 1


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"--split": "test"}, 2, "no pictures in test: there are train (4), validation (20)"),
        ({"--model": "none"}, 3, "none"),
        ({"--out": "file/below"}, 1, "cannot be written"),
        ({"--threshold": "2"}, 2, "--threshold"),
        ({"--split": "dev"}, 2, "--split"),
        ({"--fpr": "1"}, 2, "--fpr"),
        ({"--prevalence": "0"}, 2, "--prevalence"),
        ({"--against": "none"}, 3, "none: no model file there"),
        ({"--against": "MODEL"}, 2, "that is the evaluated model: name another one"),
    ],
)
def test_what_cannot_work_is_refused_before_the_work(faces, model, tmp_path, change, code, said):
    (tmp_path / "file").touch()
    change = {name: model if value == "MODEL" else value for name, value in change.items()}
    options = {"--model": model, "--out": "out", "--resamples": 0} | change
    done = run(faces, *(word for pair in options.items() for word in pair), cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("**/metrics.json"))


def test_a_missing_folder_and_a_missing_option_are_usage(model, tmp_path):
    gone = run(tmp_path / "gone", "--model", model, "--out", tmp_path / "out")
    assert gone.returncode == 2
    assert "no such folder" in gone.stderr
    assert not (tmp_path / "out").exists()
    assert run(tmp_path).returncode == 2


def test_without_the_extra_it_says_what_to_install(faces, model, tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not installed')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from mesoscope.cli.main import main; "
    )
    code += f"main(['evaluate', {str(faces)!r}, '--model', {str(model)!r}, '--out', 'out'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=250
    )
    assert done.returncode == 3
    assert "pip install 'mesoscope[report]'" in done.stderr
    assert not (tmp_path / "out").exists()
