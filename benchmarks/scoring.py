"""Scoring 256×256 uint8 crops held in memory: Meso-4 here and in Keras on TensorFlow.

Both sides hold the same weights, must agree, and run at their own best arrangement, which is
searched first: the batch on both sides, and for Keras also predict or a tf.function, with and
without XLA, one caller on all cores or one caller a core.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import numpy as np

import peers
import pictures
from measure import Bound, Row, cores, parser, rounds, run, say, workplace
from workers import Worker

BATCHES = (1, 2, 4, 8, 16, 32, 64)
METHODS = ("predict", "predict+xla", "function", "function+xla")
TOLERANCE = 1e-4
# × the authors' Meso-4 in Keras
ASKED = {"mesoscope-medium": 3.0, "mesoscope-small": 6.0, "meso4": 1.3}
A_CROP = "a crop on one core"
# The models of the table "Which model", and how long a crop may take on one core.
ONE_CORE = {
    "mesoscope": Bound("ours", "≤", 5.0), "mesoscope-medium": None, "mesoscope-small": None,
}  # fmt: skip


def options():
    made = parser("scoring", __doc__.splitlines()[0])
    made.add_argument("--n", type=int, default=512, help="crops in memory")
    made.add_argument("--seconds", type=float, default=4.0, help="of a round")
    made.add_argument("--search-seconds", type=float, default=1.5, help="of a try in the search")
    return made


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.n, chosen.seconds, chosen.search_seconds = 64, 1.0, 0.3
    python = peers.interpreter(chosen.peers)
    with workplace() as work:
        h5, origin = peers.weights(work, python)
        model = peers.imported(work, h5)
        data, _ = pictures.faces(work / "faces", chosen.n)
        crops, checks = str(work / "crops.npy"), str(work / "checks.npy")
        # One caller on all cores, and a process with one core a caller.
        with (
            Worker(python, "theirs.py") as wide,
            Worker(python, "theirs.py") as narrow,
            Worker(peers.OURS, "ours.py") as ours,
        ):
            conditions.add(ours.ask("start", model=str(model)))
            conditions.add(wide.ask("start", weights=str(h5)), "peers")
            narrow.ask("start", weights=str(h5), threads=1)
            ours.ask("crops", pictures=str(work / "faces"), n=chosen.n, to=crops)
            ours.ask("check_pictures", to=checks)
            for asked in (checks, crops):
                agree(ours.ask("answers", crops=asked), wide.ask("answers", crops=asked))
            mine = search_ours(ours, crops, chosen.search_seconds)
            side, how = search_theirs(wide, narrow, crops, chosen.search_seconds)
            measured = rounds(
                {
                    "ours": lambda: ours.ask("score", crops=crops, seconds=chosen.seconds, **mine),
                    "theirs": lambda: side.ask("score", crops=crops, seconds=chosen.seconds, **how),
                },
                chosen.rounds,
                say,
            )
            rows = [
                Row(
                    "scoring", "scoring crops, Meso-4", "crops/s", measured["ours"],
                    measured["theirs"], "Keras on TensorFlow", asked=Bound("ratio", "≥", 1.3),
                    n=chosen.n, how=f"ours: {told(mine)}; theirs: {told(how)}",
                    model=origin, data=data,
                )
            ]  # fmt: skip
            for name, asked in ASKED.items():
                if name in peers.shipped():
                    rows.append(of_shipped(name, asked, chosen, ours, side, how, crops, data))
        if set(ONE_CORE) <= set(peers.shipped()):
            rows += on_one_core(chosen, crops, data)
    return rows


def agree(p_fake: list[float], p_real: list[float]) -> None:
    """Stop where the two sides are not the same network: their rates could not be compared."""
    difference = np.abs(np.array(p_fake) - (1 - np.array(p_real))).max()
    if not difference <= TOLERANCE:
        raise SystemExit(f"the two sides differ by {difference:.2g}, allowed is {TOLERANCE:g}")
    say(f"both sides answer alike: largest difference {difference:.1g} on {len(p_fake)} crops")


def search_ours(ours, crops: str, seconds: float) -> dict:
    """The best batch with one caller a core, as a Detector arranges it."""
    found = {}
    for batch in BATCHES:
        how = {"batch": batch, "callers": cores()}
        found[batch] = (ours.ask("score", crops=crops, seconds=seconds, **how), how)
    say(
        "ours, crops/s by batch: " + ", ".join(f"{b}: {rate:.0f}" for b, (rate, _) in found.items())
    )
    return max(found.values(), key=lambda pair: pair[0])[1]


def search_theirs(wide, narrow, crops: str, seconds: float):
    """Their best process, method and batch."""
    tries = [(wide, method, 1) for method in METHODS]
    tries += [(narrow, method, cores()) for method in METHODS if method.startswith("function")]
    found = []
    for side, method, callers in tries:
        rates = []
        for batch in BATCHES:
            how = {"method": method, "batch": batch, "callers": callers}
            rates.append(side.ask("score", crops=crops, seconds=seconds, **how))
            found.append((rates[-1], side, how))
        listing = ", ".join(f"{b}: {rate:.0f}" for b, rate in zip(BATCHES, rates, strict=True))
        say(f"theirs, {method}, {callers} callers, crops/s by batch: {listing}")
    return max(found, key=lambda one: one[0])[1:]


def of_shipped(name: str, asked: float, chosen, ours, side, how, crops: str, data: str) -> Row:
    """A shipped model of ours against the same Keras network, at its best arrangement."""
    opened = ours.ask("start", model=name)
    mine = search_ours(ours, crops, chosen.search_seconds)
    measured = rounds(
        {
            "ours": lambda: ours.ask("score", crops=crops, seconds=chosen.seconds, **mine),
            "theirs": lambda: side.ask("score", crops=crops, seconds=chosen.seconds, **how),
        },
        chosen.rounds,
        say,
    )
    return Row(
        "scoring", f"scoring crops, shipped {name}", "crops/s", measured["ours"],
        measured["theirs"], "Meso-4 in Keras", asked=Bound("ratio", "≥", asked), n=chosen.n,
        how=f"ours: {told(mine)}; theirs: {told(how)}", model=opened["model"], data=data,
    )  # fmt: skip


def on_one_core(chosen, crops: str, data: str) -> list[Row]:
    """Time of a crop by each model of ours, one at a time on one core, in the same rounds."""
    how = {"batch": 1, "callers": 1}

    def milliseconds(worker: Worker) -> float:
        return 1000 / worker.ask("score", crops=crops, seconds=chosen.seconds, **how)

    with ExitStack() as opened:
        workers = {n: opened.enter_context(Worker(peers.OURS, "ours.py")) for n in ONE_CORE}
        ids = {name: worker.ask("start", model=name)["model"] for name, worker in workers.items()}
        measured = rounds(
            {name: partial(milliseconds, worker) for name, worker in workers.items()},
            chosen.rounds,
            say,
        )
    return [
        Row(
            "scoring", f"{A_CROP}, {name}", "ms", measured[name], asked=asked, n=chosen.n,
            how=f"ours: {told(how)}", model=ids[name], data=data,
        )
        for name, asked in ONE_CORE.items()
    ]  # fmt: skip


def told(how: dict) -> str:
    """An arrangement in words."""
    method = f"{how['method']} " if "method" in how else ""
    return f"{method}batch {how['batch']}, {how['callers']} callers"


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
