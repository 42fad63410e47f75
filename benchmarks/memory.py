"""Peak memory of ``mesoscope scan``: 20,000 small pictures beside 1,000."""

from __future__ import annotations

import os
import subprocess
import sys

import peers
import pictures
from measure import Bound, Row, console_script, parser, rounds, run, say, workplace
from workers import Worker

MIB = 1 << 20


def options():
    made = parser("memory", __doc__.splitlines()[0])
    made.set_defaults(rounds=3)
    made.add_argument("--many", type=int, default=20_000, help="pictures in the large folder")
    made.add_argument("--few", type=int, default=1_000, help="pictures in the small folder")
    made.add_argument("--model", help="the shipped meso4, or one imported from Keras")
    return made


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.many, chosen.few = 2_000, 100
    with workplace() as work:
        model = chosen.model or peers.default()
        if model is None:
            model = str(
                peers.imported(work, peers.weights(work, peers.interpreter(chosen.peers))[0])
            )
        with Worker(peers.OURS, "ours.py") as ours:
            opened = ours.ask("start", model=model)
            conditions.add(opened)
        for name, n in (("many", chosen.many), ("few", chosen.few)):
            pictures.small(work / name, n)
        measured = rounds(
            {name: lambda name=name: peak(work / name, model, work) for name in ("many", "few")},
            chosen.rounds,
            say,
        )
    return [
        Row(
            "memory", f"peak memory, {chosen.many:,} pictures of 64×64", "MiB", measured["many"],
            measured["few"], f"{chosen.few:,} of them", asked=Bound("ratio", "≤", 1.2),
            n=chosen.many, how="a new process each time, --out scan.jsonl, highest resident size",
            model=opened["model"], data="made here from scikit-image's astronaut",
        )
    ]  # fmt: skip


def peak(folder, model: str, work) -> float:
    """Highest resident size of one scan, in MiB."""
    process = subprocess.Popen(
        [console_script(), "scan", folder, "--model", model, "--out", work / "scan.jsonl"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"mesoscope scan {folder.name}: exit code {process.returncode}")
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MIB


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
