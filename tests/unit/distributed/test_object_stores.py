"""Pictures read from an object store and parts written to one, with what may fail there."""

import errno
import hashlib
import json
import os
import tarfile

import numpy as np
import pytest

from clip_makers import FRAGMENTS, remux
from in_process import InProcess, without_times
from mesoscope.detection.detector import DetectorSpec
from mesoscope.distributed import fetching
from mesoscope.distributed.scan import scan_into_parts
from mesoscope.errors import JobError, OutputError
from mesoscope.files.store import ObjectStore
from mesoscope.media import container
from mesoscope.scan.into_job import scan_into_job
from mesoscope.scan.reporting import job_among, report_job
from mesoscope.scan.results import open_results
from mesoscope.scan.sinks import json_lines
from photo_folder import write_photos

s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed: make test-scale installs it")
pytest.importorskip("moto.server", reason="moto is not installed: make test-scale installs it")
pa = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402 - skipped where it is not there

import s3_server  # noqa: E402 - it imports moto

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")
SPEC = DetectorSpec("meso4", faces="whole", jobs=1)
PHOTOS = f"s3://{s3_server.BUCKET}/in"
SHARDS = f"s3://{s3_server.BUCKET}/shards"
JOB = f"s3://{s3_server.BUCKET}/jobs/one"


@pytest.fixture
def server(monkeypatch):
    """A new server with an empty bucket; clients are told of it as a user tells them."""
    with s3_server.running() as running:
        for name, value in {
            "AWS_ENDPOINT_URL": running.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir(s3_server.BUCKET)
        yield running
        running.heal()
        s3fs.S3FileSystem().rm(s3_server.BUCKET, recursive=True)
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def photos(tmp_path, make_face, make_clip):
    """A folder of seven sources, a clip among them."""
    names = ["a.jpg", "b c+é&[1]*?%20#.png", "sub/d.webp", "sub/e.jpg"]
    return write_photos(tmp_path / "in", names, make_face, make_clip)


@pytest.fixture
def stored(server, photos):
    """The same in the bucket."""
    files = s3fs.S3FileSystem()
    for path in sorted(photos.rglob("*.*")):
        files.pipe_file(f"{PHOTOS}/{path.relative_to(photos).as_posix()}", path.read_bytes())
    return server


def scan(places=PHOTOS, out=JOB, engine=None, **options):
    return scan_into_parts(
        SPEC, [str(places)], str(out), engine or InProcess(), **{"task_files": 3, **options}
    )


def verdicts(job=JOB):
    lines = without_times(json_lines(open_results(str(job)).results()))
    return {v["source"].rpartition("/")[2]: v for v in map(json.loads, lines)}


def error_of(name, job=JOB):
    error = verdicts(job)[name]["error"]
    return error and (error["code"], error["message"])


def getting(name):
    return lambda request: request.startswith("GET ") and request.endswith(name)


def test_verdicts_on_objects_equal_those_on_files(stored, photos, tmp_path):
    scan_into_job(SPEC.build(), [str(photos)], tmp_path / "local")
    done = scan()
    local = without_times(json_lines(open_results(str(tmp_path / "local")).results()))
    there = without_times(json_lines(open_results(JOB).results()))
    assert [line.replace(PHOTOS, str(photos)) for line in there] == local
    assert (done.sources, done.failed, done.skipped) == (7, 2, 1)
    on_disk = list(open_results(str(tmp_path / "local")).results())
    objects = list(open_results(JOB).results())
    assert [r.sha256 for r in objects] == [r.sha256 for r in on_disk]
    assert [r.size_bytes for r in objects] == [r.size_bytes for r in on_disk]
    assert all(r.mtime_ns > 1.7e18 for r in objects)


@pytest.fixture
def film(server, tmp_path, make_clip, monkeypatch):
    """A clip in the bucket that counts as large, and the same on the disk."""
    monkeypatch.setattr(fetching, "RANGED_BYTES", 100_000)
    monkeypatch.setattr("mesoscope.files.store.RANGE_BYTES", 1 << 14)
    monkeypatch.setattr("mesoscope.media.container._FAR_BYTES", 1 << 16)
    monkeypatch.setattr("mesoscope.media.timetable._BUFFER_BYTES", 1 << 15)
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (200, 45, 80, 3), np.uint8)
    pictures = list(small.repeat(4, axis=1).repeat(4, axis=2))
    path = make_clip(pictures, "film.mp4", options={"g": "5", "crf": "10"})
    s3fs.S3FileSystem().pipe_file(f"{PHOTOS}/film.mp4", path.read_bytes())
    return path


