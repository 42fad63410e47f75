"""Training Meso-4 in two processes beside one, each on one core with one thread: rate and loss.

Both sides are ``mesoscope train`` as a user calls it, in rounds that alternate; a round's two sides
have the same seed. The loss of the last epoch is told beside the rate, as more processes must not
buy speed with another result: each normalises over its own share of a batch.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import pictures
from measure import (
    ROOT,
    Bound,
    Row,
    Spread,
    console_script,
    cores,
    parser,
    rounds,
    run,
    say,
    workplace,
)

RECIPE = ROOT / "recipes/meso4.toml"
RESULTS = ROOT / "results/at_scale.csv"
PROCESSES = 2
VALIDATION = 32  # pictures


def options():
    made = parser("devices", __doc__.splitlines()[0])
    made.set_defaults(rounds=3, results=RESULTS)
    made.add_argument("--n", type=int, default=640, help="pictures in the folder, and an epoch's")
    made.add_argument("--epochs", type=int, default=3)
    made.add_argument("--note", default="", help="on the machine, for each row: that it was busy")
    return made


def bench(chosen, _conditions) -> list[Row]:
    if chosen.quick:
        chosen.n, chosen.epochs = 64, 1
    if cores() < PROCESSES:
        raise SystemExit(f"{cores()} core: two processes would share it: take another machine")
    losses: dict[str, list[float]] = {"one": [], "two": []}
    with workplace() as work:
        data, made = pictures.faces(work / "set/train", chosen.n + VALIDATION)
        n = made - hold_out(work / "set")
        pictures.read_all(work / "set")

        def rate(name: str, processes: int) -> float:
            seed = len(losses[name]) + 1
            per_s, loss = train(work, processes, seed, chosen)
            losses[name].append(loss)
            return per_s

        sides = {"one": partial(rate, "one", 1), "two": partial(rate, "two", PROCESSES)}
        measured = rounds(sides, chosen.rounds, say)
    return rows_of(measured, losses, n, data, chosen)


def hold_out(root: Path) -> int:
    """Move the last pictures to the validation split; how many."""
    moved = 0
    for label in ("real", "fake"):
        there = root / "validation" / label
        there.mkdir(parents=True)
        for path in sorted((root / "train" / label).iterdir())[-VALIDATION // 2 :]:
            path.rename(there / path.name)
            moved += 1
    return moved


def rows_of(measured, losses, n: int, data: str, chosen) -> list[Row]:
    how = (
        f"{chosen.epochs} epochs of {n} pictures, batch of the recipe; one core and one thread a "
        "process"
    )
    same = {
        "n": n, "how": "; ".join(filter(None, (how, chosen.note))), "model": "Meso-4", "data": data,
    }  # fmt: skip
    loss = {name: Spread.of(found) for name, found in losses.items()}
    return [
        Row(
            "devices", "training, two processes", "pictures/s", measured["two"], measured["one"],
            "one process", asked=Bound("ratio", "≥", 1.7), **same,
        ),
        Row(
            "devices", "training, two processes: loss of the last epoch", "", loss["two"],
            loss["one"], "one process; a seed a round", **same,
        ),
    ]  # fmt: skip


def train(work: Path, processes: int, seed: int, chosen) -> tuple[float, float]:
    """Pictures a second, the median of the epochs, and the loss of the last one."""
    allowed = sorted(os.sched_getaffinity(0))[:processes]
    with tempfile.TemporaryDirectory(dir=work) as folder:
        out = Path(folder) / "run"
        subprocess.run(
            [
                "taskset", "-c", ",".join(map(str, allowed)),
                console_script(), "train", work / "set", "--recipe", RECIPE, "--out", out,
                "--accelerator", "cpu", "--devices", str(processes),
                "--set", f"optimise.epochs={chosen.epochs}", "--set", f"seed={seed}",
                "--set", f"data.images_per_epoch={chosen.n}",
            ],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        epochs = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return median(one["images_per_s"] for one in epochs), epochs[-1]["loss"]


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
