"""Keep the answers of the package ``mtcnn`` for ``tests/unit/faces/test_mtcnn_agreement.py``.

``python benchmarks/mtcnn_answers.py --peers PYTHON`` finds the faces of some scenes and photographs
with the package on TensorFlow, and writes boxes, confidences and landmarks as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import peers
import scenes
from measure import ROOT, say, workplace
from workers import Worker

ANSWERS = ROOT / "tests/unit/faces/mtcnn_answers.json"
MIN_FACE_PX = (20, 40)
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "rocket")


def pictures() -> dict[str, np.ndarray]:
    """The pictures by name, the same here and in the test."""
    from skimage import data

    found = {name: _colour(getattr(data, name)()) for name in PHOTOGRAPHS}
    found["grace_hopper"] = scenes.portraits()[1][0]
    for number, kind in enumerate(scenes.kinds()):
        found[kind] = scenes.scene(kind, number).pixels
    return found


def _colour(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels)


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--peers", type=Path, metavar="PYTHON")
    python = peers.interpreter(made.parse_args().peers)
    with workplace() as work, Worker(python, "theirs_mtcnn.py") as theirs:
        versions = theirs.ask("start")
        paths = {}
        for number, (name, pixels) in enumerate(pictures().items()):
            paths[name] = work / f"{number:03}.png"
            scenes.write_png(pixels, paths[name])
        found = {}
        for min_face in MIN_FACE_PX:
            say(f"{len(paths)} pictures, faces from {min_face} px on")
            told = theirs.ask(
                "answers", pictures=[str(p) for p in paths.values()], min_face=min_face
            )
            found[str(min_face)] = dict(zip(paths, told, strict=True))
    kept = {
        "made by": "benchmarks/mtcnn_answers.py",
        "versions": {name: versions[name] for name in ("mtcnn", "tensorflow")},
        "boxes": "x1, y1, x2, y2, rounded by the package",
        "min_face_px": found,
    }
    ANSWERS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
