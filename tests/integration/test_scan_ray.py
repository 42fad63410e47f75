"""``mesoscope scan --engine ray`` as a user runs it: a process, on a Ray of one or two cores."""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest
from PIL import Image

from command_line import mesoscope
from in_process import without_times

pytest.importorskip(
    "ray.data", reason="Ray is not installed: make test-scale installs it and runs these tests"
)

psutil = pytest.importorskip("psutil", reason="psutil is not installed")

OPTIONS = ("--model", "meso4", "--faces", "whole")
JUDGES = 2
ON_RAY = ("--engine", "ray", "--jobs", str(JUDGES), "--task-files", "1")
WAIT_S = 300  # Ray takes ten seconds to start, and a minute where others use the cores
pytestmark = pytest.mark.timeout(8 * WAIT_S)


@pytest.fixture(scope="module")
def photos(tmp_path_factory, make_face):
    """Forty small pictures, two of which cannot be read."""
    root = tmp_path_factory.mktemp("photos")
    for n in range(40):
        Image.fromarray(make_face(n, 64)).save(root / f"{n:02}.png")
    (root / "07.png").write_bytes(b"nothing")
    (root / "23.png").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def expected(photos):
    """Verdicts of the plain scan, in the order of their paths."""
    done = mesoscope("scan", photos, *OPTIONS, "--json")
    assert done.returncode == 1
    return without_times(done.stdout.splitlines())


drivers = []


@pytest.fixture(autouse=True)
def _no_driver_is_left():
    yield
    while drivers:
        drivers.pop().kill()


def start(*arguments, env=None):
    driver = subprocess.Popen(
        [sys.executable, "-m", "mesoscope", "scan", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
    )  # fmt: skip
    drivers.append(driver)
    return driver


def run(*arguments):
    process = start(*arguments)
    out, err = process.communicate(timeout=WAIT_S)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def parts(job):
    """The parts that stand, and when each was written."""
    found = (job / "parts").glob("[0-9]*.parquet")
    return {path.name: path.stat().st_mtime_ns for path in found}


def wait_until(process, condition):
    """Whether it came true before the process ended."""
    end = time.monotonic() + WAIT_S
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < end
        time.sleep(0.01)
    return True


def exported(job):
    done = mesoscope("export", job, "-o", "-")
    assert done.returncode == 0, done.stderr
    return without_times(done.stdout.splitlines())


def test_verdicts_equal_the_plain_scan_s(photos, expected, tmp_path):
    done = run(photos, *OPTIONS, *ON_RAY, "--out", tmp_path / "job/")
    assert done.returncode == 1, done.stderr  # two pictures cannot be read
    assert exported(tmp_path / "job") == expected
    assert f"40 files in {tmp_path}/job: " in done.stderr
    summary = next(line for line in done.stderr.splitlines() if line.startswith("40 files"))
    assert "; 2 could not be read; 40 of them now, in " in summary
    assert " core-hours" in done.stderr
    assert "Traceback" not in done.stderr
    again = run(photos, *OPTIONS, *ON_RAY, "--out", tmp_path / "job/", "--resume")
    assert again.returncode == 1
    assert "0 of them now" in again.stderr
    other = run(photos, *ON_RAY, "--out", tmp_path / "job/", "--resume")
    assert other.returncode == 2
    assert "begun with the model meso4" in other.stderr


def test_a_driver_that_is_killed_ten_times_loses_nothing(photos, expected, tmp_path):
    """Once its place is made, once all is listed, and at eight moments amid the work."""
    job = tmp_path / "job"
    drawn = sorted(random.Random(15).sample(range(1, 38), 8))
    moments = [
        lambda: (job / "job.json").exists(),
        lambda: (job / "plan.json").exists(),
        *(lambda most=most: len(parts(job)) >= most for most in drawn),
    ]
    stood, repeated = {}, 0
    for number, moment in enumerate(moments):
        more = ["--resume"] if number else []
        driver = start(photos, *OPTIONS, *ON_RAY, "--out", job, *more)
        came = wait_until(driver, moment)
        kill(driver)
        assert came
        now = parts(job)
        assert stood.keys() <= now.keys()
        repeated += sum(now[name] != stood[name] for name in stood) + len(begun(job, now))
        stood = now
    done = run(photos, *OPTIONS, *ON_RAY, "--out", job, "--resume")
    assert done.returncode == 1, done.stderr
    assert stood.items() <= parts(job).items()
    assert len(parts(job)) == 40
    assert repeated <= JUDGES * len(moments)
    assert exported(job) == expected
    assert begun(job, {}) == []


def kill(driver):
    """End a driver by SIGKILL, and wait until the judges that it leaves behind are gone, too."""
    judges = judges_of(driver.pid)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    psutil.wait_procs(judges, timeout=WAIT_S)


def begun(job, written):
    """Tasks that were begun and have no part."""
    return [p for p in (job / "begun").glob("*") if f"{p.name}.parquet" not in written]


def test_a_worker_that_is_killed_is_replaced(photos, expected, tmp_path):
    job = tmp_path / "job"
    driver = start(photos, *OPTIONS, *ON_RAY, "--out", job)
    assert wait_until(driver, lambda: len(parts(job)) >= 1)
    for worker in judges_of(driver.pid):
        worker.kill()
    _, err = driver.communicate(timeout=WAIT_S)
    assert driver.returncode == 1, err
    assert "40 of them now" in err
    assert exported(job) == expected


def judges_of(driver):
    """Processes below one that judge: Ray gives them such a title."""
    found = []
    for below in psutil.Process(driver).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if below.name().startswith("ray::MapWorker"):
                found.append(below)
    return found


def test_a_node_that_is_killed_loses_nothing(photos, expected, tmp_path):
    """Two nodes of a core each; one ends in mid-run, with its judge and the task that it had."""
    job = tmp_path / "job"
    with nodes(tmp_path) as (address, second):
        driver = start(photos, *OPTIONS, "--engine", "ray", "--address", address,
                       "--task-files", "1", "--out", job, env=TOKEN)  # fmt: skip
        assert wait_until(driver, lambda: judges_of(second.pid) and len(parts(job)) >= 2)
        end(second)
        _, err = driver.communicate(timeout=WAIT_S)
    assert driver.returncode == 1, err
    assert "40 of them now" in err
    assert len(parts(job)) == 40
    assert exported(job) == expected
    assert begun(job, {}) == []


TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 2}


