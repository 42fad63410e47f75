"""Pictures and clips that lie in tar files: each has a verdict, and a broken tar is a row."""

import io
import json
import shutil
import tarfile

import pytest
from PIL import Image

from in_process import InProcess, without_times
from mesoscope.detection.detector import DetectorSpec
from mesoscope.distributed import members
from mesoscope.distributed.scan import scan_into_parts
from mesoscope.errors import JobError
from mesoscope.scan.into_job import scan_into_job
from mesoscope.scan.reporting import report_job
from mesoscope.scan.results import open_results
from mesoscope.scan.sinks import export, json_lines

pytest.importorskip("pyarrow", reason="parts are Parquet, and pyarrow is not installed")

SPEC = DetectorSpec("meso4", faces="whole", jobs=1)


@pytest.fixture
def folder(tmp_path, make_face, make_clip):
    """Pictures, a clip, a broken file and texts, to be packed."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for n, name in enumerate(["a.jpg", "b c+é.png", "sub/d.webp", "sub/e.JPG"]):
        Image.fromarray(make_face(n, 96)).convert("RGB").save(root / name)
    make_clip([make_face(n, 96) for n in range(5)]).rename(root / "clip.mp4")
    (root / "broken.jpg").write_bytes(b"nothing")
    (root / "empty.png").touch()
    (root / "a.json").write_text('{"label": "real"}')
    (root / "a.cls").write_text("1")
    return root


def pack(root, names, place, **options):
    place.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(place, "w", **options) as tar:
        for name in names:
            tar.add(root / name, name)
    return place


@pytest.fixture
def shards(folder, tmp_path):
    """The folder in two tars, in the order of the names."""
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.*"))
    pack(folder, names[:4], tmp_path / "shards/000.tar")
    pack(folder, names[4:], tmp_path / "shards/001.TAR", format=tarfile.GNU_FORMAT)
    (tmp_path / "shards/notes.txt").write_text("no tar")
    return tmp_path / "shards"


def scan(place, out, engine=None, **options):
    return scan_into_parts(
        SPEC, [str(place)], str(out), engine or InProcess(), shards=True, **options
    )


def lines_of(job):
    return without_times(json_lines(open_results(str(job)).results()))


def verdicts(job):
    return [json.loads(line) for line in lines_of(job)]


def test_verdicts_equal_those_of_the_unpacked_folder(folder, shards, tmp_path):
    scan_into_job(SPEC.build(), [str(folder)], tmp_path / "local")
    done = scan(shards, tmp_path / "parts")
    expected = {line for line in lines_of(tmp_path / "local") if '.json"' not in line}
    there = lines_of(tmp_path / "parts")
    for name in ("000.tar", "001.TAR"):
        there = [line.replace(str(shards / name), str(folder)) for line in there]
    assert set(there) == expected
    assert len(there) == 7
    assert (done.sources, done.judged, done.left) == (2, 7, 0)
    assert (done.failed, done.skipped) == (2, 1)
    assert [r.sha256 for r in open_results(str(tmp_path / "parts")).results()] == [
        r.sha256 for r in open_results(str(tmp_path / "local")).results()
    ]
    assert export(open_results(str(tmp_path / "parts")), tmp_path / "all.csv") == 7


def test_the_order_is_that_of_the_tars_and_their_members(folder, tmp_path):
    pack(folder, ["sub/e.JPG", "a.jpg"], tmp_path / "s/2.tar")
    pack(folder, ["./sub/d.webp"], tmp_path / "s/10.tar")
    scan(tmp_path / "s", tmp_path / "parts")
    assert [v["source"].removeprefix(f"{tmp_path}/s/") for v in verdicts(tmp_path / "parts")] == [
        "10.tar/sub/d.webp", "2.tar/sub/e.JPG", "2.tar/a.jpg",
    ]  # fmt: skip


def test_a_task_is_a_shard_and_what_stands_is_not_repeated(shards, tmp_path):
    out = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt) as stopped:
        scan(shards, out, InProcess(most=1))
    assert (stopped.value.summary.left, stopped.value.summary.judged) == (1, 2)
    assert open_results(str(out)).open_count() == 1
    with pytest.raises(JobError, match=r"parts: begun with `shards`: go on as it was"):
        scan_into_parts(SPEC, [str(shards)], str(out), InProcess())
    engine = InProcess()
    assert scan(shards, out, engine, resume=True).left == 0
    assert engine.ran == [1]
    assert open_results(str(out)).open_count() == 0
    scan(shards, tmp_path / "both", task_files=2)
    assert len(open_results(str(tmp_path / "both")).parts()) == 1
    assert lines_of(tmp_path / "both") == lines_of(out)


def test_a_shard_that_ended_its_process_is_judged_member_by_member(shards, tmp_path):
    from mesoscope.files.store import open_store

    whole = tmp_path / "whole"
    scan(shards, whole)
    out = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        scan(shards, out, InProcess(most=0))
    open_store(str(out)).write("begun/000000001", b"")
    scan(shards, out, resume=True)
    assert lines_of(out) == lines_of(whole)


def error_rows(job):
    return {
        v["source"].rpartition("/s/")[2]: v["error"]["message"].partition(": ")[2]
        for v in verdicts(job)
        if v["error"]
    }


def test_a_tar_that_is_cut_off_keeps_the_verdicts_before_its_end(folder, tmp_path):
    whole = pack(folder, ["a.jpg", "sub/d.webp", "sub/e.JPG"], tmp_path / "s/whole.tar")
    data = whole.read_bytes()
    with tarfile.open(whole) as tar:
        second = tar.getmember("sub/d.webp")
        end = tar.getmember("sub/e.JPG")
    (tmp_path / "s/a-within.tar").write_bytes(data[: second.offset_data + 100])
    (tmp_path / "s/b-between.tar").write_bytes(data[: end.offset])
    (tmp_path / "s/c-header.tar").write_bytes(data[: second.offset + 100])
    (tmp_path / "s/d-none.tar").write_bytes(b"")
    (tmp_path / "s/e-text.tar").write_text("no tar at all " * 100)
    (tmp_path / "s/f-end.tar").write_bytes(data[: end.offset_data + -(-end.size // 512) * 512])
    shutil.copyfile(whole, tmp_path / "s/g.tar")
    done = scan(tmp_path / "s", tmp_path / "parts")
    rows = [v["source"].rpartition("/s/")[2] for v in verdicts(tmp_path / "parts")]
    assert rows[:5] == [
        "a-within.tar/a.jpg", "a-within.tar", "b-between.tar/a.jpg", "b-between.tar/sub/d.webp",
        "b-between.tar",
    ]  # fmt: skip
    told = error_rows(tmp_path / "parts")
    assert set(told) == {
        f"{n}.tar" for n in ("a-within", "b-between", "c-header", "d-none", "e-text", "f-end")
    }
    assert told["a-within.tar"] == "its tar is cut off within it: fetch that again"
    assert told["b-between.tar"] == "is cut off, it has no end mark: fetch it again"
    assert told["e-text.tar"].startswith("cannot be read as a tar: ")
    assert (done.failed, done.labels.total()) == (6, 1 + 2 + 1 + 3 + 3 + 3 + 6)


def test_members_that_are_no_files_or_twice_there_are_rows(folder, tmp_path):
    (tmp_path / "s").mkdir()
    with tarfile.open(tmp_path / "s/odd.tar", "w") as tar:
        for name in ("a.jpg", "../up.jpg", "/root.jpg", "x\ny.jpg", "a.jpg"):
            tar.add(folder / "a.jpg", name) if name[0] != "/" else None
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "a.jpg"
        tar.addfile(link)
        inner = tarfile.TarInfo("folder.jpg")
        inner.type = tarfile.DIRTYPE
        tar.addfile(inner)
        long = tarfile.TarInfo("d/" * 90 + "long.jpg")
        data = (folder / "a.jpg").read_bytes()
        long.size = len(data)
        tar.addfile(long, io.BytesIO(data))
    scan(tmp_path / "s", tmp_path / "parts")
    rows = [v["source"].partition("odd.tar/")[2] for v in verdicts(tmp_path / "parts")]
    assert rows == [
        "a.jpg", "../up.jpg", "x\ny.jpg", "a.jpg", "link.jpg", "d/" * 90 + "long.jpg",
    ]  # fmt: skip
    told = [v["error"] and v["error"]["message"] for v in verdicts(tmp_path / "parts")]
    assert [message is None for message in told] == [True, True, True, False, False, True]
    assert "another member of this name before" in told[3]
    assert "a link or a sparse file in a tar" in told[4]


def test_a_shard_that_is_gone_is_a_row(shards, tmp_path):
    from mesoscope.distributed.listing import ListedCounts, list_sources

    found = [*list_sources([str(shards)], ListedCounts(), leave_out="job", shards=True)]
    (shards / "000.tar").unlink()
    rows = list(members.fetch_shards(found, tmp_path))
    assert rows[0].planned.name == str(shards / "000.tar")
    assert rows[0].source.error.code == "source.missing"
    assert len(rows) == 1 + 5


def test_a_large_member_is_copied_and_the_copy_removed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(members, "GROUP_BYTES", 1000)
    pack(folder, ["a.jpg", "clip.mp4"], tmp_path / "s/1.tar")
    scan(tmp_path / "s", tmp_path / "parts")
    scan_into_job(SPEC.build(), [str(folder / n) for n in ("a.jpg", "clip.mp4")], tmp_path / "l")
    there = [
        line.replace(f"{tmp_path}/s/1.tar", str(folder)) for line in lines_of(tmp_path / "parts")
    ]
    assert there == lines_of(tmp_path / "l")
    (one, two) = members.fetch_shards([*_planned(tmp_path / "s/1.tar")], tmp_path)
    assert one.copy.read_bytes() == (folder / "a.jpg").read_bytes()
    assert two.copy.suffix == ".mp4"


def _planned(tar):
    from mesoscope.distributed.tasks import Planned

    yield Planned(str(tar).encode(), tar.stat().st_size, 1)


def test_a_report_of_shards_shows_no_pictures(shards, tmp_path):
    pytest.importorskip("reportlab", reason="the report extra is not installed")
    scan(shards, tmp_path / "parts")
    written, left = report_job(tmp_path / "parts", tmp_path / "r.html", model="meso4")
    assert (written.files, left) == (7, 0)
