"""A hundred million photos and a billion rows, by simulation: what is kept, and what runs where.

Four parts, of which ``--only`` takes one. ``listing``: keys of a made bucket and a list, cut into
tasks (``at_scale_listing``). ``sink``: plan, parts and manifest of a scan on many
machines with synthetic rows, streamed, at sizes a decade apart, a process each (``at_scale_sink``).
``ledger``: SQLite and PostgreSQL at such sizes (``at_scale_ledger``). ``graph``: the tasks of such
a scan as discrete events, with the stages' times drawn from those in ``results/speed.csv``, on
machines that fail (``at_scale_graph``). Rows go to ``results/at_scale.csv``.
"""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import at_scale_graph as graph
import at_scale_ledger as ledgers
import at_scale_listing as listing
import at_scale_sink as sink
from measure import RESULTS as SPEED
from measure import ROOT, Row, Spread, parser, run, say, workplace

RESULTS = ROOT / "results/at_scale.csv"
MILLION = 10**6
STAGES = ("read", "find", "score")
SINK_STEPS = (
    "plan", "read a task", "parts", "export", "resume", "manifest", "read the manifest",
)  # fmt: skip
CLUSTERS = ((10**8, 50), (10**9, 50), (10**9, 500))  # photos, machines
PHOTOS = 20  # whose bytes are weighed


def options():
    made = parser("at_scale", __doc__.splitlines()[0])
    made.set_defaults(rounds=11, results=RESULTS)
    made.add_argument("--only", choices=["listing", "sink", "ledger", "graph"], help="a part of it")
    made.add_argument("--rows", type=int, default=10**8, help="of the sink, from 10,000 on")
    made.add_argument("--keys", type=int, default=10**7, help="of the listing, from 10,000 on")
    made.add_argument("--sqlite", type=int, default=10**6, help="rows of the ledger, at most")
    made.add_argument("--postgresql", type=int, default=10**7, help="rows of the ledger, at most")
    made.add_argument("--sample", type=int, default=20_000, help="rows claimed and written back")
    made.add_argument("--cores", type=int, default=16, help="of a machine")
    made.add_argument("--price", type=float, default=0.04, help="of a core-hour")
    made.add_argument("--note", default="", help="on the machine, for each row: that it was busy")
    return made


def bench(chosen, _conditions) -> list[Row]:
    if chosen.quick:
        chosen.rows = chosen.keys = chosen.sqlite = chosen.postgresql = 10**4
        chosen.sample = 1_000
    parts = {"listing": of_listing, "sink": of_sink, "ledger": of_ledger, "graph": of_graph}
    rows: list[Row] = []
    for name, part in parts.items():
        if chosen.only in (None, name):
            rows += part(chosen, rows)
    return rows


def decades(most: int) -> list[int]:
    """10,000 and each further power of ten, up to ``most``."""
    sizes = [10**4]
    while sizes[-1] * 10 <= most:
        sizes.append(sizes[-1] * 10)
    return sizes


