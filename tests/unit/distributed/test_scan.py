"""Scans into parts, on an engine in this process: what holds on any engine."""

import dataclasses
import errno
import json
import os
import shutil
import time

import pytest
from PIL import Image

from in_process import InProcess, without_times
from mesoscope.detection.detector import DetectorSpec
from mesoscope.distributed.progress import PartsInterrupted, PartsWatcher
from mesoscope.distributed.scan import scan_into_parts
from mesoscope.errors import JobError, OptionError, OutputError
from mesoscope.scan.into_job import scan_into_job
from mesoscope.scan.parts import write_part
from mesoscope.scan.reporting import job_among, report_job
from mesoscope.scan.results import is_job, open_results
from mesoscope.scan.sinks import export, json_lines

pa = pytest.importorskip("pyarrow", reason="parts are Parquet, and pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")

SPEC = DetectorSpec("meso4", faces="whole", jobs=1)


@pytest.fixture
def photos(tmp_path, make_face):
    """Nine sources: good pictures, two alike, and all that can be wrong with others."""
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    for n, name in enumerate(["a.jpg", "c.png", "sub/d.webp", "sub/e.jpg"]):
        Image.fromarray(make_face(n, 96)).save(root / name)
    shutil.copy(root / "a.jpg", root / "sub/same.jpg")
    (root / "broken.jpg").write_bytes(b"nothing")
    (root / "empty.png").touch()
    (root / "link.jpg").symlink_to(root / "nowhere")
    (root / "sub/loop").symlink_to(root)
    (root / "notes.txt").write_text("no picture")
    return root


def scan(photos, out, engine=None, **options):
    options = {"task_files": 2, "spec": SPEC, **options}
    spec = options.pop("spec")
    return scan_into_parts(spec, [str(photos)], str(out), engine or InProcess(), **options)


def lines_of(job):
    return without_times(json_lines(open_results(str(job)).results()))


def test_verdicts_equal_those_of_a_job_of_this_machine(photos, tmp_path):
    local = scan_into_job(SPEC.build(), [str(photos)], tmp_path / "local")
    done = scan(photos, tmp_path / "parts")
    assert lines_of(tmp_path / "parts") == lines_of(tmp_path / "local")
    assert len(lines_of(tmp_path / "parts")) == 9
    assert (done.sources, done.judged, done.left) == (9, 9, 0)
    assert done.labels == local.counts.labels
    assert done.failed == local.counts.failed == 4
    assert (done.skipped, done.again) == (local.skipped, local.again) == (1, 0)
    assert done.core_s > 0


def test_exports_hold_what_those_of_a_job_of_this_machine_hold(photos, tmp_path):
    scan_into_job(SPEC.build(), [str(photos)], tmp_path / "local")
    scan(photos, tmp_path / "parts")
    for name in ("local", "parts"):
        assert export(open_results(str(tmp_path / name)), tmp_path / f"{name}.csv") == 9
    local, parts = ((tmp_path / f"{n}.csv").read_text().splitlines() for n in ("local", "parts"))
    # A job of one machine judges copies once and says so; in parts they are judged each.
    copy = f"{photos}/a.jpg"
    assert [line.removesuffix(copy) for line in local] == parts
    # A part holds the same columns, so that other programs read parts as they are.
    table = parquet.read_table(tmp_path / "parts/parts")
    export(open_results(str(tmp_path / "parts")), tmp_path / "all.parquet")
    assert table.equals(parquet.read_table(tmp_path / "all.parquet"))


def test_reports_read_parts(photos, tmp_path):
    pytest.importorskip("reportlab", reason="the report extra is not installed")
    scan(photos, tmp_path / "parts")
    assert job_among([f"{tmp_path}/parts"], tmp_path / "r.html") == f"{tmp_path}/parts"
    written, left = report_job(tmp_path / "parts", tmp_path / "r.html", model="meso4")
    assert (written.files, left) == (9, 0)


def test_what_stands_is_not_repeated(photos, tmp_path):
    out = tmp_path / "parts"
    with pytest.raises(PartsInterrupted) as stopped:
        scan(photos, out, InProcess(most=2))
    assert (stopped.value.summary.left, stopped.value.summary.judged) == (5, 4)
    assert len(lines_of(out)) == 4
    assert open_results(str(out)).open_count() == 5
    with pytest.raises(JobError, match="holds a job already"):
        scan(photos, out, resume=False)
    engine = InProcess()
    done = scan(photos, out, engine, resume=True, task_files=5)  # its tasks stay as they were cut
    assert engine.ran == [2, 3, 4]
    assert (done.judged, done.labels.total(), done.left) == (5, 9, 0)
    scan(photos, tmp_path / "whole")
    assert lines_of(out) == lines_of(tmp_path / "whole")
    engine = InProcess()
    assert scan(photos, out, engine, resume=True).judged == 0
    assert engine.ran == []


