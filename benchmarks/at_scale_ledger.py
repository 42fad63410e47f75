"""Ledgers in SQLite and PostgreSQL: sizes a decade apart, several clients, many jobs.

The rows are made here and are brought in by each database's own bulk load, which is not what is
measured. Then the ledger does what scans ask of it, by its own code.

``at_scale_ledger.py URL OWNER ROWS`` is one of several clients: a process that claims and writes
back so many rows once a line comes in.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections import deque
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from measure import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mesoscope.scan.ledger import Ledger

OPEN_SHARE = 10  # one row in so many is open, as in a job that is stopped near its end
CLAIM = 64  # as a scan claims
BATCH = 10_000  # new files of one transaction, as a walk writes them
INDEX = "mesoscope_files_sha256"  # made again once all rows are in, which is quicker
MILLION = 10**6
WAIT_S = 120  # for a server to begin
VERDICT = json.dumps(
    {
        "schema": 2, "source": "", "kind": "picture", "label": "real", "p_fake": 0.1,
        "faces": [{"box": [12.5, 20.25, 180.0, 214.75], "score": 0.98, "p_fake": 0.1,
                   "face_px": 167}],
        "skipped": [], "persons": [], "error": None, "model": "mesoscope@00000000",
        "elapsed_s": {"read": 0.003, "find": 0.025, "score": 0.003},
    }
)  # fmt: skip


def path_of(number: int) -> bytes:
    """A path as archives have them; numbers and paths have one order."""
    return b"/archive/%03d/%03d/photo%09d.jpg" % (number // 10**6, number // 1000 % 1000, number)


def is_open(number: int) -> bool:
    return number % OPEN_SHARE == 0


def narrow_rows(count: int) -> Iterator[tuple]:
    """Path, size, time, state, digest, label and score of each file."""
    for n in range(count):
        if is_open(n):
            yield path_of(n), 300_000, n, "pending", None, None, None
        else:
            yield path_of(n), 300_000, n, "done", digest(n), "real", 0.1


def digest(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def judged(count: int) -> Iterator[tuple[bytes, str]]:
    return ((path_of(n), VERDICT) for n in range(count) if not is_open(n))


def measure(url: str, count: int, sample: int) -> dict[str, float]:
    """Seconds of each thing that scans ask of a ledger of so many rows.

    ``write`` and ``claim`` are of ``sample`` rows and ``export`` of at most a hundred times so
    many; the others are of all rows.
    """
    from mesoscope.scan.ledger import Ledger
    from mesoscope.scan.tables import open_engine

    with contextlib.closing(Ledger(open_engine(url))) as ledger:
        ledger.begin({"model": "bench", "settings": {}})
        load(url, count)
        say(f"{count:,} rows are in")
        took: dict[str, float] = {}

        def timed(name: str, work) -> object:
            started = time.perf_counter()
            answer = work()
            took[name] = time.perf_counter() - started
            return answer

        timed("resume", lambda: deque(ledger.rows(b"", b"\xff"), 0))
        left = timed("count what is left", ledger.open_count)
        assert left == len(range(0, count, OPEN_SHARE)), left
        counts = timed("count by state and label", ledger.counts)
        assert sum(counts.states.values()) == count
        most = min(count - left, 100 * sample)
        read = timed("export", lambda: sum(1 for _ in islice(ledger.results(), most)))
        assert read == most
        took["export"] *= sample / most
        new = [(b"/archive/new/%09d.jpg" % n, 300_000, n) for n in range(sample)]
        timed(
            "plan", lambda: [ledger.plan(new=new[n : n + BATCH]) for n in range(0, sample, BATCH)]
        )

        _, done = timed("claim and write back", lambda: work(ledger, "bench", sample))
        took["claim and write back"] *= sample / done
    return took


def work(ledger: Ledger, owner: str, most: int) -> tuple[int, int]:
    """Claim and write back so many rows; how many were claimed, and how many written."""
    from mesoscope.scan.tables import DONE, Outcome

    claimed = written = 0
    while claimed < most and (claims := ledger.claim(owner, CLAIM)):
        outcomes = [
            Outcome(c.path, DONE, 300_000, 1, digest(n), "real", 0.1, VERDICT)
            for n, c in enumerate(claims)
        ]
        claimed += len(claims)
        written += ledger.finish(owner, outcomes)
    return claimed, written


def client(url: str, owner: str, most: int) -> None:
    """Be one of several clients."""
    from mesoscope.scan.ledger import Ledger
    from mesoscope.scan.tables import open_engine

    with contextlib.closing(Ledger(open_engine(url))) as ledger:
        ledger.heartbeat(owner)
        print("ready", flush=True)
        sys.stdin.readline()
        started = time.process_time()
        claimed, written = work(ledger, owner, most)
        busy_s = time.process_time() - started
        print(json.dumps({"claimed": claimed, "written": written, "busy_s": busy_s}), flush=True)


def measure_clients(
    url: str, clients: int, sample: int, server_s: Callable[[], float] = lambda: 0.0
) -> dict[str, float]:
    """Rows a second of some clients that together claim and write back a sample.

    And the processor time of both sides, in microseconds a row; ``server_s`` tells the server's
    so far.

    Raises:
        SystemExit: A row was claimed twice, or is not written.
    """
    from mesoscope.scan.ledger import Ledger
    from mesoscope.scan.tables import open_engine

    with contextlib.closing(Ledger(open_engine(url))) as ledger:
        before = ledger.open_count()
        program = [sys.executable, __file__, url]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        running = [
            subprocess.Popen([*program, f"client {n}", str(sample // clients)], **pipes)
            for n in range(clients)
        ]
        try:
            for one in running:
                one.stdout.readline()
            started, served = time.perf_counter(), server_s()
            for one in running:
                one.stdin.write("\n")
                one.stdin.flush()
            told = [json.loads(one.stdout.readline()) for one in running]
            took, served = time.perf_counter() - started, server_s() - served
        finally:
            for one in running:
                one.communicate()
        claimed, written = (sum(one[name] for one in told) for name in ("claimed", "written"))
        left = ledger.open_count()
    refuse_twice(clients, claimed, written, before - left)
    busy_s = sum(one["busy_s"] for one in told)
    return {
        "rate": written / took,
        "client": busy_s * MILLION / written,
        "server": served * MILLION / written,
    }


def processor_s(folder: Path) -> float:
    """Processor seconds that a server took so far, by its folder; Linux only."""
    first = int((folder / "data/postmaster.pid").read_text().splitlines()[0])
    ticks = 0
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended, and counts as its parent's
            pid, rest = place.parent.name, place.read_text().rpartition(")")[2].split()
            parent, (own, system, childrens, their_system) = int(rest[1]), map(int, rest[11:15])
            if int(pid) == first:
                ticks += own + system + childrens + their_system
            elif parent == first:
                ticks += own + system
    return ticks / os.sysconf("SC_CLK_TCK")


def refuse_twice(clients: int, claimed: int, written: int, fewer: int) -> None:
    """Hold what clients say to each other and to the ledger.

    Raises:
        SystemExit: A row was claimed twice, or is not written.
    """
    if not claimed == written == fewer:
        raise SystemExit(f"{clients} clients: {claimed:,} rows claimed, {written:,} written, "
                         f"{fewer:,} fewer open")  # fmt: skip


def measure_jobs(url: str, counts: Sequence[int], files: int) -> dict[int, dict[str, float]]:
    """What a job takes in a database with so many, each in its schema.

    Milliseconds to begin one, to open it, and to drop it, bytes of an empty one, and microseconds
    a row that is claimed and written back in the last one, of so many files.
    """
    import psycopg

    from mesoscope.scan.ledger import Ledger
    from mesoscope.scan.tables import open_engine

    told: dict[int, dict[str, float]] = {}
    made = 0
    for count in counts:
        before, first, started = used_bytes(url), made, time.perf_counter()
        while made < count:
            made += 1
            with contextlib.closing(Ledger(open_engine(f"{url}?schema=job_{made}"))) as ledger:
                ledger.begin({"model": "bench", "settings": {}})
        took = {"begin": (time.perf_counter() - started) / (made - first) * 1000}
        took["empty"] = (used_bytes(url) - before) / (made - first)
        with contextlib.closing(Ledger(open_engine(f"{url}?schema=job_{made}"))) as ledger:
            started = time.perf_counter()
            assert ledger.facts()
            took["open"] = (time.perf_counter() - started) * 1000
            new = [(path_of(n), 300_000, n) for n in range(files)]
            for n in range(0, files, BATCH):
                ledger.plan(new=new[n : n + BATCH])
            started = time.perf_counter()
            _, written = work(ledger, "bench", files)
            assert written == files
            took["work"] = (time.perf_counter() - started) / files * MILLION
            started = time.perf_counter()
            with psycopg.connect(url.replace("+psycopg", "")) as database:
                database.execute(f"DROP SCHEMA job_{made} CASCADE")
            took["drop"] = (time.perf_counter() - started) * 1000
            ledger.begin({"model": "bench", "settings": {}})  # there are so many again
        told[count] = took
    return told


def prepare(url: str, count: int) -> None:
    """Begin a job of so many rows."""
    from mesoscope.scan.ledger import Ledger
    from mesoscope.scan.tables import open_engine

    with contextlib.closing(Ledger(open_engine(url))) as ledger:
        ledger.begin({"model": "bench", "settings": {}})
    load(url, count)


def load(url: str, count: int) -> None:
    """Bring the rows in."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
            database.execute("PRAGMA cache_size = -200000")
            database.execute(f"DROP INDEX {INDEX}")
            database.executemany(
                "INSERT INTO mesoscope_files (path, size_bytes, mtime_ns, state, sha256, label, "
                "p_fake) VALUES (?, ?, ?, ?, ?, ?, ?)", narrow_rows(count),
            )  # fmt: skip
            database.executemany("INSERT INTO mesoscope_verdicts VALUES (?, ?)", judged(count))
            database.execute(f"CREATE INDEX {INDEX} ON mesoscope_files (sha256)")
            database.commit()
        return
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as database:
        database.execute(f"DROP INDEX {INDEX}")
        columns = "path, size_bytes, mtime_ns, state, sha256, label, p_fake"
        copies = {
            f"mesoscope_files ({columns})": (
                ("bytea", "int8", "int8", "varchar", "bytea", "varchar", "float8"),
                narrow_rows(count),
            ),
            "mesoscope_verdicts (path, verdict)": (("bytea", "text"), judged(count)),
        }
        for into, (types, rows) in copies.items():
            with database.cursor().copy(f"COPY {into} FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
        database.execute(f"CREATE INDEX {INDEX} ON mesoscope_files (sha256)")
        database.execute("VACUUM ANALYZE")  # as the server does by itself, in time


def used_bytes(url: str) -> int:
    """What the ledger takes on disk."""
    if url.startswith("sqlite"):
        return Path(url.removeprefix("sqlite:///")).stat().st_size
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as database:
        return database.execute("SELECT pg_database_size(current_database())").fetchone()[0]


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A PostgreSQL server of its own on loopback; the URL of its database.

    Raises:
        SystemExit: It is not installed, or does not begin to answer.
    """
    initdb, postgres = _program("initdb"), _program("postgres")
    folder.mkdir()
    user = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        folder.parent.chmod(0o755)
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **user}
    data = ["-D", folder / "data"]
    subprocess.run([initdb, *data, "-U", "bench", "-A", "trust", "-E", "UTF8"], check=True, **quiet)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [postgres, *data, "-h", "127.0.0.1", "-p", str(port), "-k", ""], **quiet
    )
    try:
        url = f"postgresql+psycopg://bench@127.0.0.1:{port}/postgres"
        _wait(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(WAIT_S)


def _program(name: str) -> str:
    found = shutil.which(name) or max(
        map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=""
    )
    if not found:
        raise SystemExit(f"{name}: not installed: install PostgreSQL's server, or leave it out")
    return found


def _wait(url: str, server: subprocess.Popen) -> None:
    import psycopg

    end = time.monotonic() + WAIT_S
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(url.replace("+psycopg", "")).close()
            return
        time.sleep(0.1)
    raise SystemExit("PostgreSQL does not begin to answer")


if __name__ == "__main__":
    client(sys.argv[1], sys.argv[2], int(sys.argv[3]))