FEW = DetectorSpec("meso4", faces="whole", jobs=1, frames=4)


def test_a_large_clip_is_read_by_ranges(server, film, tmp_path):
    scan_into_job(FEW.build(), [str(film)], tmp_path / "local")
    scan_into_parts(FEW, [PHOTOS], JOB, InProcess())
    local = without_times(json_lines(open_results(str(tmp_path / "local")).results()))
    there = without_times(json_lines(open_results(JOB).results()))
    assert [line.replace(f"{PHOTOS}/film.mp4", str(film)) for line in there] == local
    (row,) = open_results(JOB).results()
    assert (row.size_bytes, row.sha256) == (film.stat().st_size, None)
    read = np.zeros(film.stat().st_size, bool)
    for path, first, last in server.ranges:
        if path.endswith("/film.mp4"):
            read[first : last + 1] = True
    assert 0 < read.mean() < 0.6


def test_a_large_clip_whose_index_lies_among_its_pictures_is_copied(server, film, tmp_path):
    whole = remux(film, tmp_path / "fragments.mp4", FRAGMENTS)
    s3fs.S3FileSystem().pipe_file(f"{PHOTOS}/film.mp4", whole.read_bytes())
    scan_into_parts(FEW, [PHOTOS], JOB, InProcess())
    (row,) = open_results(JOB).results()
    assert json.loads(row.verdict)["error"] is None
    assert row.sha256 == hashlib.sha256(whole.read_bytes()).digest()


def test_credentials_that_expire_amid_a_clip_blame_no_clip(server, film, monkeypatch):
    calls = []

    class Expires(container.Container):
        def pictures(self, numbers):
            if not calls:
                server.fail(getting("/film.mp4"), 400, "ExpiredToken")
            calls.append(numbers)
            return super().pictures(numbers)

    monkeypatch.setattr(container, "Container", Expires)
    with pytest.raises(OutputError, match=r"film.mp4: the object store refuses the credentials"):
        scan_into_parts(FEW, [PHOTOS], JOB, InProcess())
    assert list(open_results(JOB).results()) == []
    server.heal()
    assert scan_into_parts(FEW, [PHOTOS], JOB, InProcess()).failed == 0


def test_a_clip_that_changes_while_it_is_read_is_a_row(server, film, monkeypatch):
    class Changes(container.Container):
        def pictures(self, numbers):
            s3fs.S3FileSystem().pipe_file(f"{PHOTOS}/film.mp4", film.read_bytes() + b"more")
            return super().pictures(numbers)

    monkeypatch.setattr(container, "Container", Changes)
    assert scan_into_parts(FEW, [PHOTOS], JOB, InProcess()).failed == 1
    assert error_of("film.mp4")[0] == "source.unreadable"


def test_a_job_in_a_bucket_is_resumed(stored, photos):
    scan(photos, f"{JOB}-files")
    with pytest.raises(KeyboardInterrupt):
        scan(engine=InProcess(most=1))
    assert open_results(JOB).open_count() == 4
    with pytest.raises(JobError, match="holds a job already"):
        scan(resume=False)
    engine = InProcess()
    assert scan(engine=engine, resume=True).left == 0
    assert engine.ran == [1, 2]
    assert {n: v["p_fake"] for n, v in verdicts().items()} == {
        n: v["p_fake"] for n, v in verdicts(f"{JOB}-files").items()
    }
    assert scan(f"s3://{s3_server.BUCKET}/jobs", f"{JOB}/two").sources == 0


def test_an_object_that_is_missing_or_forbidden_is_a_row(stored, tmp_path):
    stored.fail(getting("/e.jpg"), 403, "AccessDenied")
    sources = [f"{PHOTOS}/{name}" for name in ("a.jpg", "gone.jpg", "sub/e.jpg")]
    parquet.write_table(pa.table({"url": sources}), tmp_path / "list.parquet")
    assert scan(tmp_path / "list.parquet").failed == 2
    assert error_of("a.jpg") is None
    assert error_of("gone.jpg") == (
        "source.missing", f"{PHOTOS}/gone.jpg: no such object: check the URL",
    )  # fmt: skip
    assert error_of("e.jpg")[0] == "source.unreadable"
    assert "e.jpg: cannot be opened: " in error_of("e.jpg")[1]
    scan(f"s3://{s3_server.BUCKET}/nothing", f"{JOB}-none")
    assert error_of("nothing", f"{JOB}-none")[0] == "source.missing"


