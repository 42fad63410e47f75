"""``mesoscope evaluate``, ``prepare`` and ``train`` on labelled clips, as a user runs them."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from command_line import mesoscope
from mesoscope.data.manifest import read_dataset


def run(*arguments):
    return mesoscope(*arguments)


@pytest.fixture
def clips(tmp_path, make_clip, astronaut_face):
    """A real and a fake clip, one without a face, one that is broken, and a picture; no splits."""
    root = tmp_path / "clips"
    for label in ("real", "fake"):
        (root / label).mkdir(parents=True)
    pixels = np.full((180, 320, 3), 90, np.uint8)
    pixels[30:150, 30:150] = cv2.resize(astronaut_face, (120, 120))
    make_clip([pixels] * 6, "clips/real/a.mp4")
    make_clip([np.ascontiguousarray(pixels[:, ::-1])] * 6, "clips/fake/b.mp4")
    make_clip([np.full((180, 320, 3), 90, np.uint8)] * 6, "clips/real/none.mp4")
    (root / "fake/cut.mp4").write_bytes((root / "fake/b.mp4").read_bytes()[:400])
    cv2.imwrite(str(root / "real/face.png"), astronaut_face[:, :, ::-1])
    return root


def test_clips_and_pictures_are_measured_and_one_bad_clip_is_a_row(clips, tmp_path):
    out = tmp_path / "out"
    done = run("evaluate", clips, "--out", out, "--frames", 5, "--resamples", 20)
    assert done.returncode == 1, done.stderr  # one clip could not be read
    assert "4 of the 5 samples are clips: faces are found (--faces auto)" in done.stderr
    assert "Traceback" not in done.stderr
    assert "real ones told" in done.stdout
    with (out / "predictions.csv").open(newline="") as file:
        rows = {row["path"].rpartition("/")[2]: row for row in csv.DictReader(file)}
    assert {name: (row["kind"], row["frames"]) for name, row in rows.items()} == {
        "a.mp4": ("clip", "5"), "b.mp4": ("clip", "5"), "none.mp4": ("clip", "5"),
        "cut.mp4": ("clip", "0"), "face.png": ("image", "1"),
    }  # fmt: skip
    assert (rows["none.mp4"]["told"], rows["none.mp4"]["reason"]) == ("none", "no_face")
    assert rows["cut.mp4"]["told"] == "unreadable"
    assert rows["a.mp4"]["persons"] == "1"
    data = json.loads((out / "metrics.json").read_text())
    assert (data["n"], data["n_scored"], data["n_unscored"], data["n_unreadable"]) == (5, 3, 1, 1)
    real = next(row for row in data["told"] if row["label"] == "real")
    assert (real["n"], real["none"]["count"]) == (3, 1)
    assert real["none"]["interval"] == pytest.approx([0.008404, 0.905701], abs=1e-6)  # 1 of 3
    assert data["conditions"]["faces"] == "auto"
    assert data["conditions"]["frames"] == 5
    with (out / "told.csv").open(newline="") as file:
        assert sum(int(row["count"]) for row in csv.DictReader(file)) == 5
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "What a user is told" in page
    assert "The clips judged most wrongly" in page
    assert "--faces auto" in page


def test_a_manifest_of_clips_has_groups_and_sources(clips, tmp_path):
    (clips / "manifest.csv").write_text(
        "path,label,source,group\nreal/a.mp4,real,phone,anna\nfake/b.mp4,fake,swap,anna\n"
        "real/none.mp4,real,phone,ben\n"
    )
    out = tmp_path / "out"
    asked = ("--every", "0.1", "--resamples", 0, "--faces", "whole")
    done = run("evaluate", clips, "--out", out, *asked)
    assert done.returncode == 0, done.stderr
    data = json.loads((out / "metrics.json").read_text())
    assert set(data["by_source"]) == {"phone", "swap"}
    assert data["conditions"]["groups"] == 3  # a group counts within its source
    assert (data["conditions"]["faces"], data["conditions"]["every_s"]) == ("whole", 0.1)


def test_robustness_of_clips_is_refused_before_any_work(clips, tmp_path):
    done = run("evaluate", clips, "--out", tmp_path / "out", "--robustness")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--robustness needs pictures, but 4 of the 5 samples are clips" in done.stderr
    assert not (tmp_path / "out").exists()


def test_prepare_takes_groups_splits_and_sources_from_the_manifest(clips, tmp_path):
    moved = tmp_path / "archive"
    moved.mkdir()
    for number, name in enumerate(("real/a.mp4", "fake/b.mp4")):
        (clips / name).rename(moved / f"{number}.mp4")
    (moved / "manifest.csv").write_text(
        "path,label,source,group,split\n0.mp4,real,phone,anna,train\n"
        "1.mp4,fake,swap,ben,validation\n"
    )
    out = tmp_path / "faces"
    done = run("prepare", "plain", moved, "--out", out, "--frames", 2, "--size", 64)
    assert done.returncode == 0, done.stderr
    found = {(s.label, s.source, s.group, s.split) for s in read_dataset(out)}
    assert found == {(0, "phone", "anna", "train"), (1, "swap", "ben", "validation")}


def test_training_on_clips_is_sent_to_prepare(clips, tmp_path):
    pytest.importorskip("torch")
    recipe = Path(__file__).parents[2] / "recipes/meso4.toml"
    done = run("train", clips, "--recipe", recipe, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "mesoscope prepare plain" in done.stderr
    assert "Traceback" not in done.stderr
