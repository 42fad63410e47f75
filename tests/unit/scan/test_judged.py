"""Figures on the verdicts of a job: those of judging the files, without judging them again."""

import dataclasses
import os
from pathlib import Path

import pytest

from in_process import InProcess
from mesoscope.data.manifest import read_dataset, write_manifest
from mesoscope.detection.detector import DetectorSpec
from mesoscope.distributed.scan import scan_into_parts
from mesoscope.errors import DatasetError, JobError
from mesoscope.evaluation.evaluate import evaluate
from mesoscope.models.file import find_model
from mesoscope.scan.into_job import scan_into_job
from mesoscope.scan.judged import read_judged
from mesoscope.scan.results import open_results

SPEC = DetectorSpec("meso4", faces="whole", jobs=1, threshold=0.4)


def into_ledger(root, job):
    scan_into_job(SPEC.build(), [str(root)], job)


def into_parts(root, job):
    pytest.importorskip("pyarrow", reason="parts are Parquet, and pyarrow is not installed")
    scan_into_parts(SPEC, [str(root)], str(job), InProcess(), task_files=3)


@pytest.fixture
def labelled(make_dataset):
    """Eight pictures, two of them copies, and one that cannot be read."""
    root = make_dataset(train=0, validation=4)
    (root / "validation/fake/broken.jpg").write_bytes(b"nothing")
    (root / "validation/real/copy.jpg").write_bytes((root / "validation/real/00.jpg").read_bytes())
    return root


def judged(root, job, **changes):
    samples = read_dataset(root)
    results = open_results(str(job))
    given = {"samples": samples, "roots": [root], "at_hand": find_model("mesoscope"), **changes}
    return samples, read_judged(results, str(job), **given)


@pytest.mark.parametrize("scan", [into_ledger, into_parts])
def test_figures_equal_those_of_judging_the_files(labelled, tmp_path, scan, monkeypatch):
    scan(labelled, tmp_path / "job")
    expected = evaluate(read_dataset(labelled), SPEC.build(), resamples=50)
    samples, verdicts = judged(labelled, tmp_path / "job")
    for path in labelled.rglob("*.jpg"):
        path.unlink()  # nothing is opened again
    found = evaluate(samples, verdicts, resamples=50)
    assert found.thresholds == expected.thresholds
    assert found.overall.counts == expected.overall.counts
    assert found.overall.counts["n_unreadable"] == 1
    # A verdict is written with six digits.
    assert found.overall.values == pytest.approx(expected.overall.values, abs=1e-5, nan_ok=True)
    for name, interval in expected.overall.intervals.items():
        assert found.overall.intervals[name] == pytest.approx(interval, abs=1e-5, nan_ok=True)
    for one, other in zip(found.predictions, expected.predictions, strict=True):
        assert one.p_fake == (None if other.p_fake is None else round(other.p_fake, 6))
        assert one.box == (None if other.box is None else pytest.approx(other.box, abs=0.01))
        same = {"p_fake": None, "box": None}
        assert dataclasses.replace(one, **same) == dataclasses.replace(other, **same)
    assert found.conditions == expected.conditions


def test_a_file_without_a_verdict_is_refused(labelled, tmp_path):
    into_ledger(labelled / "validation/real", tmp_path / "job")
    with pytest.raises(DatasetError, match=r"fake/00\.jpg and 4 others of 10 have no verdict in"):
        judged(labelled, tmp_path / "job")


def test_a_model_that_is_gone_is_asked_for(labelled, tmp_path):
    into_ledger(labelled, tmp_path / "job")
    results = open_results(str(tmp_path / "job"))
    facts = {**results.facts(), "model": "mine@00000000"}
    results.facts = lambda: facts
    with pytest.raises(JobError, match="its model mine@00000000 is not at hand: name its file"):
        read_judged(results, "job", read_dataset(labelled), [labelled], find_model("mesoscope"))


def test_keys_of_a_bucket_are_found_by_their_path_in_the_data_set(labelled, tmp_path):
    """The labels lie here, the pictures in a bucket."""
    into_ledger(labelled, tmp_path / "job")
    results = open_results(str(tmp_path / "job"))
    rows = [
        row._replace(path=b"s3://b/in/" + os.path.relpath(row.path, os.fsencode(labelled)))
        for row in results.results()
    ]
    facts = {**results.facts(), "sources": ["s3://b/in"]}
    results.facts, results.results = (lambda: facts), (lambda: iter(rows))
    labels = tmp_path / "labels"
    labels.mkdir()
    samples = read_dataset(labelled)
    write_manifest(
        labels / "manifest.csv",
        [
            {"path": Path(one.file).relative_to(labelled).as_posix(), "label": one.label,
             "split": one.split}
            for one in samples
        ],
    )  # fmt: skip
    listed = read_dataset(labels)
    verdicts = read_judged(results, "job", listed, [labels], find_model("mesoscope"))
    found = evaluate(listed, verdicts, resamples=0)
    expected = evaluate(samples, SPEC.build(), resamples=0)
    assert found.overall.counts == expected.overall.counts
    assert found.overall.values["auc"] == expected.overall.values["auc"]