@contextlib.contextmanager
def nodes(folder, *of_head):
    """Two Ray nodes of one core, both on this machine; yields their address and the second."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
    running = []

    def begin(*options):
        running.append(
            subprocess.Popen(
                [Path(sys.executable).parent / "ray", "start", "--block", "--num-cpus=1",
                 "--node-ip-address=127.0.0.1", "--object-store-memory=100000000",
                 "--disable-usage-stats", *options],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", **TOKEN},
            )
        )  # fmt: skip
        assert wait_until(running[-1], lambda: alive(address) == len(running))

    # The paths of sockets have a limit, and that of pytest's folders comes near to it.
    ray_folder = tempfile.mkdtemp(prefix="ray", dir=folder.parents[-2])
    try:
        begin("--head", f"--port={address.partition(':')[2]}", "--include-dashboard=false",
              f"--temp-dir={ray_folder}", *of_head)  # fmt: skip
        begin(f"--address={address}")
        yield address, running[1]
    finally:
        for one in reversed(running):
            end(one)
        shutil.rmtree(ray_folder, ignore_errors=True)


def alive(address):
    """How many nodes a cluster has."""
    code = (
        f"import ray; ray.init({address!r}, log_to_driver=False, logging_level='ERROR'); "
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **TOKEN}
    )
    return int(done.stdout.split()[-1]) if done.returncode == 0 else 0


def test_crops_are_scored_by_actors_that_hold_a_gpu(photos, expected, tmp_path):
    """Ray is told of a GPU that is not there, and the actor that holds it scores on the CPU."""
    job = tmp_path / "job"
    code = f"""
from mesoscope.detection.detector import DetectorSpec
from mesoscope.distributed.on_ray import RayEngine
from mesoscope.distributed.scan import scan_into_parts

class Counted(RayEngine):
    def _scorer(self, order):
        refusal, self.shared = super()._scorer(order)
        return refusal, self.shared

    def close(self):
        print(self._ray.get(self.shared.actors[0].scored.remote()))
        super().close()

scan_into_parts(
    DetectorSpec("meso4", faces="whole"), [{str(photos)!r}], {str(job)!r},
    lambda: Counted(address=ADDRESS, gpus=1, provider="CPUExecutionProvider"), task_files=4,
)
"""
    with nodes(tmp_path, "--num-gpus=1") as (address, _):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("ADDRESS", repr(address))], capture_output=True,
            text=True, timeout=WAIT_S, env={**os.environ, **TOKEN},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["38"]
        assert exported(job) == expected
        refused = start(photos, *OPTIONS, "--engine", "ray", "--address", address, "--gpus", "1",
                        "--out", tmp_path / "other", env=TOKEN)  # fmt: skip
        _, err = refused.communicate(timeout=WAIT_S)
    assert refused.returncode == 2
    assert "its ONNX Runtime has no provider for a GPU: install onnxruntime-gpu" in err
    assert "Traceback" not in err


def test_gpus_that_are_not_there_are_refused_in_one_line(photos, tmp_path):
    done = run(photos, *ON_RAY, "--gpus", "9", "--out", tmp_path / "job")
    assert done.returncode == 2
    assert "mesoscope: --gpus asks for 9, and Ray has " in done.stderr
    assert "Traceback" not in done.stderr


def end(node):
    """Kill a node as a machine that loses its power would end: at once, and all of it."""
    if node.poll() is not None:
        return
    whole = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
    for process in whole:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    node.wait()


def test_a_cluster_that_wants_a_token_says_so_in_one_line(photos, tmp_path):
    with nodes(tmp_path) as (address, _):
        without = {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""}
        driver = start(photos, *ON_RAY, "--address", address, "--out", tmp_path / "job",
                       env=without)  # fmt: skip
        _, err = driver.communicate(timeout=WAIT_S)
    assert driver.returncode == 1, err
    assert err.splitlines()[-1] == (
        f"mesoscope: Ray cannot be reached at {address}: it wants its token: set "
        "RAY_AUTH_MODE=token, and copy ~/.ray/auth_token from its first machine"
    )


def test_an_interrupt_says_how_to_go_on(photos, expected, tmp_path):
    job = tmp_path / "job"
    driver = start(photos, *OPTIONS, *ON_RAY, "--out", job)
    assert wait_until(driver, lambda: len(parts(job)) >= 1)
    driver.send_signal(signal.SIGTERM)
    _, err = driver.communicate(timeout=WAIT_S)
    assert driver.returncode == 130, err
    assert "left; resume with: mesoscope scan " in err
    assert err.splitlines()[-1].endswith(" --resume")
    done = run(photos, *OPTIONS, *ON_RAY, "--out", job, "--resume")
    assert done.returncode == 1
    assert exported(job) == expected


def test_another_version_on_a_machine_ends_it_in_one_line(photos, tmp_path):
    code = f"""
