"""Finding faces: what is found on scenes of known truth, and how quickly, beside the package mtcnn.

Recall, box overlap and false faces of each finder go to ``results/faces.csv``; photos a second,
from file to verdict, to ``results/speed.csv``. The other side is the package ``mtcnn`` on
TensorFlow, then the authors' Meso-4 in Keras; both sides look for faces of the same size.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

import peers
import scenes
from measure import (
    ROOT,
    SHARED,
    Bound,
    Row,
    Spread,
    commit,
    cores,
    parser,
    rounds,
    run,
    say,
    workplace,
)  # fmt: skip
from workers import Worker

RESULTS = ROOT / "results/faces.csv"
YUNET = SHARED / "weights/yunet_n_dynamic.onnx"
OVERLAP = 0.5
COLUMNS = (
    "commit", "finder", "kind", "faces", "found", "recall", "mean_overlap", "false_faces",
    "taken_as_crop", "command",
)  # fmt: skip


def options():
    made = parser("faces", __doc__.splitlines()[0])
    made.add_argument("--n", type=int, default=40, help="photos of 1024×1024 with one face")
    made.add_argument("--per-kind", type=int, default=12, help="scenes of a kind")
    made.add_argument("--min-face", type=int, default=40)
    made.add_argument("--only", choices=["recall", "speed"], help="one half of it")
    return made


def recall(chosen) -> list[dict]:
    """Rows of what each finder finds."""
    from mesoscope.faces.crop import overlaps
    from mesoscope.faces.finder import finder_for
    from mesoscope.types import DetectOptions, Frame

    asked = {"mtcnn": None, "auto": None}
    if YUNET.is_file():
        asked["yunet"] = str(YUNET)
    every = [*scenes.scenes(chosen.per_kind), scenes.crowd()]
    rows = []
    for name, model in asked.items():
        finder = finder_for(
            DetectOptions(faces=name, finder_model=model, min_face_px=chosen.min_face)
        )
        counts = defaultdict(lambda: {"faces": 0, "overlaps": [], "false": 0, "whole": 0})
        for scene in every:
            (found,) = finder.find([Frame(scene.pixels, scene.kind)])
            boxes = np.array([f.box for f in found.faces], np.float32).reshape(-1, 4)
            over = overlaps(np.array(scene.boxes, np.float32), boxes)
            count = counts[scene.kind]
            count["faces"] += len(scene.boxes)
            best = over.max(axis=1, initial=0)
            count["overlaps"] += best[best > OVERLAP].tolist()
            count["false"] += int((over.max(axis=0, initial=0) <= OVERLAP).sum())
            count["whole"] += found.whole
        for kind, count in counts.items():
            hits = len(count["overlaps"])
            rows.append(
                {
                    "finder": name,
                    "kind": kind,
                    "faces": count["faces"],
                    "found": hits,
                    "recall": f"{hits / count['faces']:.4f}",
                    "mean_overlap": f"{np.mean(count['overlaps']) if hits else 0:.3f}",
                    "false_faces": count["false"],
                    "taken_as_crop": count["whole"],
                }
            )
            say(" ".join(f"{key}={value}" for key, value in rows[-1].items()))
    return rows


def photos(folder: Path, n: int) -> list[str]:
    """JPEGs of 1024×1024 with one face each."""
    folder.mkdir()
    paths = []
    for number in range(n):
        path = folder / f"{number:04}.jpg"
        pixels = scenes.photo(number).pixels
        cv2.imwrite(
            str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90]
        )
        paths.append(str(path))
    return paths


def speed(chosen, conditions) -> list[Row]:
    python = peers.interpreter(chosen.peers)
    model = peers.default() or "meso4"
    with workplace() as work:
        h5, origin = peers.weights(work, python)
        paths = photos(work / "photos", chosen.n)
        with (
            Worker(python, "theirs_mtcnn.py") as theirs,
            Worker(peers.OURS, "ours_faces.py") as ours,
        ):
            conditions.add(ours.ask("start", model=model, min_face=chosen.min_face))
            conditions.add(theirs.ask("start", weights=str(h5)), "peers")
            few = paths[:2]
            ours.ask("judge", pictures=few)
            theirs.ask("judge", pictures=few, min_face=chosen.min_face)
            told = {"stages_ms": defaultdict(list)}

            def judged() -> float:
                answer = ours.ask("judge", pictures=paths)
                told.update(faces=answer["faces"], model=answer["model"])
                for stage, ms in answer["stages_ms"].items():
                    told["stages_ms"][stage].append(ms)
                return answer["rate"]

            size = {"min_face": chosen.min_face}
            measured = rounds(
                {
                    "finding, ours": lambda: ours.ask("find", pictures=paths),
                    "finding, theirs": lambda: theirs.ask("find", pictures=paths, **size),
                    "whole path, ours": judged,
                    "whole path, theirs": lambda: theirs.ask("judge", pictures=paths, **size),
                },
                chosen.rounds,
                say,
            )
    data = f"1024×1024 JPEG 90, one face pasted; {told['faces']} faces in {chosen.n} photos"
    how = f"faces from {chosen.min_face} px on; ours: {cores()} threads; theirs: one after another"
    common = {"n": chosen.n, "how": how, "data": data}
    whole = {"theirs": measured["whole path, theirs"], "other": f"mtcnn, then Keras ({origin})"}
    path = ("faces", "photo, file to verdict", "photos/s", measured["whole path, ours"])
    rows = [
        Row("faces", "finding faces, pixels to boxes", "photos/s", measured["finding, ours"],
            measured["finding, theirs"], "mtcnn on TensorFlow", **common),
        Row(*path, **whole, asked=Bound("ratio", "≥", 8), model=told["model"], **common),
        Row(*path, asked=Bound("ours", "≥", 25), model=told["model"], **common),
    ]  # fmt: skip
    rows += [
        Row("faces", f"of a photo: {stage}", "ms of a thread", Spread.of(ms),
            model=told["model"], **common)
        for stage, ms in told["stages_ms"].items()
    ]  # fmt: skip
    return rows


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.n, chosen.per_kind = 8, 2
    if chosen.only != "speed":
        rows = recall(chosen)
        if not chosen.dry:
            with RESULTS.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                around = {"commit": commit(), "command": conditions.command}
                writer.writerows(around | row for row in rows)
    return [] if chosen.only == "recall" else speed(chosen, conditions)


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
