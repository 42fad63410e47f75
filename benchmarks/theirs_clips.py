"""The peers' side of clips: imageio decodes every frame, ``mtcnn`` finds, Keras scores.

The authors' video pipeline finds faces with dlib, which comes as source alone and takes a compiler;
``mtcnn`` stands in its place, on as many frames as ours looks at. It imports nothing of mesoscope.
"""

from __future__ import annotations

import importlib.metadata
import sys
import time
from pathlib import Path

import imageio
import numpy as np
import tensorflow as tf
from PIL import Image

import theirs
import theirs_mtcnn
from workers import serve


def start(weights: str):
    """Build finder and network, and warm them."""
    told = theirs_mtcnn.start(weights=weights)
    return told | {"imageio": imageio.__version__} | {
        "imageio-ffmpeg": importlib.metadata.version("imageio-ffmpeg")
    }  # fmt: skip


def whole(clip: str, frames: int, min_face: int):
    """Seconds from file to the mean over the faces."""
    started = time.perf_counter()
    with imageio.get_reader(clip, "ffmpeg") as reader:
        step = max(1, reader.count_frames() // frames)
        crops = []
        for number, pixels in enumerate(reader):
            if number % step or number // step >= frames:
                continue
            picture = Image.fromarray(pixels)
            for face in theirs_mtcnn.found(pixels, min_face):
                cut = picture.crop(tuple(face["box"])).resize((theirs.SIDE,) * 2)
                crops.append(np.asarray(cut, np.float32) / 255)
    if not crops:
        raise RuntimeError("no face was found: there is nothing to compare")
    float(theirs.State.model.predict(np.stack(crops), batch_size=50, verbose=0).mean())
    return time.perf_counter() - started


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    sys.path.insert(0, str(Path(__file__).parent))
    serve({"start": start, "whole": whole})
