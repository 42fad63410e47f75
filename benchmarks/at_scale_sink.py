"""The plan, parts and manifest of a scan on many machines, with synthetic rows and bounded disk.

``at_scale_sink.py ROWS FOLDER`` is one process, so that its memory is that of so many rows. It
writes what such a scan writes, by the scan's own code. Each window of parts is read back, as an
export reads it, and is then replaced by parts of the same footers without rows: a folder of a
hundred million rows has as many files as a real one, and few of its bytes.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.distributed.tasks import Planned
    from mesoscope.scan.tables import Result

TASK_FILES = 256
WINDOW = 1_000  # parts on disk with their rows; also the tasks of a file of the plan
SAMPLE = 50  # tasks whose sources are read, of all over the plan
LABELS = ("real",) * 6 + ("fake", "inconclusive", "none")


def sources(count: int) -> Iterator[Planned]:
    """Objects of a bucket, in the order of their keys."""
    from mesoscope.distributed.tasks import Planned

    draw = random.Random(1)
    for n in range(count):
        yield Planned(url_of(n), draw.randrange(50_000, 800_000), 1_700_000_000_000_000_000 + n)


def url_of(number: int) -> bytes:
    return b"s3://archive/%03d/%03d/photo%09d.jpg" % (
        number // 10**6, number // 1000 % 1000, number,
    )  # fmt: skip


def results(task: int, planned: list[Planned]) -> list[Result]:
    """Verdicts of a task, whose numbers differ as those of real ones do."""
    from mesoscope.scan.tables import Result

    draw = random.Random(task)
    return [
        Result(p.path, p.size_bytes, p.mtime_ns, draw.randbytes(32), None, verdict(p.name, draw))
        for p in planned
    ]


def verdict(name: str, draw: random.Random) -> str:
    p, x, y, size = draw.random(), draw.random() * 500, draw.random() * 500, draw.random() * 400
    label = draw.choice(LABELS)
    return json.dumps({
        "schema": 2, "source": name, "kind": "picture", "label": None if label == "none" else label,
        "p_fake": round(p, 6), "reason": None, "frames_read": 1, "duration_s": None,
        "faces": [{"box": [round(v, 2) for v in (x, y, x + size, y + size)], "p_fake": round(p, 6),
                   "score": round(draw.random(), 6), "face_px": round(size)}],
        "persons": [], "skipped": [], "finder": "mtcnn", "error": None,
        "model": "mesoscope@00000000",
        "elapsed_s": {k: round(draw.random() / 30, 6) for k in ("read", "find", "score")},
    })  # fmt: skip


class Clock:
    """Processor seconds of this process by name: other programs do not add to them."""

    def __init__(self) -> None:
        self.took: Counter[str] = Counter()

    def __call__(self, name: str, work):
        started = time.process_time()
        answer = work()
        self.took[name] += time.process_time() - started
        return answer


def simulate(count: int, folder: Path, task_files: int = TASK_FILES) -> dict[str, float]:
    """Write and read a job of so many rows; seconds of each step, bytes and memory."""
    from mesoscope.distributed.tasks import read_task, write_tasks
    from mesoscope.files.store import open_store
    from mesoscope.scan.parts import JOB, PLAN, VERSION, JobParts, Part, part_file, write_part

    class Window(JobParts):
        """The job's parts that have their rows."""

        held: list[Part]

        def parts(self) -> list[Part]:
            return self.held

    timed, store = Clock(), open_store(str(folder))
    store.write(JOB, json.dumps({"version": VERSION}).encode())
    making = Clock()
    share = min(count, 100_000)
    making("rows", lambda: deque(sources(share), 0))
    tasks, total = timed("plan", lambda: write_tasks(store, sources(count), task_files))
    timed.took["plan"] -= making.took["rows"] * count / share  # of the rows, not of the plan
    if total != count:
        raise SystemExit(f"{count:,} sources: {total:,} are planned")
    store.write(PLAN, json.dumps({"tasks": tasks, "sources": total}).encode())
    plan_bytes = bytes_below(folder / "plan")
    chosen = random.Random(2).sample(range(tasks), min(SAMPLE, tasks))
    timed("read a task", lambda: [read_task(store, task) for task in chosen])
    timed.took["read a task"] *= tasks / len(chosen)

    window = Window(str(folder))
    written = exported = held_bytes = most_bytes = 0
    for first in range(0, tasks, WINDOW):
        window.held = []
        held_bytes = 0
        for task in range(first, min(first + WINDOW, tasks)):
            rows = results(task, sampled(task, count, task_files))
            labels = Counter(LABELS[task % len(LABELS)] for _ in rows)
            part = Part(task, "0" * 64, labels, 0, 8.0 + task % 7 / 10, len(rows))
            timed("parts", lambda p=part, r=rows: write_part(store, p, r))
            held_bytes += (folder / part_file(task)).stat().st_size
            window.held.append(part)
        written += held_bytes
        most_bytes = max(most_bytes, held_bytes)
        exported += timed("export", lambda: sum(1 for _ in window.results()))
        for part in window.held:
            write_part(store, part, [])
    if exported != count:
        raise SystemExit(f"{count:,} rows: {exported:,} are exported")

    job = JobParts(str(folder))
    standing = timed("resume", job.written_tasks)
    parts = timed("resume", lambda: job.footers(standing))
    timed("manifest", lambda: job.write_manifest(parts))
    again = timed("read the manifest", job.parts)
    if sum(part.rows for part in again) != count:
        raise SystemExit(f"{count:,} rows: the manifest has others")
    return {
        **timed.took,
        "plan_bytes": plan_bytes, "parts_bytes": written,
        "window_bytes": most_bytes,
        "manifest_bytes": (folder / "manifest.parquet").stat().st_size,
        "peak_bytes": peak_bytes(), "tasks": tasks,
    }  # fmt: skip


def resident_bytes() -> int:
    """Memory that this process has now, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def sampled(task: int, count: int, task_files: int) -> list[Planned]:
    """The sources of a task, made here rather than read."""
    from mesoscope.distributed.tasks import Planned

    first = task * task_files
    return [
        Planned(url_of(n), 300_000 + n % 1000, 1_700_000_000_000_000_000 + n)
        for n in range(first, min(first + task_files, count))
    ]


def bytes_below(folder: Path) -> int:
    return sum(one.stat().st_size for one in os.scandir(folder))


def peak_bytes() -> int:
    """Most memory that this process had, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    print(json.dumps(simulate(int(sys.argv[1]), Path(sys.argv[2]))))