def test_an_engine_that_ends_early_is_no_complete_scan(photos, tmp_path):
    class Ends(InProcess):
        def run(self, order, tasks):
            return super().run(order, tasks[:2])

    out = tmp_path / "parts"
    with pytest.raises(OutputError, match=r"the engine ended, and 5 of 9 sources .*`resume`"):
        scan(photos, out, Ends())
    assert not (out / "manifest.parquet").exists()
    assert scan(photos, out, resume=True).left == 0
    assert len(lines_of(out)) == 9


def test_a_scan_that_ended_while_it_listed_lists_again(photos, tmp_path):
    class Ends(PartsWatcher):
        def listed(self):
            raise KeyboardInterrupt

    out = tmp_path / "parts"
    with pytest.raises(PartsInterrupted):
        scan(photos, out, watcher=Ends())
    assert is_job(str(out))
    with pytest.raises(JobError, match="not all listed"):
        open_results(str(out)).open_count()
    assert scan(photos, out, resume=True).judged == 9


def test_a_part_that_is_gone_is_missed_and_judged_again(photos, tmp_path):
    out = tmp_path / "parts"
    scan(photos, out)
    before = lines_of(out)
    (out / "parts/000000003.parquet").unlink()
    with pytest.raises(JobError, match=r"000000003.parquet is gone: .*`resume`"):
        lines_of(out)
    engine = InProcess()
    scan(photos, out, engine, resume=True)
    assert engine.ran == [3]
    assert lines_of(out) == before
    (out / "parts/000000001.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    with pytest.raises(JobError, match=r"000000001.parquet: damaged: .*`resume`"):
        scan(photos, out, resume=True)


def test_a_full_sink_ends_the_scan_in_one_line_and_resumes(photos, tmp_path, monkeypatch):
    out = tmp_path / "parts"
    replace, moved = os.replace, []

    def full(source, target, **more):
        if f"{out}/parts/" in str(target):
            moved.append(target)
            if len(moved) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OutputError, match="cannot be written: No space left") as said:
            scan(photos, out)
    assert len(str(said.value).splitlines()) == 1
    assert sorted(p.name for p in (out / "parts").iterdir()) == [
        "000000000.parquet", "000000001.parquet",
    ]  # fmt: skip
    engine = InProcess()
    assert scan(photos, out, engine, resume=True).left == 0
    assert engine.ran == [2, 3, 4]
    scan(photos, tmp_path / "whole")
    assert lines_of(out) == lines_of(tmp_path / "whole")


def test_clocks_do_not_matter(photos, tmp_path, monkeypatch):
    """Machines whose clocks differ by days, and parts from the future."""
    out, real, ahead = tmp_path / "parts", time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])
    with pytest.raises(PartsInterrupted):
        scan(photos, out, InProcess(most=2))
    for part in (out / "parts").iterdir():
        os.utime(part, (real() + 9e5, real() + 9e5))
    ahead[0] = -1e6
    engine = InProcess()
    assert scan(photos, out, engine, resume=True).left == 0
    assert engine.ran == [2, 3, 4]
    scan(photos, tmp_path / "whole")
    assert lines_of(out) == lines_of(tmp_path / "whole")


def test_a_part_of_another_spec_is_judged_again(photos, tmp_path):
    """Such as one that a machine wrote before a scan that had refused it was ended."""
    out = tmp_path / "parts"
    scan(photos, out)
    job = open_results(str(out))
    part = dataclasses.replace(job.parts()[1], spec="0")
    write_part(job.store, part, list(job.results())[2:4])
    engine = InProcess()
    assert scan(photos, out, engine, resume=True).judged == 2
    assert engine.ran == [1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "0.0.1"}, "begun by 0.0.1: install the same version"),
        ({"model": "mesoscope"}, "has other bytes than that of the scan"),
        ({"model": "/nowhere/x.onnx"}, "/nowhere/x.onnx: no model file there"),
    ],
)
def test_a_machine_that_would_judge_differently_is_refused(photos, tmp_path, change, says):
    engine = InProcess(change=lambda order: dataclasses.replace(order, **change))
    with pytest.raises(JobError, match=says) as refused:
        scan(photos, tmp_path / "parts", engine)
    assert str(refused.value).startswith(f"{os.uname().nodename}: ")
    assert len(str(refused.value).splitlines()) == 1
    assert engine.ran == [0]
    assert scan(photos, tmp_path / "parts", resume=True).left == 0


