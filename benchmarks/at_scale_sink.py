"""The plan, parts and manifest of a scan on many machines, with synthetic rows and bounded disk.

``at_scale_sink.py ROWS FOLDER`` is one process, so that its memory is that of so many rows. It
writes what such a scan writes, by the scan's own code. Windows of parts are read back, as an
export reads them. Then the rows of each window's parts are cut off and their footers stay: a folder
of a hundred million rows has as many files as a real one, and few of its bytes. Files are not
flushed to the disk one by one, as those of a scan are.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import time
from collections import Counter, deque
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.distributed.tasks import Planned
    from mesoscope.scan.tables import Result

TASK_FILES = 256
WINDOW = 1_000  # parts on disk with their rows; also the tasks of a file of the plan
SAMPLE = 50  # tasks whose sources are read, of all over the plan
EXPORTED = 16  # windows that are read back, of all over the parts
LABELS = ("real",) * 6 + ("fake", "inconclusive", "none")
VERDICTS = 20_000  # that differ in more than their source
# As Verdict.to_json writes one of a photo with a face, behind the source.
VERDICT = (
    ',"kind":"image","label":%s,"p_fake":%.6f,"reason":null,"faces":[{"box":'
    '[%.2f,%.2f,%.2f,%.2f],"confidence":%.4f,"p_fake":%.6f,"frame_index":0,"time_s":null,'
    '"person":0,"landmarks":[[%.2f,%.2f],[%.2f,%.2f],[%.2f,%.2f],[%.2f,%.2f],[%.2f,%.2f]],'
    '"unfamiliar":%.4f}],"skipped":[],"persons":[],"duration_s":null,"frames_read":1,'
    '"finder":"mtcnn","notes":[],"model":"mesoscope@00000000",'
    '"elapsed_s":{"read":%.5f,"find":%.5f,"score":%.5f},"error":null}'
)


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

    draw, kept = random.Random(task), verdicts()
    digests, first = draw.randbytes(32 * len(planned)), draw.randrange(VERDICTS - len(planned))
    return [
        Result(path, size_bytes, mtime_ns, digests[32 * n : 32 * n + 32], None,
               f'{{"schema":2,"source":"{path.decode()}"{rest}')
        for n, ((path, size_bytes, mtime_ns, *_), rest)
        in enumerate(zip(planned, kept[first : first + len(planned)], strict=True))
    ]  # fmt: skip


@cache
def verdicts() -> list[str]:
    """Verdicts behind the names of their sources."""
    import numpy as np

    draw = np.random.default_rng(0)
    labels = [LABELS[n] for n in draw.integers(len(LABELS), size=VERDICTS)]
    quoted = ["null" if label == "none" else f'"{label}"' for label in labels]
    p, confidence, unfamiliar, x, y, size, *others = draw.random((19, VERDICTS))
    x, y, size = 500 * x, 500 * y, 400 * size
    landmarks = [end + size * share for end, share in zip((x, y) * 5, others, strict=False)]
    took = [share / 30 for share in others[10:]]
    columns = (p, x, y, x + size, y + size, confidence, p, *landmarks, unfamiliar, *took)
    rows = zip(quoted, *(column.tolist() for column in columns), strict=True)
    return [VERDICT % row for row in rows]


def cut_rows(folder: Path, task: int) -> None:
    """Leave the footer of a task's part, and nothing else."""
    from pyarrow import parquet

    from mesoscope.scan.parts import part_file

    part, footer = folder / part_file(task), io.BytesIO()
    parquet.read_metadata(part).write_metadata_file(footer)
    part.unlink()  # writing over it would make some file systems flush it
    part.write_bytes(footer.getvalue())


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
    from mesoscope.files.atomic import write_bytes
    from mesoscope.files.store import FolderStore
    from mesoscope.scan.parts import JOB, PLAN, VERSION, JobParts

    class Unflushed(FolderStore):
        """A folder whose files are not flushed to the disk one by one."""

        def write(self, file: str, data: bytes) -> None:
            write_bytes(folder / file, data, sync=False, parents=True)

    timed, store = Clock(), Unflushed(folder)
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

    written, most_bytes = _write_parts(folder, store, tasks, count, task_files, timed)
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


def _write_parts(folder, store, tasks, count, task_files, timed) -> tuple[int, int]:
    """Write the parts of all tasks, a window at a time; bytes of all and of the largest window."""
    from mesoscope.scan.parts import JobParts, Part, part_file, write_part

    class Window(JobParts):
        """The job's parts that have their rows."""

        held: list[Part]

        def parts(self) -> list[Part]:
            return self.held

    window = Window(str(folder))
    firsts = range(0, tasks, WINDOW)
    read_back = set(firsts[:: -(-len(firsts) // EXPORTED)])
    rows_read = written = exported = most_bytes = 0
    for first in firsts:
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
        if first in read_back:
            rows_read += sum(part.rows for part in window.held)
            exported += timed("export", lambda: sum(1 for _ in window.results()))
        for part in window.held:
            cut_rows(folder, part.task)
        if first % (100 * WINDOW) == 0:
            done = min(first + WINDOW, tasks) / tasks
            print(f"{count:,} rows: {done:.0%}", file=sys.stderr, flush=True)
    if exported != rows_read:
        raise SystemExit(f"{rows_read:,} rows: {exported:,} are exported")
    timed.took["export"] *= count / exported
    return written, most_bytes


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
