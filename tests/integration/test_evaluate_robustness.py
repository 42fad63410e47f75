"""``mesoscope evaluate --robustness`` with the shipped model on a small data set."""

import csv
import io
import json
import re

import pytest
from PIL import Image

from mesoscope.cli.main import main
from mesoscope.evaluation import robustness
from mesoscope.imaging.corruptions import CORRUPTIONS

STEPS = 1 + sum(len(one.levels) for one in CORRUPTIONS)


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main(["evaluate", *map(str, arguments)])
    return end.value.code


def test_table_picture_page_and_figures_are_written(make_dataset, tmp_path, capsys):
    data, out = make_dataset("faces", train=0, validation=2, size_px=72), tmp_path / "out"
    options = ("--robustness", "--limit", 2, "--out", out, "--resamples", 20)
    assert run(data, *options) == 0
    with (out / "robustness.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * STEPS  # the one source, and the mean over it
    assert {row["n"] for row in rows if row["source"] == "faces"} == {"4"}
    assert {row["limit"] for row in rows} == {"2"}
    figures = json.loads((out / "metrics.json").read_text())
    unchanged = figures["robustness"]["unchanged"]["by_source"]["faces"]
    for name in ("n", "n_fake", "auc", "accuracy", "decided", "coverage"):
        assert unchanged[name] == figures[name]  # two ways to one figure
    with Image.open(io.BytesIO((out / "robustness.png").read_bytes())) as picture:
        assert picture.size[0] > 1500
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20  # something is drawn
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<h2>Robustness</h2>" in page
    assert "--robustness" in page.split("<pre>")[1]
    assert "--limit 2" in page.split("<pre>")[1]
    plots = re.findall(r'alt="([^":]+): AUC, accuracy and verdicts', page)
    assert plots == [one.title for one in CORRUPTIONS]
    assert page.count('<td class="count">longest side 48 px</td>') >= 1
    printed = capsys.readouterr().out
    assert "Robustness, means over sources, on 4 pictures:" in printed
    for one in CORRUPTIONS:
        assert one.title in printed


def test_an_interruption_keeps_the_evaluation_and_what_is_done(
    make_dataset, tmp_path, capsys, monkeypatch
):
    judge_changed = robustness.judge_changed

    def interrupted(samples, detector, *, seed):
        for number, one in enumerate(judge_changed(samples, detector, seed=seed)):
            if number == 3:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(robustness, "judge_changed", interrupted)
    data, out = make_dataset("faces", train=0, validation=2, size_px=72), tmp_path / "out"
    assert run(data, "--robustness", "--out", out, "--resamples", 10) == 130
    figures = json.loads((out / "metrics.json").read_text())
    assert figures["n"] == figures["n_scored"] == 4
    assert (figures["robustness"]["n_done"], figures["robustness"]["complete"]) == (3, False)
    assert "interrupted after 3 of 4 pictures" in capsys.readouterr().err
    assert "4 pictures were chosen" in (out / "report.html").read_text(encoding="utf-8")
    with (out / "robustness.csv").open(newline="") as file:
        assert {row["n"] for row in csv.DictReader(file) if row["source"] == "faces"} == {"3"}


def test_without_it_nothing_of_it_is_there(make_dataset, tmp_path):
    data, out = make_dataset("faces", train=0, validation=2, size_px=72), tmp_path / "out"
    assert run(data, "--out", out, "--resamples", 0) == 0
    assert "robustness" not in json.loads((out / "metrics.json").read_text())
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Robustness" not in page
    assert "--limit" not in page
    assert "--robustness" not in page
    assert not list(out.glob("robustness*"))


def test_a_limit_alone_is_refused(make_dataset, tmp_path, capsys):
    data = make_dataset("faces", train=0, validation=2)
    assert run(data, "--limit", 5, "--out", tmp_path / "out") == 2
    assert "--limit needs --robustness" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