@pytest.mark.parametrize(
    ("fact", "value", "says"),
    [
        ("mesoscope", "0.0.1", "begun by mesoscope 0.0.1"),
        ("spec", "0", "another model file"),
        ("version", 99, "update mesoscope"),
    ],
)
def test_a_job_of_another_version_is_refused(photos, tmp_path, fact, value, says):
    out = tmp_path / "parts"
    scan(photos, out)
    facts = json.loads((out / "job.json").read_text())
    (out / "job.json").write_text(json.dumps({**facts, fact: value}))
    with pytest.raises(JobError, match=says):
        scan(photos, out, resume=True)


def test_a_job_keeps_its_model_its_options_and_its_sources(photos, tmp_path):
    out = tmp_path / "parts"
    scan(photos, out)
    with pytest.raises(JobError, match="begun with the model meso4"):
        scan(photos, out, spec=DetectorSpec("mesoscope", faces="whole"))
    with pytest.raises(JobError, match="begun with threshold = None"):
        scan(photos, out, spec=DetectorSpec("meso4", faces="whole", threshold=0.5))
    with pytest.raises(JobError, match="begun with other sources"):
        scan(photos / "sub", out)
    scan(photos, out, spec=DetectorSpec("meso4", faces="whole", batch_size=4))


def test_places_that_hold_something_else_are_refused(photos, tmp_path):
    scan_into_job(SPEC.build(), [str(photos)], tmp_path / "local")
    with pytest.raises(JobError, match="a job of one machine"):
        scan(photos, tmp_path / "local")
    with pytest.raises(JobError, match="neither empty nor a job"):
        scan(photos, photos)
    with pytest.raises(JobError, match="no job to go on with"):
        scan(photos, tmp_path / "new", resume=True)
    with pytest.raises(OptionError, match=r"ftp://x: no object store that is read: give s3://"):
        scan(photos, "ftp://x")


def test_the_job_itself_is_not_scanned(photos):
    out = photos / "job"
    scan(photos, out)
    Image.new("RGB", (64, 64)).save(out / "added.png")
    assert scan(photos, out, resume=True).sources == 9


def test_a_list_names_each_source_once_in_their_order(photos, tmp_path):
    paths = ["sub/e.jpg", str(photos / "a.jpg"), "a.jpg", "gone.jpg", "notes.txt"]
    parquet.write_table(pa.table({"path": paths, "other": range(5)}), photos / "list.parquet")
    scan(photos / "list.parquet", tmp_path / "parts")
    verdicts = [json.loads(line) for line in lines_of(tmp_path / "parts")]
    names = [os.path.relpath(v["source"], photos) for v in verdicts]
    assert names == ["a.jpg", "gone.jpg", "notes.txt", "sub/e.jpg"]
    assert [v["error"] and v["error"]["code"] for v in verdicts] == [
        None, "source.missing", "source.unreadable", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "says"),
    [({"name": ["a.jpg"]}, "a column path or source or url or uri is missing"),
     ({"path": ["a.jpg", None]}, "a row names no source"),
     ({"path": [1]}, "a row names no source")],
)  # fmt: skip
def test_lists_that_are_none_are_refused(photos, tmp_path, columns, says):
    parquet.write_table(pa.table(columns), photos / "list.parquet")
    with pytest.raises(OptionError, match=says):
        scan(photos / "list.parquet", tmp_path / "parts")


def test_a_list_is_scanned_alone_and_must_be_there(photos, tmp_path):
    (photos / "text.parquet").write_text("no Parquet at all")
    for places, says in [
        (["gone.parquet"], "no such list"),
        ([f"{photos}/text.parquet"], "cannot be read as Parquet"),
        ([str(photos), "list.parquet"], "is scanned alone"),
    ]:
        with pytest.raises(OptionError, match=says):
            scan_into_parts(SPEC, places, str(tmp_path / "parts"), InProcess())
