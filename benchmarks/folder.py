"""A folder of face JPEGs → JSON lines: here, and by the authors' pipeline in Keras.

Ours is measured twice: an open Detector writing JSON lines within a process, and the whole
``mesoscope scan`` process with its start-up. Beside them, in the same rounds, the rate of scoring
alone on the same crops held in memory (what is lost to reading, decoding and writing), that of
decoding and scoring alone from bytes held in memory (the most that a folder can reach), the
authors' pipeline (Keras' image generator and predict, at its better batch), and today's way in
Keras (tf.data), which the authors did not have.
"""

from __future__ import annotations

import subprocess
import time

import peers
import pictures
from measure import Bound, Row, console_script, cores, parser, rounds, run, say, workplace
from workers import Worker

CROPS = 1000  # held in memory: 200 MB, more than any cache holds
# The authors' example takes the next batch and predicts it; handing predict the generator is
# the documented way.
WAYS = (("example", 1), ("example", 32), ("generator", 1), ("generator", 32))
DATASET_BATCHES = (8, 32)


def options():
    made = parser("folder", __doc__.splitlines()[0])
    made.add_argument("--n", type=int, default=4000, help="pictures in the folder")
    made.add_argument("--n-theirs", type=int, default=1000, help="of them a round for the peers")
    made.add_argument("--n-search", type=int, default=300, help="a try in the search")
    return made


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.n, chosen.n_theirs, chosen.n_search = 200, 64, 64
    python = peers.interpreter(chosen.peers)
    with workplace() as work:
        faces, crops, out = work / "faces", str(work / "crops.npy"), work / "scan.jsonl"
        data, n = pictures.faces(faces, chosen.n)
        h5, origin = peers.weights(work, python)
        model = peers.imported(work, h5)
        pictures.read_all(faces)
        with Worker(peers.OURS, "ours.py") as ours, Worker(python, "theirs.py") as theirs:
            opened = ours.ask("start", model=str(model))
            conditions.add(opened)
            conditions.add(theirs.ask("start", weights=str(h5)), "peers")
            ours.ask("crops", pictures=str(faces), n=min(n, CROPS), to=crops)
            authors = search(theirs, faces, WAYS, chosen.n_search)
            today = search(
                theirs, faces, [("dataset", b) for b in DATASET_BATCHES], chosen.n_search
            )
            alone = {"crops": crops, "batch": opened["batch"], "callers": cores()}
            seconds = 1.0 if chosen.quick else 3.0
            measured = rounds(
                {
                    "scoring alone": lambda: ours.ask("score", seconds=seconds, **alone),
                    "decode and score": lambda: ours.ask(
                        "decode_and_score",
                        pictures=str(faces),
                        n=min(n, CROPS),
                        callers=cores(),
                        seconds=seconds,
                    ),
                    "folder": lambda: ours.ask("folder", pictures=str(faces), out=str(out)),
                    "process": lambda: whole_process(faces, model, out, n),
                    "authors": lambda: theirs.ask(
                        "folder", root=str(faces), n=chosen.n_theirs, **authors
                    ),
                    "today": lambda: theirs.ask(
                        "folder", root=str(faces), n=chosen.n_theirs, **today
                    ),
                },
                chosen.rounds,
                say,
            )
    arrangement = f"ours: batch {opened['batch']}, {cores()} threads"
    common = {"n": n, "model": origin, "data": data}

    def row(what, ours, theirs, other, value=None, how=""):
        asked = None if value is None else Bound("ratio", "≥", value)
        return Row(
            "folder", what, "pictures/s", measured[ours], measured[theirs], other, asked=asked,
            how=f"{arrangement}{how}", **common,
        )  # fmt: skip

    theirs_how = f"; theirs: {authors['way']} batch {authors['batch']}, {chosen.n_theirs} a round"
    today_how = f"; theirs: tf.data batch {today['batch']}, {chosen.n_theirs} a round"
    return [
        row("folder → JSONL, open Detector", "folder", "scoring alone", "our scoring alone", 0.85),
        row(
            "folder → JSONL, open Detector",
            "folder",
            "decode and score",
            "our decoding and scoring alone",
            0.85,
        ),
        row("folder → JSONL, whole process", "process", "scoring alone", "our scoring alone"),
        row(
            "folder → JSONL, open Detector",
            "folder",
            "authors",
            "authors' pipeline",
            1.7,
            theirs_how,
        ),
        row(
            "folder → JSONL, whole process",
            "process",
            "authors",
            "authors' pipeline",
            None,
            theirs_how,
        ),
        row(
            "folder → JSONL, open Detector",
            "folder",
            "today",
            "Keras with tf.data",
            None,
            today_how,
        ),
    ]


def search(theirs, faces, ways, n: int) -> dict:
    """The peers' quickest way through the folder."""
    found = {}
    for way, batch in ways:
        how = {"way": way, "batch": batch}
        found[way, batch] = theirs.ask("folder", root=str(faces), n=n, **how), how
    listing = ", ".join(f"{w} batch {b}: {rate:.0f}" for (w, b), (rate, _) in found.items())
    say(f"theirs, pictures/s: {listing}")
    return max(found.values(), key=lambda pair: pair[0])[1]


def whole_process(faces, model, out, n: int) -> float:
    """Pictures a second of ``mesoscope scan``, from start to exit."""
    started = time.perf_counter()
    subprocess.run(
        [console_script(), "scan", faces, "--model", model, "--faces", "whole", "--out", out],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return n / (time.perf_counter() - started)


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
