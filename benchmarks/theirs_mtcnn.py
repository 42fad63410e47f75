"""The peers' side of finding faces: the package ``mtcnn`` on TensorFlow, run by their interpreter.

It imports nothing of mesoscope.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from mtcnn import MTCNN
from mtcnn.stages import stage_pnet
from PIL import Image

import theirs
from workers import serve

WINDOW_PX, FACTOR = 12, 0.709


class State:
    finder = None


def start(threads: int = 0, weights: str | None = None):
    """Build the networks; ``weights`` is an ``.h5`` of the authors' Meso-4."""
    told = theirs.start(weights=weights, threads=threads)
    State.finder = MTCNN()
    return told | {"mtcnn": importlib.metadata.version("mtcnn")}


def found(pixels, min_face: int):
    """``detect_faces``, with a pyramid that ends where a window no longer fits.

    The package counts the levels as if the pyramid began at the picture's own size. With
    ``min_face_size`` above its default of 20 the last levels are then too small for its network,
    which it takes for a picture without faces.
    """
    given = stage_pnet.build_scale_pyramid

    def levels(width, height, **asked):
        every = given(width, height, **asked)
        return every[every * min(width, height) >= WINDOW_PX + 2]

    stage_pnet.build_scale_pyramid = levels
    try:
        return State.finder.detect_faces(pixels, min_face_size=min_face, box_format="xyxy")
    finally:
        stage_pnet.build_scale_pyramid = given


def answers(pictures: list[str], min_face: int):
    """Faces of each picture file: box, confidence, five landmarks."""
    told = []
    for path in pictures:
        faces = found(np.asarray(Image.open(path).convert("RGB")), min_face)
        told.append(
            [
                {
                    "box": [float(v) for v in face["box"]],
                    "confidence": round(float(face["confidence"]), 5),
                    "landmarks": [
                        [int(v) for v in face["keypoints"][name]]
                        for name in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
                    ],
                }
                for face in faces
            ]
        )
    return told


def find(pictures: list[str], min_face: int):
    """Pictures a second, from pixels in memory to boxes."""
    decoded = [np.asarray(Image.open(path).convert("RGB")) for path in pictures]
    started = time.perf_counter()
    for pixels in decoded:
        found(pixels, min_face)
    return len(decoded) / (time.perf_counter() - started)


def judge(pictures: list[str], min_face: int):
    """Pictures a second, from file to score: Pillow, ``mtcnn``, Pillow's crop, Keras' predict."""
    faces = 0
    started = time.perf_counter()
    for path in pictures:
        picture = Image.open(path).convert("RGB")
        crops = [
            np.asarray(picture.crop(tuple(face["box"])).resize((theirs.SIDE,) * 2), np.float32)
            / 255
            for face in found(np.asarray(picture), min_face)
        ]
        faces += len(crops)
        if crops:
            theirs.State.model.predict(np.stack(crops), verbose=0)
    if not faces:
        raise RuntimeError("no face was found: there is nothing to compare")
    return len(pictures) / (time.perf_counter() - started)


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    sys.path.insert(0, str(Path(__file__).parent))
    serve({"start": start, "answers": answers, "find": find, "judge": judge})
