"""``gs://`` and ``az://``: read, listed and written by their own clients, on local servers."""

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from in_process import InProcess, without_times
from mesoscope.detection.detector import DetectorSpec
from mesoscope.distributed import fetching
from mesoscope.distributed.listing import ListedCounts, list_sources
from mesoscope.distributed.scan import scan_into_parts
from mesoscope.errors import OutputError
from mesoscope.files.store import open_store
from mesoscope.scan.into_job import scan_into_job
from mesoscope.scan.results import open_results
from mesoscope.scan.sinks import json_lines
from photo_folder import write_photos

fsspec = pytest.importorskip("fsspec", reason="object stores are reached by fsspec")
# Of aiohttp, where a client hands it more than a megabyte.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
pytest.importorskip("pyarrow", reason="parts are Parquet, and pyarrow is not installed")

SPEC = DetectorSpec("meso4", faces="whole", jobs=1)
FEW = DetectorSpec("meso4", faces="whole", jobs=1, frames=4)
BUCKET = "photos"
AZURITE = Path(__file__).parents[3] / "build/azurite/node_modules/.bin/azurite-blob"
AZURITE_KEY = (  # of every Azurite, as its own manual prints it
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def account(port, key=AZURITE_KEY):
    return (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};"
        f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )


@contextlib.contextmanager
def google():
    for name in ("gcsfs", "gcp_storage_emulator"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: make test-scale installs it")
    from gcp_storage_emulator.server import create_server

    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    try:
        # Without the second, gcsfs looks for credentials to ask what kind of bucket it is.
        yield {
            "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}",
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        }
    finally:
        server.stop()


@contextlib.contextmanager
def azure():
    program = shutil.which("azurite-blob") or (str(AZURITE) if AZURITE.exists() else None)
    if importlib.util.find_spec("adlfs") is None or program is None:
        pytest.skip("adlfs or Azurite is not installed: make test-scale installs them, by npm")
    port = free_port()
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    server = subprocess.Popen(
        [program, *options, "--blobPort", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert server.poll() is None
            time.sleep(0.1)
        yield {"AZURE_STORAGE_CONNECTION_STRING": account(port)}
    finally:
        server.kill()
        server.wait()


SERVERS = {"gs": google, "az": azure}


@pytest.fixture(scope="module", params=SERVERS)
def running(request):
    """A server of a kind, as a user names it to its client."""
    with SERVERS[request.param]() as settings, pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield request.param


@pytest.fixture
def store(running):
    """The URL of an empty bucket."""
    files = fsspec.filesystem(running, skip_instance_cache=True)
    type(files).clear_instance_cache()
    files = fsspec.filesystem(running, use_listings_cache=False)
    files.mkdir(BUCKET)
    yield f"{running}://{BUCKET}"
    files.rm(BUCKET, recursive=True)


def put(url, data):
    scheme, _, path = url.partition("://")
    fsspec.filesystem(scheme, use_listings_cache=False).pipe_file(path, data)


@pytest.fixture
def photos(tmp_path, make_face, make_clip):
    names = ["a.jpg", "b c+é&[1]*%20#.png", "sub/d.webp", "sub.jpg", "sub/e.jpg"]
    return write_photos(tmp_path / "in", names, make_face, make_clip)


def lines_of(job):
    return without_times(json_lines(open_results(str(job)).results()))


def test_verdicts_on_objects_equal_those_on_files(store, photos, tmp_path):
    for path in sorted(photos.rglob("*.*")):
        put(f"{store}/in/{path.relative_to(photos).as_posix()}", path.read_bytes())
    scan_into_job(SPEC.build(), [str(photos)], tmp_path / "local")
    job = f"{store}/jobs/one"
    with pytest.raises(KeyboardInterrupt):
        scan_into_parts(SPEC, [f"{store}/in"], job, InProcess(most=1), task_files=3)
    assert open_results(job).open_count() == 5
    engine = InProcess()
    done = scan_into_parts(SPEC, [f"{store}/in"], job, engine, task_files=3, resume=True)
    assert engine.ran == [1, 2]
    assert (done.sources, done.failed, done.skipped) == (8, 2, 1)
    there = [line.replace(f"{store}/in", str(photos)) for line in lines_of(job)]
    assert there == lines_of(tmp_path / "local")
    rows = list(open_results(job).results())
    assert [os.fsdecode(r.path) for r in rows] == sorted(
        (os.fsdecode(r.path) for r in rows), key=str.encode
    )
    assert all(r.mtime_ns > 1.7e18 for r in rows)
    put(f"{store}/jobs/two/copy.jpg", b"of the job itself")
    found = list_sources([store], ListedCounts(), leave_out=f"{store}/jobs/two")
    assert len(list(found)) == 8


def test_a_large_clip_is_read_by_ranges(store, tmp_path, make_clip, monkeypatch):
    monkeypatch.setattr(fetching, "RANGED_BYTES", 100_000)
    monkeypatch.setattr("mesoscope.files.store.RANGE_BYTES", 1 << 14)
    monkeypatch.setattr("mesoscope.media.container._FAR_BYTES", 1 << 16)
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (100, 45, 80, 3), np.uint8)
    pictures = list(small.repeat(4, axis=1).repeat(4, axis=2))
    film = make_clip(pictures, "film.mp4", options={"g": "5", "crf": "10"})
    put(f"{store}/film.mp4", film.read_bytes())
    scan_into_job(FEW.build(), [str(film)], tmp_path / "local")
    scan_into_parts(FEW, [f"{store}/film.mp4"], str(tmp_path / "job"), InProcess())
    there = [line.replace(f"{store}/film.mp4", str(film)) for line in lines_of(tmp_path / "job")]
    assert there == lines_of(tmp_path / "local")
    (row,) = open_results(str(tmp_path / "job")).results()
    assert (row.size_bytes, row.sha256) == (film.stat().st_size, None)


def test_shards_are_read(store, photos, tmp_path):
    made = shutil.make_archive(str(tmp_path / "one"), "tar", photos)
    put(f"{store}/shards/one.tar", Path(made).read_bytes())
    put(f"{store}/shards/two.tar", Path(made).read_bytes()[:700])
    job = str(tmp_path / "job")
    done = scan_into_parts(SPEC, [f"{store}/shards"], job, InProcess(), shards=True)
    assert (done.sources, done.labels.total()) == (2, 8 + 1)
    digests = {r.sha256 for r in open_results(job).results()} - {None}
    assert digests == {
        hashlib.sha256(p.read_bytes()).digest() for p in photos.rglob("*.*") if p.suffix != ".txt"
    }


def test_files_are_written_at_once_and_replaced_and_removed(store):
    kept = open_store(f"{store}/job")
    assert (kept.names("parts"), kept.exists("parts/1")) == ([], False)
    kept.write("parts/2", b"two")
    kept.write("parts/1", b"one")
    kept.write("parts/1", b"1" * 6_000_000)  # by another way than small ones
    assert kept.names("parts") == ["1", "2"]
    assert kept.exists("parts/1")
    assert not kept.exists("parts")
    with kept.open("parts/1") as opened:
        opened.seek(-3, 2)
        assert opened.read() == b"111"
    kept.remove("parts/1")
    kept.remove("parts/1")
    assert kept.names("parts") == ["2"]
    with pytest.raises(FileNotFoundError), kept.open("parts/1") as opened:
        opened.read()


def test_what_is_not_there_is_a_row(store, photos, tmp_path):
    put(f"{store}/a.jpg", (photos / "a.jpg").read_bytes())

    class Removes(InProcess):
        def run(self, order, tasks):
            scheme, _, path = f"{store}/a.jpg".partition("://")
            fsspec.filesystem(scheme, use_listings_cache=False).rm_file(path)
            return super().run(order, tasks)

    job = str(tmp_path / "job")
    places = [f"{store}/a.jpg", f"{store}/nothing", store.replace(BUCKET, "no-such-bucket")]
    assert scan_into_parts(SPEC, places, job, Removes()).failed == 3
    told = [json.loads(line)["error"] for line in lines_of(job)]
    assert [error["code"] for error in told] == ["source.missing"] * 3


def test_credentials_that_are_refused_end_the_scan(running, store, photos, tmp_path, monkeypatch):
    if running == "gs":
        pytest.skip("the local server of gs:// asks for no credentials")
    put(f"{store}/a.jpg", (photos / "a.jpg").read_bytes())
    job = str(tmp_path / "job")
    with pytest.raises(KeyboardInterrupt):
        scan_into_parts(SPEC, [store], job, InProcess(most=0))
    true = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    wrong = true.replace(AZURITE_KEY, AZURITE_KEY.replace("Eby8", "Eby9"))
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", wrong)
    type(fsspec.filesystem("az")).clear_instance_cache()
    with pytest.raises(OutputError, match=r"a.jpg: the object store refuses the credentials"):
        scan_into_parts(SPEC, [store], job, InProcess(), resume=True)
    with pytest.raises(OutputError, match=rf"^{store}: cannot be read: .*`resume`$"):
        scan_into_parts(SPEC, [store], str(tmp_path / "new"), InProcess())
    monkeypatch.undo()
    type(fsspec.filesystem("az")).clear_instance_cache()
    assert scan_into_parts(SPEC, [store], job, InProcess(), resume=True).failed == 0