def grown(what: str, unit: str, found: dict[int, float], how: str, chosen) -> list[Row]:
    """A row a size, each beside the size a decade below."""
    rows = []
    for size, value in found.items():
        before = found.get(size // 10)
        rows.append(
            Row(
                "at_scale", what, unit, Spread.of([value]),
                None if before is None else Spread.of([before]),
                "" if before is None else f"{size // 10:,} rows",
                n=size, how="; ".join(filter(None, (how, chosen.note))), data="synthetic rows",
            )
        )  # fmt: skip
    return rows


def of_sink(chosen, _rows) -> list[Row]:
    """Plan, parts and manifest: seconds of one core and bytes, by the number of rows."""
    told: dict[int, dict[str, float]] = {}
    for size in decades(chosen.rows):
        with workplace() as work:
            started = time.perf_counter()
            program = [sys.executable, Path(sink.__file__), str(size), work / "job"]
            done = subprocess.run(program, capture_output=True, text=True, check=True)
            told[size] = json.loads(done.stdout)
            say(f"sink, {size:,} rows: {time.perf_counter() - started:.0f} s")
    rows: list[Row] = []
    how = f"seconds of one core, without waits; tasks of {sink.TASK_FILES} files"
    for step in SINK_STEPS:
        found = {size: one[step] * MILLION / size for size, one in told.items()}
        rows += grown(f"sink: {step}", "s a million rows", found, how, chosen)
    for name in ("plan", "parts", "manifest"):
        found = {size: one[f"{name}_bytes"] / size for size, one in told.items()}
        rows += grown(f"sink: {name} on disk", "bytes a row", found, "zstd", chosen)
    how = f"parts with rows on disk at a time: {sink.WINDOW:,}"
    found = {size: one["window_bytes"] / MILLION for size, one in told.items()}
    rows += grown("sink: most of it on disk", "MB", found, how, chosen)
    found = {size: one["peak_bytes"] / MILLION for size, one in told.items()}
    return rows + grown("sink: peak memory", "MB", found, "plan, parts and manifest", chosen)


def of_listing(chosen, _rows) -> list[Row]:
    """Keys and lists cut into tasks: seconds of one core, memory and disk, by the number."""
    rows: list[Row] = []
    for kind, where in (("bucket", "keys of a made bucket"), ("list", "URLs in no order")):
        told: dict[int, dict[str, float]] = {}
        for size in decades(chosen.keys):
            with workplace() as work:
                started = time.perf_counter()
                program = [sys.executable, Path(listing.__file__), kind, str(size), work]
                done = subprocess.run(program, capture_output=True, text=True, check=True)
                told[size] = json.loads(done.stdout)
                say(f"listing of a {kind}, {size:,} rows: {time.perf_counter() - started:.0f} s")
        for what, unit, name, by in (
            ("list and plan", "s a million rows", "cpu_s", {s: s / MILLION for s in told}),
            ("memory", "MB", "memory_bytes", dict.fromkeys(told, MILLION)),
            ("on disk meanwhile", "bytes a row", "disk_bytes", {s: s for s in told}),
        ):
            found = {size: one[name] / by[size] for size, one in told.items()}
            how = f"{where}; one process, no network; seconds of one core, without waits"
            rows += grown(f"listing of a {kind}: {what}", unit, found, how, chosen)
    return rows


def of_ledger(chosen, _rows) -> list[Row]:
    """What scans ask of a ledger: seconds a million rows, by the number of rows.

    An interrupt ends it with the sizes that were measured.
    """
    rows: list[Row] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers are ended, too
    with workplace() as work:
        urls = {size: f"sqlite:///{work}/{size}.sqlite" for size in decades(chosen.sqlite)}
        rows += _of_ledgers("SQLite", urls, chosen)
        for size in urls:
            (work / f"{size}.sqlite").unlink()
        told = []
        for size in decades(chosen.postgresql):  # a server each, which goes with its rows
            try:
                with ledgers.postgresql(work / f"pg{size}") as url:
                    told.append((size, *_measured("PostgreSQL", url, size, chosen)))
            except KeyboardInterrupt:
                say(f"PostgreSQL, {size:,} rows: interrupted")
                break
            shutil.rmtree(work / f"pg{size}")
        rows += _ledger_rows("PostgreSQL", told, chosen)
    return rows


def _of_ledgers(database: str, urls: dict[int, str], chosen) -> list[Row]:
    told = [(size, *_measured(database, url, size, chosen)) for size, url in urls.items()]
    return _ledger_rows(database, told, chosen)


def _measured(database: str, url: str, size: int, chosen) -> tuple[dict[str, float], float]:
    started = time.perf_counter()
    sample = min(chosen.sample, size // ledgers.OPEN_SHARE)
    took = ledgers.measure(url, size, sample)
    of_sample = ("plan", "claim and write back", "export")
    rates = {k: v * MILLION / (sample if k in of_sample else size) for k, v in took.items()}
    say(f"{database}, {size:,} rows: {time.perf_counter() - started:.0f} s")
    return rates, ledgers.used_bytes(url) / size


def _ledger_rows(database: str, told, chosen) -> list[Row]:
    rows: list[Row] = []
    how = f"one client; one row in {ledgers.OPEN_SHARE} open; claims of {ledgers.CLAIM}"
    for step in told[0][1]:
        found = {size: rates[step] for size, rates, _ in told}
        rows += grown(f"ledger on {database}: {step}", "s a million rows", found, how, chosen)
    found = {size: used for size, _, used in told}
    return rows + grown(f"ledger on {database}: on disk", "bytes a row", found, how, chosen)


def stage_times(path: Path = SPEED) -> dict[str, tuple[float, float, float]]:
    """Milliseconds of a thread for each stage of a photo, lowest, median, highest: the last run.

    Raises:
        SystemExit: They were never measured.
    """
    with path.open(newline="", encoding="utf-8") as file:
        last = {r["what"]: r for r in csv.DictReader(file) if r["bench"] == "faces"}
    try:
        rows = {stage: last[f"of a photo: {stage}"] for stage in STAGES}
    except KeyError as error:
        raise SystemExit(f"{path.name}: has no row {error}: run benchmarks/faces.py") from None
    return {
        stage: (float(r["ours_low"]), float(r["ours"]), float(r["ours_high"]))
        for stage, r in rows.items()
    }


def sink_figures(rows: list[Row], path: Path) -> dict[str, float]:
    """Of each step of the sink at its largest size: of this run, else of the last one.

    Raises:
        SystemExit: They were never measured.
    """
    found = {row.what: row.ours.median for row in rows}  # sizes grow: the last stays
    if not found and path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            found = {r["what"]: float(r["ours"]) for r in csv.DictReader(file)}
    if "sink: parts" not in found:
        raise SystemExit(f"{path.name}: has no rows of the sink: run without --only first")
    return found


def photo_bytes() -> Spread:
    """Of JPEGs of 1024×1024 as ``faces.py`` measures the stages with."""
    import cv2

    import scenes

    sizes = []
    for number in range(PHOTOS):
        pixels = cv2.cvtColor(scenes.photo(number).pixels, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
        sizes.append(len(jpeg) / 1000)
    return Spread.of(sizes)


def of_graph(chosen, rows: list[Row]) -> list[Row]:
    """Hours, core-hours, repeats and traffic of scans on clusters of machines that fail."""
    stages = stage_times()
    kept = sink_figures(rows, chosen.results)
    fixed_s = (kept["sink: parts"] + kept["sink: read a task"]) * sink.TASK_FILES / MILLION
    weight = photo_bytes()
    found = [
        Row("at_scale", "graph: a photo", "kB", weight, n=PHOTOS, data="1024×1024 JPEG 90"),
        Row(
            "at_scale", "graph: of a task besides its stages", "ms", Spread.of([1000 * fixed_s]),
            n=sink.TASK_FILES, how="sources read, part written; no network",
        ),
    ]  # fmt: skip
    clusters = [(10**6, 5)] if chosen.quick else CLUSTERS
    for photos, machines in clusters:
        found += _of_cluster(photos, machines, stages, fixed_s, weight.median, kept, chosen)
        say(f"graph: {photos:,} photos on {machines} machines")
    return found


def _of_cluster(photos, machines, stages, fixed_s, weight_kb, kept, chosen) -> list[Row]:
    import numpy as np

    from mesoscope.distributed.on_ray import BLOCKS

    tasks = -(-photos // sink.TASK_FILES)
    rounds = max(1, min(chosen.rounds, 10**9 // photos))
    fails = graph.Cluster(machines, chosen.cores)
    steady = graph.Cluster(machines, chosen.cores, failures_per_h=0.0)
    ran: dict[str, list[graph.Ran]] = {}
    for seed in range(rounds):
        made = np.random.default_rng(seed)
        took = graph.task_seconds(tasks, sink.TASK_FILES, stages, fixed_s, made)
        alone = {"read": stages["read"]}
        read = graph.task_seconds(tasks, sink.TASK_FILES, alone, fixed_s, made)
        for name, (times, cluster, blocks, whole) in {
            "fails": (took, fails, BLOCKS, False), "whole": (took, fails, BLOCKS, True),
            "steady": (took, steady, BLOCKS, False), "fine": (took, fails, tasks, False),
            "read": (read, fails, BLOCKS, False),
        }.items():  # fmt: skip
            again = np.random.default_rng(seed + 1000)  # the same failures for each
            ran.setdefault(name, []).append(graph.run(times, cluster, blocks, again, whole=whole))
    core_h = float(took.sum()) / 3600

    def over(name: str, value) -> Spread:
        return Spread.of([float(value(one)) for one in ran[name]])

    hours = over("fails", lambda r: r.hours)
    expected = graph.expected_repeats(fails, hours.median)
    where = f"{photos:,} photos, {machines} × {chosen.cores} cores"
    rate = photos / hours.median / 3600
    lines = [
        ("time", "h", hours, over("steady", lambda r: r.hours), "no machine fails"),
        ("time, if finding and scoring took none", "h", over("read", lambda r: r.hours), None, ""),
        ("time, a task a block", "h", over("fine", lambda r: r.hours), hours, f"{BLOCKS:,} blocks"),
        ("cores at work", "share", over("fails", lambda r: r.busy),
         over("fine", lambda r: r.busy), "a task a block"),
        ("machines lost", "machines", over("fails", lambda r: r.failures), None, ""),
        ("tasks repeated", "tasks", over("fails", lambda r: r.repeated),
         Spread.of([expected]), "expected"),
        ("work lost", "core-hours", over("fails", lambda r: r.lost_core_h),
         over("whole", lambda r: r.lost_core_h), "a block is judged again whole"),
        ("work", "core-hours", Spread.of([core_h]), None, ""),
        (f"cost at {chosen.price:g} a core-hour", "", Spread.of([core_h * chosen.price]), None, ""),
        ("read from the store", "MB/s", Spread.of([rate * weight_kb / 1000]), None, ""),
        ("photos read", "TB", Spread.of([photos * weight_kb / 1e9]), None, ""),
        ("parts written", "GB", Spread.of([photos * kept["sink: parts on disk"] / 1e9]), None, ""),
        ("tasks", "tasks", Spread.of([float(tasks)]), None, ""),
    ]  # fmt: skip
    how = "a machine lost each hour at random, another in its place after ten minutes; simulated"
    return [
        Row("at_scale", f"graph, {where}: {what}", unit, ours, theirs, other, n=photos, how=how,
            data=f"stage times of results/{SPEED.name}")
        for what, unit, ours, theirs, other in lines
    ]  # fmt: skip


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
