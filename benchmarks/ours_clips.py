"""Our side of clips: the whole way, its parts alone, and the authors' way with our parts."""

from __future__ import annotations

import importlib.metadata
import sys
import time
from pathlib import Path

import numpy as np

import ours
from workers import serve


class State:
    """What the tasks of one worker share."""

    detector = None
    finder = None
    frames = ()
    crops = ()


def start(clip: str, frames: int, model: str):
    """Open the model and the finder; keep the clip's frames and crops for the parts."""
    import mesoscope
    from mesoscope.faces.finder import finder_for
    from mesoscope.media.video import open_clip

    told = ours.start(model=model)
    detector = State.detector = mesoscope.Detector(ours.State.scorer, faces="mtcnn", frames=frames)
    State.finder = finder_for(detector.options)
    with open_clip(clip, frames=frames) as opened:
        State.frames = list(opened.frames())
    State.crops = [crop for frame in State.frames for crop in _crops(frame)]
    verdict = detector.check(clip)  # the first one also allocates
    if not len(verdict.faces) == len(State.crops) > 0:
        raise RuntimeError(f"{len(verdict.faces)} faces, {len(State.crops)} in the parts")
    return told | {"av": importlib.metadata.version("av")} | {"faces": str(len(State.crops))}


def _crops(frame):
    from mesoscope.faces.crop import crop

    card = ours.State.scorer.card
    (found,) = State.finder.find([frame])
    return [
        crop(frame.pixels, face.box, margin=card.face_margin, size_px=card.input_px)
        for face in found.faces
    ]


def whole(clip: str):
    """Seconds from file to verdict."""
    started = time.perf_counter()
    State.detector.check(clip)
    return time.perf_counter() - started


def decode(clip: str, frames: int):
    """Seconds of decoding the same frames and nothing else, by as many threads."""
    from mesoscope.media.video import open_clip

    started = time.perf_counter()
    with open_clip(clip, frames=frames, threads=0) as opened:
        for _ in opened.frames():
            pass
    return time.perf_counter() - started


def find():
    """Seconds of finding in the frames in memory, by all cores."""
    from mesoscope.detection.reading import CHUNK
    from mesoscope.runtime.threads import cores, map_ordered

    groups = [State.frames[at : at + CHUNK] for at in range(0, len(State.frames), CHUNK)]
    started = time.perf_counter()
    list(map_ordered(State.finder.find, groups, threads=cores()))
    return time.perf_counter() - started


def score():
    """Seconds of scoring the crops in memory, by all cores."""
    from mesoscope.runtime.threads import cores, map_ordered

    batch = State.detector.options.batch_size
    batches = [np.stack(State.crops[at : at + batch]) for at in range(0, len(State.crops), batch)]
    started = time.perf_counter()
    list(map_ordered(ours.State.scorer.score, batches, threads=cores()))
    return time.perf_counter() - started


def authors_way(clip: str, frames: int):
    """Seconds of the authors' way with our parts: every frame decoded, one face after the other."""
    import imageio.v3

    from mesoscope.types import Frame

    started = time.perf_counter()
    count = imageio.v3.improps(clip, plugin="pyav").shape[0]
    step = max(1, count // frames)
    for number, pixels in enumerate(imageio.v3.imiter(clip, plugin="pyav")):
        if number % step == 0 and number // step < frames:
            for crop in _crops(Frame(np.ascontiguousarray(pixels), clip, number)):
                ours.State.scorer.score(crop[None])
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    serve(
        {"start": start, "whole": whole, "decode": decode, "find": find, "score": score,
         "authors_way": authors_way}
    )  # fmt: skip
