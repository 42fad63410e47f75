"""``mesoscope models`` on what is shipped."""

import json
import subprocess
import sys

import pytest

from mesoscope.model_file import read_card, shipped

SHIPPED = ["meso4", "mesoinception4"]


def models(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "mesoscope", "models", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_shipped_models_are_these_and_whole():
    assert sorted(shipped()) == SHIPPED
    done = models("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[:2][1].split("@")[0] for line in done.stdout.splitlines()] == SHIPPED


def test_list_has_a_line_a_model_with_its_accuracy():
    head, *rows = models("list").stdout.splitlines()
    assert head.split()[:2] == ["name", "id"]
    assert [row.split()[0] for row in rows] == SHIPPED
    for row in rows:
        card = read_card(shipped()[row.split()[0]])
        assert f"{card.metrics['accuracy']:.3f}" in row
        assert f"{card.metrics['auc']:.3f}" in row


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_card_says_what_it_was_trained_on_and_what_was_measured(name):
    card = json.loads(models("show", name, "--json").stdout)
    assert card["architecture"] == name
    assert card["parameters"] == {"meso4": 27_977, "mesoinception4": 28_615}[name]
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
