"""Photos of a local S3 server beside the same on the disk: read alone, and as a scan reads them.

The judge of a scan has one core, and the server another. Photos are judged in tasks, by turns from
the disk and from the server. Which server is an option: ``s3rver`` (npm, in ``build/s3rver``) or
``moto`` (Python, and slower). This needs what ``make test-scale`` installs, and scikit-image::

    build/scale/bin/python -m pip install scikit-image
    npm install --prefix build/s3rver s3rver
    build/scale/bin/python benchmarks/at_scale_reading.py
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from measure import ROOT, Bound, Row, Spread, parser, rounds, run, say, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = ROOT / "results/at_scale.csv"
S3RVER = ROOT / "build/s3rver/node_modules/.bin/s3rver"
BUCKET = "photos"
TASK = 256  # photos of a task, as of a scan
ASKED = Bound("ratio", "≥", 0.9)
MOTO = """
import sys, time
sys.path.append(sys.argv[1])
import s3_server
with s3_server.running() as server:
    print(server.url, flush=True)
    time.sleep(10**6)
"""


def options():
    made = parser("at_scale_reading", __doc__.splitlines()[0])
    made.set_defaults(results=RESULTS)
    made.add_argument("--photos", type=int, default=256, help="of 1024×1024")
    made.add_argument("--server", choices=["s3rver", "moto"], default="s3rver")
    made.add_argument("--note", default="", help="on the machine, for each row: that it was busy")
    return made


def bench(chosen, _conditions) -> list[Row]:
    photos = 16 if chosen.quick else chosen.photos
    cores = sorted(os.sched_getaffinity(0))
    with workplace() as work, server(chosen.server, work, cores[-1:]) as url:
        os.environ.update(
            AWS_ENDPOINT_URL=url, AWS_ACCESS_KEY_ID="S3RVER", AWS_SECRET_ACCESS_KEY="S3RVER",
            AWS_DEFAULT_REGION="us-east-1",
        )  # fmt: skip
        os.sched_setaffinity(0, cores[:1])
        folder = work / "photos"
        kilobytes = fill(folder, photos) / photos / 1000
        places = {"a local S3 server": f"s3://{BUCKET}/in", "disk": str(folder)}
        alone = rounds({n: lambda p=p: fetched(p, work) for n, p in places.items()}, chosen.rounds)
        counter = iter(range(10**6))
        spent: dict[str, list[float]] = {name: [] for name in places}
        judged = rounds(
            {
                name: lambda n=name, p=place: scanned(p, work / f"job{next(counter)}", spent[n])
                for name, place in places.items()
            },
            chosen.rounds, say,
        )  # fmt: skip
        os.sched_setaffinity(0, cores)
    server_has = f"the server ({chosen.server}) has another core"
    task = f"tasks of {TASK} photos; one judge on a core"
    how = "; ".join(filter(None, (server_has, task, chosen.note)))
    s3, disk = places
    return [
        Row("at_scale", f"reading: {what}", "photos/s", found[s3], found[disk], disk,
            asked=asked, n=photos, how=how, model=model,
            data=f"1024×1024 JPEG 90, {kilobytes:.0f} kB")
        for what, found, asked, model in (
            ("fetched and hashed alone", alone, None, ""),
            ("fetched and judged", judged, ASKED, "mesoscope"),
            ("fetched and judged, by a second of the judge's processor time",
             {name: Spread.of(rates) for name, rates in spent.items()}, ASKED, "mesoscope"),
        )
    ]  # fmt: skip


def fill(folder: Path, count: int) -> int:
    """Photos on the disk and in the bucket; their bytes."""
    import cv2
    import s3fs

    import scenes

    folder.mkdir()
    files = s3fs.S3FileSystem()
    files.mkdir(BUCKET)
    total = 0
    for number in range(count):
        pixels = cv2.cvtColor(scenes.photo(number).pixels, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
        data = jpeg.tobytes()
        total += len(data)
        (folder / f"{number:05}.jpg").write_bytes(data)
        files.pipe_file(f"{BUCKET}/in/{number:05}.jpg", data)
    return total


def sources(place: str):
    from mesoscope.distributed.listing import ListedCounts, list_sources

    return list(list_sources([place], ListedCounts(), leave_out="job"))


def fetched(place: str, work: Path) -> float:
    """Photos a second that are read as a judge reads them, and not judged."""
    from mesoscope.distributed.fetching import fetch_all

    found = sources(place)
    started = time.perf_counter()
    if sum(one.sha256 is not None for one in fetch_all(found, work)) != len(found):
        raise SystemExit(f"{place}: some photos cannot be read")
    return len(found) / (time.perf_counter() - started)


def scanned(place: str, job: Path, spent: list[float]) -> float:
    """Photos a second that are judged, in tasks: read, found, scored, written.

    ``spent`` gets how many by a second of this process, in which waiting does not count.
    """
    from mesoscope.detection.detector import DetectorSpec
    from mesoscope.distributed.judge import TaskJudge, TaskOrder
    from mesoscope.distributed.tasks import write_tasks
    from mesoscope.files.store import open_store

    tasks, total = write_tasks(open_store(str(job)), sources(place), TASK)
    judge = TaskJudge(TaskOrder.of(str(job), DetectorSpec("mesoscope", jobs=1)))
    started, worked = time.perf_counter(), time.process_time()
    for task in range(tasks):
        answer = judge({"task": task})
        if answer["fault"] or answer["refusal"] or json.loads(answer["part"])["failed"]:
            raise SystemExit(f"{place}: {answer}")
    spent.append(total / (time.process_time() - worked))
    return total / (time.perf_counter() - started)


@contextmanager
def server(kind: str, work: Path, cores: list[int]) -> Iterator[str]:
    """A server of S3 in a process of its own, on other cores than this one; its URL."""
    if kind == "moto":
        program = [sys.executable, "-c", MOTO, str(ROOT / "tests")]
        port = 0
    else:
        if not S3RVER.exists():
            raise SystemExit(f"{S3RVER}: is missing: npm install --prefix build/s3rver s3rver")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        program = [
            S3RVER, "-d", work / "s3", "-a", "127.0.0.1", "-p", str(port), "--silent",
        ]  # fmt: skip
    ran = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        os.sched_setaffinity(ran.pid, cores)
        if kind == "moto":
            yield ran.stdout.readline().strip()
        else:
            for _ in range(300):
                with socket.socket() as tried:
                    if not tried.connect_ex(("127.0.0.1", port)):
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
    finally:
        ran.kill()
        ran.wait()


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
