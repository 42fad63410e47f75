"""Scans of photos on Ray: two nodes beside one, and one machine beside the plain scan.

A node is a Ray node on one core of this machine (``taskset``), in a network namespace of its own
with an address of its own, so that nodes meet over a network (``ip netns``, a pair of veth; needs
root). Where namespaces are not permitted, both nodes share this machine's network, and the rows
say so. The scan's driver and Ray's head are on the first node's core.

A rate is of the time in which photos are judged: from the first byte that a judge reads to the
last part that is written. What passes before is the start-up, in rows of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import faces
import pictures
from measure import ROOT, Bound, Row, Spread, cores, parser, rounds, run, say, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RESULTS = ROOT / "results/at_scale.csv"
DRAWN = 64  # photos; the others are links to them
TASK_FILES = 32
ADDRESSES = ("10.77.0.1", "10.77.0.2")
PORT = 6379
STARTS_S = 120
BIN = Path(sys.executable).parent
# Without it, a token that an earlier Ray left in the home folder decides who may connect.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
_COUNT = (
    "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level='ERROR'); "
    "print(sum(node['Alive'] for node in ray.nodes()))"
)


def options():
    made = parser("nodes", __doc__.splitlines()[0])
    made.set_defaults(rounds=3, results=RESULTS)
    made.add_argument("--n", type=int, default=2048, help="photos of 1024×1024 with one face")
    made.add_argument("--only", choices=["nodes", "plain"], help="one half of it")
    made.add_argument("--model", default="mesoscope", help="name or file")
    made.add_argument("--note", default="", help="on the machine, for each row: that it was busy")
    return made


@dataclass(frozen=True)
class Ran:
    """One scan.

    Attributes:
        rate: Photos a second while photos were judged.
        whole: Photos a second of the whole process.
        start_s: From the start of the process to the first photo.
    """

    rate: float
    whole: float
    start_s: float


def bench(chosen, conditions) -> list[Row]:
    import ray

    if chosen.quick:
        chosen.n = 256
    if cores() < len(ADDRESSES):
        raise SystemExit(f"{cores()} core: two nodes would share it: take another machine")
    conditions.add({"ray": ray.__version__})
    rows: list[Row] = []
    with workplace() as work:
        photos(work / "photos", chosen.n)
        if chosen.only != "plain":
            rows += nodes(work, chosen)
        if chosen.only != "nodes":
            rows += plain(work, chosen)
    return rows


def photos(folder: Path, n: int) -> None:
    """Photos of 1024×1024, all of them in the page cache."""
    faces.photos(folder, min(n, DRAWN))
    for number in range(DRAWN, n):
        os.link(folder / f"{number % DRAWN:04}.jpg", folder / f"{number:04}.jpg")
    pictures.read_all(folder)


def nodes(work: Path, chosen) -> list[Row]:
    """Two nodes beside one."""
    ran: dict[str, list[Ran]] = {"one": [], "two": []}
    allowed = sorted(os.sched_getaffinity(0))

    def rate(name: str, count: int, network: Sequence[str]) -> float:
        with cluster(work, count, network, allowed) as (on_first, address):
            ran[name].append(scan_on_ray(work, chosen, on_first, ["--address", address]))
        return ran[name][-1].rate

    with namespaces() as network:
        sides = {
            name: partial(rate, name, number + 1, network) for number, name in enumerate(ran)
        }  # fmt: skip
        measured = rounds(sides, chosen.rounds, say)
    where = (
        "each in a network namespace of its own, joined by veth"
        if network
        else "both in this machine's network, as namespaces are not permitted here"
    )
    how = f"nodes of one core, {where}; head and driver on the first node's core"
    twice = Spread(
        *(2 * one for one in (measured["one"].median, measured["one"].low, measured["one"].high)),
        chosen.rounds,
    )
    same = _same(chosen, how)
    start = Spread.of([one.start_s for one in ran["two"]])
    start_one = Spread.of([one.start_s for one in ran["one"]])
    return [
        Row("nodes", "scan, two nodes", "photos/s", measured["two"], twice, "twice one node",
            asked=Bound("ratio", "≥", 0.85), **same),
        Row("nodes", "scan, two nodes: start-up", "s", start, start_one, "one node",
            inverse=True, **same),
    ]  # fmt: skip


def plain(work: Path, chosen) -> list[Row]:
    """Ray on one machine beside the plain scan."""
    ran: dict[str, list[Ran]] = {"ray": [], "plain": []}

    def rate(name: str) -> float:
        one = scan_on_ray(work, chosen, [], []) if name == "ray" else scan_plainly(work, chosen)
        ran[name].append(one)
        return one.rate

    measured = rounds({name: partial(rate, name) for name in ran}, chosen.rounds, say)
    same = _same(chosen, f"one machine of {cores()} cores, a judge or a thread a core")

    def other(what: str) -> tuple[Spread, Spread]:
        return tuple(Spread.of([getattr(one, what) for one in ran[n]]) for n in ("ray", "plain"))

    ours, theirs = other("start_s")
    whole, plainly = other("whole")
    return [
        Row("nodes", "scan, Ray on one machine", "photos/s", measured["ray"], measured["plain"],
            "plain scan", asked=Bound("ratio", "≥", 0.8), **same),
        Row("nodes", "scan, Ray on one machine: start-up", "s", ours, theirs, "plain scan",
            inverse=True, **same),
        Row("nodes", "scan, Ray on one machine: with start-up", "photos/s", whole, plainly,
            "plain scan", **same),
    ]  # fmt: skip


def _same(chosen, how: str) -> dict:
    tasks = f"tasks of {TASK_FILES} photos"
    return {
        "n": chosen.n, "how": "; ".join(filter(None, (how, tasks, chosen.note))),
        "model": chosen.model, "data": "JPEGs of 1024×1024 with one face",
    }  # fmt: skip


def scan_on_ray(work: Path, chosen, before: Sequence[str], more: Sequence[str]) -> Ran:
    """``mesoscope scan --engine ray`` in a process of its own."""
    job = work / "job"
    shutil.rmtree(job, ignore_errors=True)
    began = time.time()
    _run(
        [*before, BIN / "mesoscope", "scan", work / "photos", "--model", chosen.model,
         "--engine", "ray", "--task-files", str(TASK_FILES), "--out", job, *more]
    )  # fmt: skip
    ended = time.time()
    from mesoscope.scan.parts import JobParts, part_file

    written = [
        ((job / part_file(part.task)).stat().st_mtime, part.core_s)
        for part in JobParts(str(job)).parts()
    ]
    first = min(at - took for at, took in written)
    last = max(at for at, _ in written)
    return Ran(chosen.n / (last - first), chosen.n / (ended - began), first - began)


def scan_plainly(work: Path, chosen) -> Ran:
    """``mesoscope scan`` in a process of its own."""
    began = time.time()
    said = _run(
        [BIN / "mesoscope", "scan", work / "photos", "--model", chosen.model,
         "--out", work / "scan.jsonl"]
    )  # fmt: skip
    took = time.time() - began
    judged = float(re.search(r" files in ([\d.]+) s", said)[1])
    return Ran(chosen.n / judged, chosen.n / took, took - judged)


def _run(command: Sequence[object]) -> str:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {done.returncode}:\n"
                         f"{done.stderr[-2000:]}")  # fmt: skip
    return done.stderr


@contextlib.contextmanager
def cluster(
    work: Path, count: int, network: Sequence[str], allowed: Sequence[int]
) -> Iterator[tuple[list[str], str]]:
    """A Ray cluster of so many nodes: what runs a command on the first, and its address."""
    at = ADDRESSES if network else ("127.0.0.1",) * count
    address = f"{at[0]}:{PORT}"
    places = [
        [*(["ip", "netns", "exec", network[number]] if network else []),
         "taskset", "-c", str(allowed[number])]
        for number in range(count)
    ]  # fmt: skip
    begun = []
    try:
        for number, place in enumerate(places):
            head = ["--head", f"--port={PORT}", "--include-dashboard=false"]
            role = [f"--address={address}"] if number else [*head, f"--temp-dir={work}/ray"]
            begun.append(
                subprocess.Popen(
                    [*place, BIN / "ray", "start", "--block", "--num-cpus=1",
                     f"--node-ip-address={at[number]}", "--object-store-memory=100000000",
                     "--disable-usage-stats", *role],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=os.setpgrp,
                    env=ENVIRONMENT,
                )
            )  # fmt: skip
            _wait(places[0], address, number + 1)
        yield places[0], address
    finally:
        for one in reversed(begun):  # asked to end, they would drain for half a minute
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()
        shutil.rmtree(work / "ray", ignore_errors=True)


def _wait(place: Sequence[str], address: str, count: int) -> None:
    """Wait until the cluster has so many nodes."""
    end = time.monotonic() + STARTS_S
    while time.monotonic() < end:
        done = subprocess.run(
            [*place, sys.executable, "-c", _COUNT, address],
            capture_output=True, text=True, check=False, env=ENVIRONMENT,
        )  # fmt: skip
        if done.returncode == 0 and done.stdout.split()[-1:] == [str(count)]:
            return
        time.sleep(1)
    raise SystemExit(
        f"{address}: no Ray of {count} nodes within {STARTS_S} s: {done.stderr[-500:]}"
    )


@contextlib.contextmanager
def namespaces() -> Iterator[list[str]]:
    """Two network namespaces that reach each other; none where they are not permitted."""
    names = [f"mesoscope{os.getpid()}{which}" for which in "ab"]
    made = [
        *([f"netns add {name}"] for name in names),
        [f"link add va netns {names[0]} type veth peer name vb netns {names[1]}"],
        *([f"-n {name} address add {address}/24 dev v{which}",
           f"-n {name} link set v{which} up", f"-n {name} link set lo up"]
          for name, address, which in zip(names, ADDRESSES, "ab", strict=True)),
    ]  # fmt: skip
    try:
        try:
            for command in (one for some in made for one in some):
                subprocess.run(["ip", *command.split()], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", b"") or str(error).encode()
            say(f"no network namespaces, so both nodes share one network: {why.decode().strip()}")
            yield []
        else:
            yield names
    finally:
        for name in names:
            with contextlib.suppress(OSError):
                subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
