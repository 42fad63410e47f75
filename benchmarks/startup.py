"""``mesoscope scan one.jpg`` as a whole process, beside a script that loads the authors' model.

Files are in the page cache. Where the asked for is missed, the slowest imports are printed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time

import peers
import pictures
from measure import Bound, Row, console_script, parser, rounds, run, say, workplace
from workers import HERE, Worker


def options():
    made = parser("startup", __doc__.splitlines()[0])
    made.set_defaults(rounds=10)
    return made


def bench(chosen, conditions) -> list[Row]:
    python = peers.interpreter(chosen.peers)
    with workplace() as work:
        data, _ = pictures.faces(work / "faces", 2)
        picture = next((work / "faces/real").iterdir())
        h5, origin = peers.weights(work, python)
        with Worker(python, "theirs.py") as theirs:
            conditions.add(theirs.ask("start", weights=str(h5)), "peers")
        with Worker(peers.OURS, "ours.py") as ours:
            model = peers.default() or str(peers.imported(work, h5))
            opened = ours.ask("start", model=model)
            conditions.add(opened)
        scan = [console_script(), "scan", picture, "--model", model]
        script = [python, HERE / "theirs.py", picture, h5]
        version = [console_script(), "--version"]
        for command in (scan, script, version):  # into the page cache
            seconds(command)
        measured = rounds(
            {
                "scan": lambda: seconds(scan),
                "script": lambda: seconds(script),
                "version": lambda: seconds(version),
            },
            chosen.rounds,
            say,
        )
        rows = [
            Row(
                "startup", "mesoscope scan one.jpg, whole process", "s", measured["scan"],
                measured["script"], "script with Keras", inverse=True, asked=asked, n=1,
                how="a new process each time, files in the page cache",
                model=f"{opened['model']}; theirs: {origin}", data=data,
            )
            for asked in (Bound("ours", "≤", 0.6), Bound("ratio", "≥", 5))
        ]  # fmt: skip
        rows.append(
            Row("startup", "mesoscope --version", "s", measured["version"], n=1,
                how="a new process each time")
        )  # fmt: skip
        if any(row.reached == "no" for row in rows):
            say(slow_imports(scan))
    return rows


def seconds(command) -> float:
    """Wall time of a process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def slow_imports(command) -> str:
    """The fifteen imports that take longest, with what they import."""
    told = subprocess.run(
        [sys.executable, "-X", "importtime", *command], capture_output=True, text=True, check=False
    ).stderr
    lines = re.findall(r"import time:\s+\d+ \|\s+(\d+) \|\s+(\S+)", told)
    slowest = sorted(((int(us), name) for us, name in lines), reverse=True)[:15]
    return "\n".join(f"{us / 1000:7.1f} ms  {name}" for us, name in slowest)


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
