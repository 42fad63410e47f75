"""A listing of many sources, cut into tasks: its time, its memory and its space on the disk.

``at_scale_listing.py bucket|list ROWS FOLDER`` is one process, so that its memory is that of so
many rows. The bucket is made: its pages are answered in this process, without a network. The list
is a Parquet file of the same URLs in no order.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import time
from pathlib import Path

from at_scale_sink import TASK_FILES, Clock, bytes_below, peak_bytes, resident_bytes

PIECE = 100_000  # rows of a list that are written at once
KEY = "%03d/%03d/photo%09d.jpg"


def measure(kind: str, count: int, folder: Path) -> dict[str, float]:
    """List and plan so many sources; seconds of one core, bytes of memory and of the disk."""
    from mesoscope.distributed.listing import ListedCounts, list_sources
    from mesoscope.distributed.tasks import write_tasks
    from mesoscope.files.store import open_store

    timed, place = Clock(), "s3://archive"
    made_s = 0.0
    if kind == "bucket":
        made_s = _fill_bucket(count)
    else:
        place = str(folder / "list.parquet")
        _write_list(count, Path(place))
    store = open_store(str(folder / "job"))
    held = _Space()
    before = resident_bytes()
    started = time.process_time()
    found = list_sources([place], ListedCounts(), leave_out=store.name)
    tasks, total = timed("list and plan", lambda: write_tasks(store, held.seen(found), TASK_FILES))
    if total != count:
        raise SystemExit(f"{count:,} sources: {total:,} are planned")
    return {
        "cpu_s": time.process_time() - started - made_s,
        "memory_bytes": peak_bytes() - before,
        "disk_bytes": held.most,
        "plan_bytes": bytes_below(folder / "job/plan"),
        "tasks": tasks,
    }


class _Space:
    """What files without a name take, once all sources are in them."""

    most = 0

    def seen(self, found):
        for number, one in enumerate(found):
            if number == 0:
                self.most = _nameless_bytes()
            yield one


def _nameless_bytes() -> int:
    taken = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(link.readlink()).endswith("(deleted)"):
                taken += link.stat().st_size
    return taken


def _fill_bucket(count: int) -> float:
    """Put a made bucket in the place of S3; seconds that its answers take by themselves."""
    import fsspec

    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
    from made_bucket import MadeBucket, Numbered

    bucket = MadeBucket(Numbered(count, KEY))
    share = min(count, 100_000)
    started = time.process_time()
    token = ""
    for _ in range(0, share, 1000):
        token = bucket.call_s3("list_objects_v2", Bucket="archive", ContinuationToken=token).get(
            "NextContinuationToken", ""
        )
    made_s = (time.process_time() - started) * count / share
    fsspec.filesystem = lambda *_, **__: bucket
    return made_s


def _write_list(count: int, place: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([("url", pa.string())])
    pieces = list(range(0, count, PIECE))
    draw = random.Random(1)
    draw.shuffle(pieces)
    with parquet.ParquetWriter(place, schema) as file:
        for first in pieces:
            numbers = list(range(first, min(first + PIECE, count)))
            draw.shuffle(numbers)
            urls = ["s3://archive/" + KEY % (n // 10**6, n // 1000 % 1000, n) for n in numbers]
            file.write_table(pa.Table.from_pydict({"url": urls}, schema=schema))


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
