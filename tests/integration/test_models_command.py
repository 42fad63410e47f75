"""``mesoscope models`` on what is shipped."""

import dataclasses
import json
import re
import subprocess
import sys

import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

from command_line import mesoscope
from mesoscope.cli.models import command
from mesoscope.evaluation import throughput as speed
from mesoscope.models.file import read_card, shipped
from mesoscope.types import OperatingPoint

SHIPPED = [
    "meso4", "mesoinception4", "mesoscope", "mesoscope-medium", "mesoscope-small",
]  # fmt: skip
ARCHITECTURES = [
    "meso4", "mesoinception4", "meso4_ira + meso4_ira", "meso4_ira", "meso4_ira",
]  # fmt: skip


def models(*arguments):
    return mesoscope("models", *arguments)


def test_the_shipped_models_are_these_and_whole():
    assert sorted(shipped()) == SHIPPED
    done = models("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[:2][1].split("@")[0] for line in done.stdout.splitlines()] == SHIPPED


def rows_of(text):
    head, *rows = text.splitlines()
    assert re.split(r" {2,}", head)[:8] == [
        "name", "id", "architecture", "parameters", "kB", "multiply-adds", "accuracy", "AUC",
    ]  # fmt: skip
    return [re.split(r" {2,}", row) for row in rows]


def test_list_has_a_line_a_model_with_means_over_its_sources():
    rows = rows_of(models("list").stdout)
    assert [row[0] for row in rows] == SHIPPED
    for name, _, architecture, parameters, size, cost, accuracy, auc in rows:
        card = read_card(shipped()[name])
        sources = card.metrics["by_source"].values()
        assert architecture == card.architecture
        assert parameters == f"{card.parameters:,}"
        assert size == f"{shipped()[name].stat().st_size / 1000:,.0f}"
        assert cost == (f"{card.multiply_adds / 1e6:.0f} M" if card.multiply_adds else "–")
        assert accuracy == f"{sum(s['accuracy'] for s in sources) / len(sources):.3f}"
        assert auc == f"{sum(s['auc'] for s in sources) / len(sources):.3f}"


def test_list_measures_speed_where_asked_and_does_not_load_onnx_runtime_otherwise(monkeypatch):
    measured = [1234.5, 250.0, 99.0, 2600.4, 5000.4]

    def rates(scorers, **_):
        assert [scorer.card.architecture for scorer in scorers] == ARCHITECTURES
        return measured

    monkeypatch.setattr(speed, "faces_per_second", rates)
    rows = rows_of(CliRunner().invoke(command, ["list", "--speed"]).stdout)
    assert [row[-1] for row in rows] == ["1,234", "250", "99", "2,600", "5,000"]
    cards = json.loads(CliRunner().invoke(command, ["list", "--speed", "--json"]).stdout)
    assert [card["faces_per_second"] for card in cards] == measured
    assert "faces_per_second" not in json.loads(models("list", "--json").stdout)[0]
    code = """
import sys
from mesoscope.cli.main import main
try:
    main(["models", "list"])
except SystemExit:
    assert "onnxruntime" not in sys.modules
    print("quick")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "quick"), done.stderr


@pytest.mark.parametrize("name", SHIPPED)
def test_card_as_a_page_says_what_the_file_holds(name):
    done = models("show", name, "--markdown")
    assert done.returncode == 0, done.stderr
    card = read_card(shipped()[name])
    page = done.stdout
    assert page.startswith(f"# {name}\n")
    assert f"| fake | from p_fake {card.thresholds.fake_above:.4f} on |" in page
    assert card.training_data in page
    assert f"Origin: {card.source}." in page
    decided = card.metrics["decisions"]["by_source"]["dfdc"]["decided"]
    row = next(line for line in page.splitlines() if line.startswith("| dfdc | 1500 |"))
    assert row.split(" | ")[7] == f"{decided:.0%}", "by the thresholds that the file has now"
    refused = models("show", name, "--markdown", "--json")
    assert (refused.returncode, "exclude each other" in refused.stderr) == (2, True)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_card_says_what_it_was_trained_on_and_what_was_measured(name):
    card = json.loads(models("show", name, "--json").stdout)
    assert card["architecture"] == ARCHITECTURES[SHIPPED.index(name)]
    known = {"meso4": 27_977, "mesoinception4": 28_615, "mesoscope": 1_100_776}
    known |= {"mesoscope-medium": 242_035, "mesoscope-small": 76_393}
    assert card["parameters"] == known[name]
    assert "research" in card["training_data"]
    assert card["calibration"]["method"] == "Platt scaling"
    assert card["thresholds"]["real_below"] < card["thresholds"]["fake_above"]
    assert set(card["metrics"]["by_source"]) == {
        "dfdc", "ffpp", "openforensics", "photoshop", "stylegan", "stylegan2",
    }  # fmt: skip
    text = models("show", name).stdout
    assert "higher = more fake" in text
    assert f"{card['metrics']['by_source']['dfdc']['auc']:.3f}" in text
    assert max(map(len, text.splitlines())) <= 140


@pytest.fixture
def with_points(tmp_path):
    """A shipped model whose card holds thresholds for two false-positive rates."""
    path = shipped()["meso4"]
    points = (
        OperatingPoint(0.1, 0.0, 2292, 229, (0.08, 0.12), 2313, 0.9, (0.88, 0.92)),
        OperatingPoint(0.01, 1.0, 2292, 22, (0.005, 0.017), 2313, 0.333, (0.31, 0.36)),
    )
    card = dataclasses.replace(read_card(path), operating_points=points)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"mesoscope.card": card.to_json()})
    changed = tmp_path / "points.onnx"
    onnx.save(model, changed)
    return changed


def test_operating_points_are_shown_and_judged_by(with_points, tmp_path, astronaut_face):
    shown = models("show", with_points).stdout.splitlines()
    at = next(i for i, line in enumerate(shown) if line.startswith("--fpr"))
    assert "0.1    fake from 0.0000: 229 of 2,292 reals, and 90% of the fakes" in shown[at]
    assert "0.01   fake from 1.0000: 22 of 2,292 reals, and 33% of the fakes" in shown[at + 1]
    Image.fromarray(astronaut_face).save(tmp_path / "face.png")
    labels = {}
    for rate in ("0.1", "0.01", "0.05"):
        command = ["scan", tmp_path / "face.png", "--no-table"]
        done = mesoscope(*command, "--model", with_points, "--fpr", rate)
        labels[rate] = json.loads(done.stdout)["label"] if done.stdout else done.stderr.strip()
    assert labels["0.1"] == "fake"  # from 0 on
    assert labels["0.01"] != "fake"
    assert labels["0.05"].endswith(
        "meso4 has no threshold for a false-positive rate of 0.05: choose one of 0.1, 0.01, or "
        "give a threshold of your own"
    )