def test_a_store_that_is_busy_is_asked_again(stored, monkeypatch):
    monkeypatch.setattr(fetching, "WAIT_S", 0.01)
    stored.fail(getting("/a.jpg"), 503, "SlowDown", times=2)
    stored.fail(getting("/e.jpg"), 500, "InternalError", times=2)
    stored.fail(lambda r: r.startswith("PUT ") and "/parts/" in r, 503, "SlowDown", times=2)
    assert scan().failed == 2
    assert error_of("a.jpg") is None
    assert error_of("e.jpg") is None


def test_an_object_that_the_store_cannot_give_is_a_row(stored, monkeypatch):
    monkeypatch.setattr(fetching, "WAIT_S", 0.01)
    stored.fail(getting("/a.jpg"), 500, "InternalError")
    assert scan().failed == 3
    assert error_of("a.jpg")[0] == "source.unreadable"


def test_a_store_that_gives_nothing_ends_the_scan_and_no_picture_is_blamed(stored, monkeypatch):
    monkeypatch.setattr(fetching, "WAIT_S", 0.01)
    stored.fail(lambda r: r.startswith("GET ") and "/in/" in r and "list" not in r, 503, "Down")
    with pytest.raises(OutputError, match=r"the object store gives nothing: .*`resume`"):
        scan()
    assert list(open_results(JOB).results()) == []
    stored.heal()
    assert scan(resume=True).failed == 2


def test_credentials_that_expire_end_the_scan_and_no_picture_is_blamed(stored):
    engine = InProcess()
    scan_one = InProcess(most=1)
    with pytest.raises(KeyboardInterrupt):
        scan(engine=scan_one)
    stored.fail(getting("/e.jpg"), 400, "ExpiredToken")
    with pytest.raises(OutputError, match=r"refuses the credentials: .*renew them.*`resume`") as e:
        scan(engine=engine, resume=True)
    assert len(str(e.value).splitlines()) == 1
    stored.heal()
    stored.fail(lambda _: True, 400, "ExpiredToken")
    with pytest.raises(OutputError, match=r"^s3://photos/jobs/one/plan.json: cannot be read"):
        scan(resume=True)
    stored.heal()
    assert scan(resume=True).failed == 2
    assert len(verdicts()) == 7


def test_a_part_is_whole_or_not_there(stored):
    """An object is seen once all of it was sent; one that is not taken ends the scan."""
    stored.fail(lambda r: r.startswith("PUT ") and "/parts/" in r, 507, "Full")
    with pytest.raises(OutputError, match=r"000000000.parquet: cannot be written: .*`resume`"):
        scan()
    assert ObjectStore(JOB).names("parts") == []
    stored.heal()
    assert scan(resume=True).left == 0


def test_a_report_reads_a_job_in_a_bucket(stored, photos, tmp_path):
    pytest.importorskip("reportlab", reason="the report extra is not installed")
    scan(photos)
    assert job_among([JOB], tmp_path / "r.html") == JOB
    written, left = report_job(JOB, tmp_path / "r.html", model="meso4")
    assert (written.files, left) == (7, 0)
    assert written.with_evidence > 0
    scan(out=f"{JOB}-objects")  # objects are not fetched again: their pictures are not shown
    written, left = report_job(f"{JOB}-objects", tmp_path / "o.html", model="meso4")
    assert (written.files, left) == (7, 0)