import dataclasses
from mesoscope.detection.detector import DetectorSpec
from mesoscope.distributed.on_ray import RayEngine
from mesoscope.distributed.scan import scan_into_parts
from mesoscope.errors import JobError

class Older(RayEngine):
    def run(self, order, tasks):
        return super().run(dataclasses.replace(order, version="0.0.1"), tasks)

try:
    scan_into_parts(DetectorSpec("meso4"), [{str(photos)!r}], {str(tmp_path / "job")!r},
                    lambda: Older(judges=1))
except JobError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT_S
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{os.uname().nodename}: has mesoscope ")
    assert done.stdout.endswith("begun by 0.0.1: install the same version on all machines\n")
    assert parts(tmp_path / "job") == {}


def test_options_that_do_not_go_together_are_usage_errors(photos, tmp_path):
    for arguments, says in [
        (["--engine", "ray"], "--engine ray keeps a job: name its place"),
        ([*ON_RAY, "--out", "job/", "--table"], "--table and --json belong to --engine local"),
        ([*ON_RAY, "--out", "job/", "--report", "r.html"], "mesoscope report job/ -o r.html"),
        ([*ON_RAY, "--out", "job/", "--ledger", "x"], "--ledger belongs to --engine local"),
        (["--address", "auto"], "belong to --engine ray"),
        (["--task-files", "3"], "belong to --engine ray"),
        (["--gpus", "1"], "belong to --engine ray"),
        (["--shards"], "--shards belongs to --engine ray"),
        (["--out", "s3://b/job"], "s3://b/job: object stores are read and written with --engine"),
    ]:
        done = mesoscope("scan", photos, *arguments, cwd=tmp_path)
        assert done.returncode == 2, arguments
        assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_pictures_in_shards(photos, expected, tmp_path):
    shards, job = tmp_path / "shards", tmp_path / "job"
    shards.mkdir()
    paths = sorted(photos.iterdir())
    for n in range(0, len(paths), 10):
        with tarfile.open(shards / f"{n:03}.tar", "w") as tar:
            for path in paths[n : n + 10]:
                tar.add(path, path.name)
    done = run(shards, "--shards", *OPTIONS, *ON_RAY, "--out", job)
    assert done.returncode == 1, done.stderr
    assert f"40 files in {job}: " in done.stderr
    assert sorted(parts(job)) == [f"{n:09}.parquet" for n in range(4)]
    found = [re.sub(f"{shards}/[0-9]+.tar", str(photos), row) for row in exported(job)]
    assert found == expected


def test_pictures_and_parts_in_a_bucket(photos, expected, monkeypatch):
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    pytest.importorskip("moto.server", reason="moto is not installed")
    import s3_server

    with s3_server.running() as server:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        s3fs.S3FileSystem.clear_instance_cache()
        files = s3fs.S3FileSystem()
        files.mkdir(s3_server.BUCKET)
        pictures, job = (f"s3://{s3_server.BUCKET}/{name}" for name in ("in", "job"))
        for path in photos.iterdir():
            files.pipe_file(f"{pictures}/{path.name}", path.read_bytes())
        driver = start(pictures, *OPTIONS, *ON_RAY, "--out", job)

        def written():
            return sum(r.startswith("PUT ") and "/parts/" in r for r in server.requests)

        assert wait_until(driver, lambda: written() >= 5)
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
        done = run(pictures, *OPTIONS, *ON_RAY, "--out", job, "--resume")
        assert done.returncode == 1, done.stderr
        assert f"40 files in {job}: " in done.stderr
        assert [row.replace(pictures, str(photos)) for row in exported(job)] == expected
        assert f"write the verdicts to a file: mesoscope export {job} -o results.csv" in done.stderr
        s3fs.S3FileSystem.clear_instance_cache()
