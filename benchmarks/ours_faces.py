"""Our side of finding faces, in a process of its own."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from measure import cores
from mesoscope.detection.detector import Detector
from mesoscope.faces.finder import FaceFinder, finder_for
from mesoscope.media.image import open_image
from mesoscope.runtime.allocator import keep_heap
from mesoscope.types import DetectOptions
from workers import serve


class State:
    finder: FaceFinder | None = None
    detector: Detector | None = None


def start(model: str, faces: str = "mtcnn", min_face: int = 40, finder_model: str | None = None):
    """Open model and finder."""
    keep_heap(128 << 20)
    chosen = DetectOptions(faces=faces, min_face_px=min_face, finder_model=finder_model)
    State.finder = finder_for(chosen)
    State.detector = Detector(model, faces=faces, min_face_px=min_face, finder_model=finder_model)
    return {name: version(name) for name in ("mesoscope", "onnxruntime", "opencv-python-headless")}


def find(pictures: list[str], at_once: int = 4):
    """Pictures a second, from pixels in memory to boxes, a thread a core."""
    frames = [open_image(path) for path in pictures]
    groups = [frames[i : i + at_once] for i in range(0, len(frames), at_once)]
    started = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        found = [one for group in pool.map(State.finder.find, groups) for one in group]
    took = time.perf_counter() - started
    return len(found) / took


def judge(pictures: list[str]):
    """Pictures a second, from file to verdict, and where the threads' time goes."""
    started = time.perf_counter()
    verdicts = list(State.detector.check_many(pictures))
    took = time.perf_counter() - started
    stages = {
        stage: sum(v.elapsed_s[stage] for v in verdicts) / len(verdicts) * 1000
        for stage in verdicts[0].elapsed_s
    }
    return {
        "rate": len(verdicts) / took,
        "faces": sum(len(v.faces) for v in verdicts),
        "stages_ms": stages,
        "model": State.detector.model_id,
    }


if __name__ == "__main__":
    serve({"start": start, "find": find, "judge": judge})
