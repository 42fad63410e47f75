"""Our side of preparing: the whole way into a data set, and decoding, finding, cropping alone."""

from __future__ import annotations

import csv
import importlib.metadata
import shutil
import sys
import time
from pathlib import Path

import ours
from workers import serve


class State:
    """What the tasks of one worker share."""

    finder = None
    options = None


def start(frames: int):
    """Open the finder; both ways use it."""
    from mesoscope.cli.options import KEPT_BYTES
    from mesoscope.data.prepare import PrepareOptions
    from mesoscope.faces.finder import finder_for
    from mesoscope.runtime.allocator import keep_heap

    keep_heap(KEPT_BYTES)  # as the command line does
    State.options = PrepareOptions(frames=frames)
    State.finder = finder_for(State.options.detect())
    names = ("mesoscope", "onnxruntime", "numpy", "av")
    versions = {name: importlib.metadata.version(name) for name in names}
    return versions | {"opencv": importlib.metadata.version("opencv-python-headless")}


def whole(root: str, out: str):
    """Seconds from a set to the data set with its manifest, and faces written."""
    from mesoscope.data.prepare import prepare

    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    prepare(Path(root), Path(out), options=State.options)
    taken = time.perf_counter() - started
    with Path(out, "manifest.csv").open(newline="", encoding="utf-8") as file:
        return {"seconds": taken, "faces": sum(1 for _ in csv.DictReader(file))}


def parts(root: str):
    """Seconds of decoding the same frames, finding in them and cropping what is found."""
    from mesoscope.runtime.threads import cores, map_ordered

    files = sorted(p for p in Path(root).rglob("*.*") if p.is_file() and "masks" not in p.parts)
    clips = [[p] for p in files if p.suffix == ".mp4"]
    pictures = [p for p in files if p.suffix != ".mp4"]
    work = clips + [pictures[at : at + 8] for at in range(0, len(pictures), 8)]
    started = time.perf_counter()
    faces = sum(map_ordered(_faces, work, threads=cores()))
    return {"seconds": time.perf_counter() - started, "faces": faces}


def _faces(paths: list[Path]) -> int:
    """Decode, find, crop; the crops are thrown away."""
    from mesoscope.media.image import open_image
    from mesoscope.media.video import open_clip

    if paths[0].suffix != ".mp4":
        return _crops([open_image(path) for path in paths])
    count, group = 0, []
    with open_clip(paths[0], frames=State.options.frames) as clip:
        for frame in clip.frames():
            group.append(frame)
            if len(group) == 8:
                count, group = count + _crops(group), []
    return count + _crops(group)


def _crops(frames) -> int:
    from mesoscope.faces.crop import crop

    count = 0
    for frame, found in zip(frames, State.finder.find(frames), strict=True):
        for face in found.faces:
            margin = 1.0 if found.whole else State.options.margin
            crop(frame.pixels, face.box, margin=margin)
            count += 1
    return count


if __name__ == "__main__":
    sys.path.insert(0, str(Path(ours.__file__).parent))
    serve({"start": start, "whole": whole, "parts": parts})
