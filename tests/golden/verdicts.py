"""The shipped models' verdicts on the samples and on media made here, as they are meant to be.

``verdicts.json`` beside this file holds them, and ``tests/integration/test_golden.py`` compares.
Write them anew (``make golden``) after a change that is meant to move them: another shipped model,
another threshold, another way to find or cut out faces. Say in CHANGELOG.md what moved, and why.

python tests/golden/verdicts.py
"""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np

import mesoscope
from mesoscope.models.file import model_id, shipped

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("verdicts.json")
FRAMES = 6


def samples():
    """Name → path of every sample that holds pictures."""
    paths = sorted(p for p in (ROOT / "samples").glob("*/*") if p.suffix != ".txt")
    return {path.relative_to(ROOT).as_posix(): path for path in paths}


def made(folder):
    """Name → array or path of pictures and a clip that code makes, to the same bits each time."""
    collins, hopper = (
        cv2.imread(str(ROOT / f"samples/real/{name}.jpg"))[:, :, ::-1]
        for name in ("collins", "hopper")
    )
    y, x = np.indices((256, 256))
    pattern = (((x // 4 + y // 4) % 2) * 24)[:, :, None].astype(np.int16)
    wall = np.full((240, 320, 3), (96, 104, 120), np.uint8)
    photo = np.full((400, 640, 3), 128, np.uint8)
    photo[70:326, 40:296], photo[70:326, 340:596] = collins, hopper
    return {
        "made/checkered": np.clip(collins + pattern, 0, 255).astype(np.uint8),
        "made/mirrored": np.ascontiguousarray(hopper[:, ::-1]),
        "made/halved": np.ascontiguousarray(collins[::2, ::2]),
        "made/grey": np.ascontiguousarray(hopper[:, :, 1]),
        "made/two_faces": photo,
        "made/no_face": wall,
        "made/clip.mkv": _clip(folder / "clip.mkv", photo),
    }


def verdicts(name, folder):
    """Source → label, reason, ``p_fake`` and those of faces or persons, by the shipped model."""
    detector = mesoscope.Detector(name, frames=FRAMES)
    sources = {**samples(), **made(folder)}
    answers = detector.check_many(list(sources.values()), keep_going=True)
    return {source: _kept(verdict) for source, verdict in zip(sources, answers, strict=True)}


def _kept(verdict):
    kept = {"label": verdict.label, "p_fake": verdict.p_fake}
    if verdict.error is not None:
        kept["error"] = verdict.error["code"]
    parts = verdict.persons if verdict.kind == "clip" else verdict.faces
    return kept | {"parts": [part.p_fake for part in parts]}


def _clip(path, photo):
    """Six frames that move a little, without loss: no encoder's version shows in them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=5, options={"level": "3"})
        stream.height, stream.width, stream.pix_fmt = *photo.shape[:2], "bgr0"
        for number in range(FRAMES):
            pixels = np.roll(photo, 4 * number, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def main():
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        models = {
            name: {"model": model_id(path), "verdicts": verdicts(name, Path(folder))}
            for name, path in sorted(shipped().items())
        }
    text = json.dumps(models, indent=1, default=str)
    FILE.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