def test_shards_in_a_bucket_are_read_in_long_ranges(stored, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("mesoscope.distributed.members.SHARD_BYTES", 1 << 12)
    names = [p for p in sorted(photos.rglob("*.*")) if p.name != "notes.txt"]
    with tarfile.open(tmp_path / "one.tar", "w") as tar:
        for path in names:
            tar.add(path, path.relative_to(photos))
    data = (tmp_path / "one.tar").read_bytes()
    s3fs.S3FileSystem().pipe_file(f"{SHARDS}/one.tar", data)
    s3fs.S3FileSystem().pipe_file(f"{SHARDS}/two.tar", data[:3000])
    s3fs.S3FileSystem().pipe_file(f"{SHARDS}/notes.txt", b"no tar")
    done = scan(SHARDS, shards=True)
    assert (done.sources, done.skipped) == (2, 1)
    scan_into_job(SPEC.build(), [str(photos)], tmp_path / "local")
    local = without_times(json_lines(open_results(str(tmp_path / "local")).results()))
    there = without_times(json_lines(open_results(JOB).results()))
    there = [line.replace(f"{SHARDS}/one.tar", str(photos)) for line in there]
    assert set(there[: len(local)]) == set(local)
    assert "is cut off" in there[-1] or "cut off within it" in there[-1]
    asked = [path for path, _, _ in stored.ranges if path.endswith("one.tar")]
    assert 1 < len(asked) < len(data) / 4096 + 4


def test_a_shard_that_the_store_does_not_give_ends_the_scan_or_is_a_row(stored, photos, tmp_path):
    with tarfile.open(tmp_path / "one.tar", "w") as tar:
        tar.add(photos / "a.jpg", "a.jpg")
    for name in ("one.tar", "two.tar"):
        s3fs.S3FileSystem().pipe_file(f"{SHARDS}/{name}", (tmp_path / "one.tar").read_bytes())
    stored.fail(lambda r: r.endswith("/two.tar"), 400, "ExpiredToken")
    with pytest.raises(OutputError, match=r"two.tar: the object store .*`resume`$"):
        scan(SHARDS, shards=True)
    stored.heal()
    stored.fail(lambda r: r.endswith("/two.tar"), 403, "AccessDenied")
    assert scan(SHARDS, shards=True, resume=True).failed == 1
    assert error_of("two.tar")[0] == "source.unreadable"
    assert error_of("a.jpg") is None


def test_an_object_that_changes_after_it_was_listed_is_judged_as_it_is_then(stored, photos):
    """The row has the size and the digest of what was judged; one that is gone is an error."""
    new = (photos / "sub/e.jpg").read_bytes()

    class Changes(InProcess):
        def run(self, order, tasks):
            s3fs.S3FileSystem().pipe_file(f"{PHOTOS}/a.jpg", new)
            s3fs.S3FileSystem().rm_file(f"{PHOTOS}/sub/d.webp")
            return super().run(order, tasks)

    assert scan(engine=Changes()).failed == 3
    rows = {os.fsdecode(r.path).rpartition("/")[2]: r for r in open_results(JOB).results()}
    assert (rows["a.jpg"].size_bytes, rows["a.jpg"].sha256) == (
        len(new), hashlib.sha256(new).digest(),
    )  # fmt: skip
    assert rows["a.jpg"].sha256 == rows["e.jpg"].sha256
    assert error_of("d.webp")[0] == "source.missing"


def test_permissions_that_miss_for_some_are_rows_and_for_the_listing_a_line(stored):
    for name in ("/a.jpg", "/d.webp", "/clip.mp4"):
        stored.fail(lambda r, name=name: r.endswith(name), 403, "AccessDenied")
    assert scan().failed == 5
    for name in ("a.jpg", "d.webp", "clip.mp4"):
        assert error_of(name)[0] == "source.unreadable"
    assert error_of("e.jpg") is None
    stored.heal()
    stored.fail(lambda r: r.startswith("GET "), 403, "AccessDenied", query="prefix=in")
    with pytest.raises(OutputError, match=rf"^{PHOTOS}: cannot be read: .*`resume`$"):
        scan(out=f"{JOB}-2")
    stored.heal()
    assert scan(out=f"{JOB}-2", resume=True).sources == 7


def test_keys_with_odd_names_are_listed_and_read(server, photos):
    """As S3 takes them. moto has no keys with newlines: `test_listing` lists one."""
    names = [
        "a.jpg", "a.jpg/b.jpg", "a/../b.jpg", "a//b.jpg", "50%.jpg", "%20 +.jpg",
        "what?.jpg", "#1.jpg", "é.jpg", "e\u0301.jpg", "\U0001f600.jpg", "*[a]{b}.jpg", "a\\b.jpg",
    ]  # fmt: skip
    data = (photos / "a.jpg").read_bytes()
    files = s3fs.S3FileSystem()
    for number, name in enumerate(names):
        files.call_s3(
            "put_object", Bucket=s3_server.BUCKET, Key=f"odd/{name}", Body=data + bytes([number])
        )
    for name in ("empty.jpg", "folder/", "folder.jpg/"):
        files.call_s3("put_object", Bucket=s3_server.BUCKET, Key=f"odd/{name}", Body=b"")
    done = scan(f"s3://{s3_server.BUCKET}/odd")
    rows = {
        os.fsdecode(r.path).partition("/odd/")[2]: r.sha256 for r in open_results(JOB).results()
    }
    assert rows == {
        "empty.jpg": hashlib.sha256(b"").digest(),
        **{n: hashlib.sha256(data + bytes([k])).digest() for k, n in enumerate(names)},
    }
    assert (done.failed, done.skipped) == (1, 2)


def test_a_disk_that_is_full_of_copies_blames_no_clip(stored, monkeypatch):
    def full(self, url, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ObjectStore, "download", full)
    with pytest.raises(OutputError, match=r"No space left on device: make room .*`resume`$"):
        scan()
    assert "clip.mp4" not in verdicts()
