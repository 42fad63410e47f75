"""The shapes of metrics.json and predictions.csv."""

import csv
import dataclasses
import json
import os

import pytest

from mesoscope.errors import OutputError
from mesoscope.report.record import COLUMNS, Prediction, write_metrics, write_predictions

FIGURES = {
    "coverage", "accuracy", "balanced_accuracy", "auc", "eer", "ap", "tpr_at_fpr_0.01", "ece",
    "brier", "accuracy_of_all", "decided", "error_among_decided", "unfamiliar",
}  # fmt: skip
BY_CHANCE = {"ece_by_chance", "ece_by_chance_high"}  # simulated, so without an interval
COUNTS = {"n", "n_real", "n_fake", "n_scored", "n_unreadable", "n_unscored"}


def test_metrics_file_has_the_shape_that_is_promised(evaluation, tmp_path):
    write_metrics(evaluation, tmp_path / "metrics.json")
    data = json.loads((tmp_path / "metrics.json").read_text())
    assert set(data) == {
        "schema", *COUNTS, *FIGURES, *BY_CHANCE, "intervals", "by_source",
        "mean_over_sources", "told", "alarms", "calibration", "conditions", "unreadable",
        "unscored",
    }  # fmt: skip
    assert data["schema"] == 1
    assert (data["n"], data["n_real"], data["n_fake"], data["n_scored"]) == (61, 30, 31, 60)
    assert set(data["intervals"]) == FIGURES
    assert all(len(pair) == 2 for pair in data["intervals"].values())
    assert set(data["by_source"]) == {"one", "two"}
    for one in data["by_source"].values():
        assert set(one) == {*COUNTS, *FIGURES, *BY_CHANCE, "intervals"}
    assert set(data["mean_over_sources"]) == {"accuracy", "auc", "intervals"}
    assert data["auc"] == pytest.approx(evaluation.overall.values["auc"], abs=1e-6)
    assert data["unreadable"] == [
        {"path": "gone.jpg", "source": "one", "label": "fake", "code": "source.unreadable",
         "message": "gone.jpg: <b>damaged</b>: fetch it again"}
    ]  # fmt: skip
    assert data["unscored"] == []


def test_what_cannot_be_said_is_null(evaluated, tmp_path):
    reals = [Prediction(f"{i}.jpg", 0, "s", str(i), "test", 0.1 * i, "real") for i in range(4)]
    write_metrics(evaluated(reals), tmp_path / "metrics.json")
    text = (tmp_path / "metrics.json").read_text()
    assert "NaN" not in text
    data = json.loads(text)
    assert data["auc"] is None
    assert data["intervals"]["auc"] is None
    assert data["accuracy"] == 1


def test_predictions_file_has_a_row_an_item(evaluation, tmp_path):
    write_predictions(evaluation, tmp_path / "predictions.csv")
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 61
    first, item = rows[0], evaluation.predictions[0]
    assert first["path"] == item.path
    assert (first["label"], first["source"], first["group"]) == ("real", "two", "g0")
    assert float(first["p_fake"]) == pytest.approx(item.p_fake, abs=1e-6)
    assert first["verdict"] == item.verdict
    last = rows[-1]
    assert (last["p_fake"], last["verdict"], last["error_code"]) == ("", "", "source.unreadable")
    assert (first["kind"], first["told"], last["told"]) == ("image", item.verdict, "unreadable")


def test_a_name_that_is_not_utf8_is_escaped(evaluation, evaluated, tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    odd = evaluated(
        [dataclasses.replace(evaluation.predictions[0], path=name), *evaluation.predictions]
    )
    write_predictions(odd, tmp_path / "predictions.csv")
    write_metrics(odd, tmp_path / "metrics.json")
    assert "caf\\udce9.jpg" in (tmp_path / "predictions.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("write", [write_metrics, write_predictions])
def test_a_file_that_cannot_be_written_is_named(evaluation, tmp_path, write):
    (tmp_path / "no folder").write_bytes(b"")
    with pytest.raises(OutputError, match="no folder/file: cannot be written"):
        write(evaluation, tmp_path / "no folder" / "file")
