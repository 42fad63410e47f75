"""``mesoscope shards`` as a user runs it, and evaluation of what it writes."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from command_line import mesoscope
from mesoscope.data.manifest import read_dataset, row_of, write_manifest
from mesoscope.detection.detector import Detector
from mesoscope.evaluation.evaluate import evaluate
from mesoscope.report.mistakes import worst


def run(*arguments, cwd=None):
    done = mesoscope(*arguments, cwd=cwd)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def sets(make_dataset, tmp_path):
    folder = make_dataset(train=6, validation=4, size_px=96)
    done = run("shards", "write", folder, "--out", tmp_path / "shards", "--size-mb", "0.05")
    assert (done.returncode, done.stderr) == (0, "")
    return folder, tmp_path / "shards", done.stdout


def test_written_listed_and_checked(sets):
    _, shards, told = sets
    assert told.startswith(f"{shards}: 20 pictures in ")
    done = run("shards", "list", shards, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows, last = done.stdout.splitlines()
    assert head.split() == ["shard", "split", "pictures", "real", "fake", "MB"]
    assert sum(int(row.split()[2]) for row in rows) == 20
    assert {row.split()[1] for row in rows} == {"train", "validation"}
    assert last == "20 of 20 pictures are intact"


def test_a_changed_byte_is_found(sets):
    _, shards, _ = sets
    first = read_dataset(shards)[0]
    with Path(first.shard).open("r+b") as file:
        file.seek(first.offset + first.size // 2)
        before = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([before[0] ^ 1]))
    done = run("shards", "list", shards, "--check")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "19 of 20 pictures are intact"
    assert done.stderr.count("\n") == 1
    assert f"{first.file}: is not the file that the manifest means" in done.stderr


def test_folders_can_be_checked_too(sets):
    folder, _, _ = sets
    done = run("shards", "list", folder)
    assert done.returncode == 2
    assert "it has no shards: make some with" in done.stderr
    done = run("shards", "list", folder, "--check")
    assert done.stdout == "20 of 20 pictures are intact; 20 have no SHA-256 in the manifest\n"
    rows = [row_of(s, folder) for s in read_dataset(folder)]
    write_manifest(folder / "manifest.csv", [{**r, "sha256": "ab" * 32} for r in rows])
    done = run("shards", "list", folder, "--check")
    assert (done.returncode, done.stderr.count("\n")) == (1, 20)


def test_shards_without_a_manifest_get_one(sets):
    _, shards, _ = sets
    before = read_dataset(shards)
    done = run("shards", "index", shards)
    assert done.returncode == 2
    assert "manifest.csv: is there already" in done.stderr
    (shards / "manifest.csv").unlink()
    done = run("shards", "index", shards, "--parquet")
    assert done.stdout == f"{shards}/manifest.parquet: 20 pictures\n"
    assert read_dataset(shards) == before
    assert "need no index" in run("shards", "index", sets[0]).stderr


def test_evaluation_of_shards_is_that_of_the_folder(sets, tmp_path):
    folder, shards, _ = sets
    found = {}
    for root in (folder, shards):
        out = tmp_path / f"evaluated-{root.name}"
        done = run(
            "evaluate", root, "--model", "meso4", "--out", out, "--resamples", 20,
            "--robustness", "--limit", 1,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        metrics = json.loads((out / "metrics.json").read_text())
        rows = list(csv.DictReader((out / "predictions.csv").read_text().splitlines()))
        found[root.name] = (
            metrics["auc"], metrics["accuracy"], [(r["label"], r["p_fake"]) for r in rows],
            (out / "robustness.csv").read_text(),
        )  # fmt: skip
        assert all(r["path"].startswith(str(root)) for r in rows)
    assert found[folder.name] == found["shards"]


def test_mistakes_of_shards_are_shown(sets):
    some = read_dataset(sets[1])[:4]
    samples = [replace(s, label=label) for s in some for label in (0, 1)]  # one of them is wrong
    found = evaluate(samples, Detector("meso4", faces="whole", jobs=1), resamples=0)
    shown = [mistake for kind in worst(found) for mistake in kind]
    assert shown
    assert all(mistake.crop is not None for mistake in shown)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["write", "nowhere", "--out", "x"], "nowhere: no such folder"),
        (["write", ".", "--out", "x"], "no pictures found"),
        (["write", ".", "--out", "x", "--size-mb", "0"], "0.0 is not in the range x>0"),
        (["list", "nowhere"], "nowhere: no such folder"),
        (["index", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_wrong_input_is_told_in_a_line(tmp_path, arguments, message):
    done = run("shards", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
