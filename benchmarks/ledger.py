"""A job of a million files: how long a resume takes to decide what is left, in how much memory.

A tree of files and a ledger that knows them all are made here. One round is a process of its own
that walks the tree, compares it with the ledger and writes the plan down; some files are new,
changed or gone each time. Beside it, in the same rounds, the same with a tenth of the files: memory
must not grow. Last, a scan into a job folder beside one into JSON lines, on the same pictures.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pictures
from measure import Bound, Row, Spread, console_script, parser, rounds, run, say, workplace

A_FOLDER = 1_000  # files
TOUCHED = 100  # of a tree: a third new, a third changed, a third gone
MIB = 1 << 20
VERDICT = json.dumps({"schema": 2, "label": "real", "faces": [{"box": [0.0] * 4}] * 8})

# One decision, as `mesoscope scan … --resume` makes it before the first picture is judged.
DECIDE = """
import json, resource, sys, time
from pathlib import Path
from mesoscope.scan.folder import open_ledger
from mesoscope.scan.plan import Planner, outermost
from mesoscope.detection.detector import Detector  # its memory is part of a scan's
job, tree = Path(sys.argv[1]), sys.argv[2]
started = time.perf_counter()
ledger = open_ledger(job)
planned = Planner(ledger, lambda places: None).compare(outermost([tree]))
left = ledger.open_count()
seconds = time.perf_counter() - started
try:  # ru_maxrss would still count what this process shared with its parent before it began
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
print(json.dumps({"seconds": seconds, "peak": peak, "left": left, "listed": planned.listed,
                  "new": planned.new, "changed": planned.changed, "removed": planned.removed}))
"""


def options():
    made = parser("ledger", __doc__.splitlines()[0])
    made.set_defaults(rounds=3)
    made.add_argument("--files", type=int, default=1_000_000, help="in the large tree")
    made.add_argument("--n", type=int, default=2_000, help="pictures scanned both ways")
    return made


def bench(chosen, _conditions) -> list[Row]:
    if chosen.quick:
        chosen.files, chosen.n = 20_000, 200
    with workplace() as work:
        trees = {"many": chosen.files, "few": chosen.files // 10}
        for name, count in trees.items():
            plant(work / name, count)
            say(f"{name}: {count:,} files and their ledger are made")
        peaks = {name: [] for name in trees}
        measured = rounds(
            {n: lambda n=n: decide(work / n, peaks[n], trees[n]) for n in trees},
            chosen.rounds,
            say,
        )
        highest = {name: Spread.of(values) for name, values in peaks.items()}
        for name in trees:
            shutil.rmtree(work / name)
        rates = scan_both(work, chosen)
    how = f"a new process each, walk and comparison; {TOUCHED} files new, changed or gone"
    return [
        Row(
            "ledger", f"resume of {chosen.files:,} files: what is left", "s", measured["many"],
            measured["few"], f"{trees['few']:,} files", inverse=True,
            asked=Bound("ours", "≤", 10.0), n=chosen.files, how=how, data="empty files",
        ),
        Row(
            "ledger", f"peak memory of that, {chosen.files:,} files", "MiB", highest["many"],
            highest["few"], f"{trees['few']:,} files", asked=Bound("ratio", "≤", 1.2),
            n=chosen.files, how=how, data="empty files",
        ),
        Row(
            "ledger", "folder → job, whole process", "pictures/s", rates["job"], rates["lines"],
            "folder → JSONL, whole process", asked=Bound("ratio", "≥", 0.9), n=chosen.n,
            how="--faces whole, a new process each time",
            data="made here from scikit-image's astronaut",
        ),
    ]  # fmt: skip


def plant(folder: Path, count: int) -> None:
    """A tree of empty files, and a job that has judged them all."""
    from mesoscope.scan.folder import LEDGER
    from mesoscope.scan.ledger import Ledger
    from mesoscope.scan.tables import open_engine

    tree, job = folder / "tree", folder / "job"
    job.mkdir(parents=True)
    with contextlib.closing(Ledger(open_engine(f"sqlite:///{job / LEDGER}"))) as ledger:
        ledger.begin({"model": "bench", "settings": {}})
    # Its rows are written in one go, not as a scan does, which is not what is measured here.
    with contextlib.closing(sqlite3.connect(job / LEDGER)) as database:
        database.execute("PRAGMA cache_size = -500000")
        (index,) = database.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'mesoscope_files_sha256'"
        ).fetchone()
        database.execute("DROP INDEX mesoscope_files_sha256")
        for first in range(0, count, A_FOLDER):
            number = first // A_FOLDER
            inner = tree / f"{number // 100:03d}" / f"{number % 100:02d}"
            paths = list(made_files(inner, first, min(first + A_FOLDER, count)))
            database.executemany(
                "INSERT INTO mesoscope_files (path, size_bytes, mtime_ns, state, sha256, label, "
                "p_fake) VALUES (?, 0, ?, 'done', ?, 'real', 0.1)",
                ((path, mtime, hashlib.sha256(path).digest()) for path, mtime in paths),
            )
            database.executemany(
                "INSERT INTO mesoscope_verdicts VALUES (?, ?)",
                ((path, VERDICT) for path, _ in paths),
            )
        database.execute(index)
        database.commit()


def made_files(folder: Path, first: int, end: int):
    """Make empty files; the path and the time of each."""
    folder.mkdir(parents=True)
    for n in range(first, end):
        path = os.fsencode(folder / f"picture{n:07d}.jpg")
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        yield path, os.stat(path).st_mtime_ns  # noqa: PTH116 - bytes


def decide(folder: Path, peaks: list[float], count: int) -> float:
    """Change a few files, let a process decide; its seconds."""
    tree = folder / "tree"
    third = TOUCHED // 3
    here = sorted(tree.glob("*/*"))[len(peaks)]
    files = sorted(here.iterdir())
    for n, path in enumerate(files[: 2 * third]):
        if n % 2:
            path.unlink()
        else:
            path.write_bytes(b"changed")
    for n in range(third):
        (here / f"new{len(peaks)}_{n:03d}.jpg").touch()
    done = subprocess.run(
        [sys.executable, "-c", DECIDE, folder / "job", tree],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    wanted = {"new": third, "changed": third, "removed": third}
    if any(told[name] != value for name, value in wanted.items()):
        raise SystemExit(f"{count:,} files: planned {told}, and the truth is {wanted}")
    peaks.append(told["peak"] / MIB)
    return told["seconds"]


def scan_both(work: Path, chosen) -> dict:
    """Pictures a second into a job folder and into JSON lines."""
    pictures.small(work / "small", chosen.n, distinct=chosen.n)  # copies would be judged once
    outs = {"job": work / "job", "lines": work / "scan.jsonl"}

    def rate(name: str) -> float:
        shutil.rmtree(outs["job"], ignore_errors=True)
        started = time.perf_counter()
        subprocess.run(
            [console_script(), "scan", work / "small", "--faces", "whole", "--out", outs[name]],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return chosen.n / (time.perf_counter() - started)

    return rounds({name: lambda name=name: rate(name) for name in outs}, chosen.rounds, say)


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
