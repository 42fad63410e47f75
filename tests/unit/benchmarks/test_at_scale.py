"""The simulation of large scans: its events, its synthetic job, and what it asks of a ledger."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
try:
    at_scale, graph, ledgers, sink, tables = (
        importlib.import_module(n)
        for n in ("at_scale", "at_scale_graph", "at_scale_ledger", "at_scale_sink",
                  "at_scale_tables")
    )  # fmt: skip
finally:
    del sys.path[0]


def run(took, *, failures=0.0, blocks=10**9, whole=False, seed=1, machines=3, cores=4):
    cluster = graph.Cluster(machines, cores, failures_per_h=failures, away_s=60.0)
    rng = np.random.default_rng(seed)
    return graph.run(np.asarray(took, float), cluster, blocks, rng, whole=whole)


def test_tasks_of_equal_length_share_the_cores():
    ran = run([10.0] * 120)
    assert ran.hours * 3600 == pytest.approx(100)
    assert ran.busy == pytest.approx(1)
    assert (ran.failures, ran.repeated, ran.lost_core_h) == (0, 0, 0)
    # Thirteen blocks for twelve workers: one works twice, and the others wait for it.
    assert run([10.0] * 130, blocks=13).hours * 3600 == pytest.approx(200)


def test_a_machine_that_fails_repeats_what_its_cores_did():
    ran = run([10.0] * 12_000, failures=3.0)
    assert ran.failures > 3
    assert 0 < ran.repeated <= ran.failures * 4
    assert 0 < ran.lost_core_h <= ran.repeated * 10 / 3600
    assert ran.rejudged == 0
    assert ran.hours > run([10.0] * 12_000).hours
    again = run([10.0] * 12_000, failures=3.0, blocks=60, whole=True)
    assert again.rejudged > again.repeated
    assert again.lost_core_h > run([10.0] * 12_000, failures=3.0, blocks=60).lost_core_h


def test_repeats_are_as_many_as_expected():
    """Over many runs: failures × hours × cores, as long as all cores work."""
    cluster = graph.Cluster(10, 8, failures_per_h=4.0, away_s=0.0)
    ran = [
        graph.run(np.full(80 * 100, 36.0), cluster, 10**9, np.random.default_rng(seed))
        for seed in range(60)
    ]
    hours = np.mean([one.hours for one in ran])
    expected = graph.expected_repeats(cluster, hours)
    assert np.mean([one.repeated for one in ran]) == pytest.approx(expected, rel=0.15)


def test_every_machine_may_fail_and_the_work_is_done():
    ran = run([5.0] * 100, failures=3600.0, machines=2)
    assert ran.failures > 10
    assert ran.hours > 0


def test_durations_lie_within_what_was_measured():
    stages = {"read": (1.0, 2.0, 4.0), "find": (10.0, 20.0, 30.0)}
    took = graph.task_seconds(500, 100, stages, 0.5, np.random.default_rng(0))
    assert took.min() >= 0.5 + 1.1
    assert took.max() <= 0.5 + 3.4
    assert set(at_scale.stage_times()) == {"read", "find", "score"}


def test_a_synthetic_job_is_whole_and_keeps_no_rows(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    from mesoscope.scan.parts import JobParts

    monkeypatch.setattr(sink, "WINDOW", 4)
    told = sink.simulate(1_000, tmp_path, task_files=100)
    assert (told["tasks"], told["parts_bytes"] > told["window_bytes"]) == (10, True)
    assert set(at_scale.SINK_STEPS) <= set(told)
    job = JobParts(str(tmp_path))
    assert sum(part.rows for part in job.parts()) == 1_000
    assert len(job.written_tasks()) == 10
    assert {parquet.read_metadata(p).num_rows for p in (tmp_path / "parts").iterdir()} == {0}


def test_a_ledger_is_asked_what_scans_ask(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    took = ledgers.measure(url, 1_000, 100)
    assert set(took) == {
        "resume", "count what is left", "count by state and label", "export", "plan",
        "claim and write back",
    }  # fmt: skip
    assert all(seconds > 0 for seconds in took.values())
    assert ledgers.used_bytes(url) > 100_000


def test_rows_are_written_and_read_as_tables(tmp_path, monkeypatch):
    """A quick run of three parts, the last of which reads the second's rows."""
    pytest.importorskip("pyarrow")
    monkeypatch.syspath_prepend(BENCHMARKS)
    out = tmp_path / "at_scale.csv"
    for part in ("listing", "sink", "graph"):
        program = [sys.executable, BENCHMARKS / "at_scale.py", "--quick", "--only", part]
        done = subprocess.run([*program, "--results", out], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    monkeypatch.setattr(tables, "found", lambda name="at_scale.csv", read=tables.found: (
        read(str(out)) if name == "at_scale.csv" else read(name)))  # fmt: skip
    assert "| bucket: list and plan |" in tables.listing()
    assert "| parts on disk |" in tables.sink()
    assert "| tasks repeated |" in tables.clusters()
    assert "photos a second and core" in tables.stages()


def test_figures_that_were_never_measured_are_asked_for(tmp_path):
    with pytest.raises(SystemExit, match="run without --only first"):
        at_scale.sink_figures([], tmp_path / "none.csv")
    (tmp_path / "speed.csv").write_text("bench,what\n")
    with pytest.raises(SystemExit, match=r"run benchmarks/faces.py"):
        at_scale.stage_times(tmp_path / "speed.csv")


def test_verdicts_are_json_that_a_part_takes():
    rows = sink.results(3, sink.sampled(3, 1_000, 256))
    assert len(rows) == 232
    assert json.loads(rows[0].verdict)["source"].endswith("photo000000768.jpg")
