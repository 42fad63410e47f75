"""Our side: the installed package, run by the project's interpreter."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from workers import serve


class State:
    """What the tasks of one worker share."""

    detector = None
    scorer = None


def start(model: str, threads: int = 1, batch: int = 0):
    """Open a model; ``threads`` is ONNX Runtime's pool of one call, ``batch`` 0 the default."""
    import cv2
    import onnxruntime
    import PIL

    import mesoscope
    from mesoscope.cli.options import KEPT_BYTES
    from mesoscope.detection.scorer import OnnxScorer
    from mesoscope.models.file import find_model
    from mesoscope.runtime.allocator import keep_heap

    keep_heap(KEPT_BYTES)  # as the command line does
    State.scorer = OnnxScorer(find_model(model), threads=threads)
    options = {"batch_size": batch} if batch else {}
    State.detector = mesoscope.Detector(State.scorer, faces="whole", **options)
    return {
        "mesoscope": mesoscope.__version__,
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "numpy": np.__version__,
        "model": State.detector.model_id,
        "batch": State.detector.options.batch_size,
    }


def crops(pictures: str, n: int, to: str):
    """Cut the crops of a folder's first ``n`` pictures as a scan does and keep them as an array."""
    from mesoscope.faces.crop import crop
    from mesoscope.media.image import open_image
    from mesoscope.media.walk import walk

    found = []
    for path in islice(walk([pictures]), n):
        pixels = open_image(path).pixels
        found.append(crop(pixels, (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))))
    np.save(to, np.stack(found))
    return len(found)


def check_pictures(to: str):
    """The four pictures of a formula that every model card answers."""
    from mesoscope.detection.scorer import check_pictures as made

    np.save(to, made())
    return 4


def answers(crops: str):
    """``p_fake`` of each crop."""
    return State.scorer.score(np.load(crops)).p_fake.tolist()


def score(crops: str, batch: int, callers: int, seconds: float):
    """Crops a second, ``callers`` threads over one session, as a Detector does it."""
    stock = np.load(crops)
    groups = [list(stock[i : i + batch]) for i in range(0, len(stock) - batch + 1, batch)]
    State.scorer.score(np.stack(groups[0]))

    return _rate(lambda group: State.scorer.score(np.stack(group)), groups, callers, seconds)


def decode_and_score(pictures: str, n: int, callers: int, seconds: float):
    """Pictures a second of decoding and scoring alone, from JPEG bytes held in memory.

    No folder reaches more: no walk, no reading, no crop, no verdict.
    """
    from mesoscope.media.image import decode
    from mesoscope.media.walk import walk

    files = [[Path(path).read_bytes()] for path in islice(walk([pictures]), n)]

    def work(group: list[bytes]) -> None:
        State.scorer.score(decode(group[0], "memory")[None])

    return _rate(work, files, callers, seconds)


def _rate(work, groups: list[list], callers: int, seconds: float) -> float:
    """Items a second, ``callers`` threads that each take every so-manieth group in turn."""

    def call(offset: int) -> int:
        done, at = 0, offset
        while time.perf_counter() < end or not done:
            group = groups[at % len(groups)]
            work(group)
            done, at = done + len(group), at + callers
        return done

    started = time.perf_counter()
    end = started + seconds
    with ThreadPoolExecutor(callers) as pool:
        done = sum(pool.map(call, range(callers)))
    return done / (time.perf_counter() - started)


def folder(pictures: str, out: str):
    """Pictures a second, a folder → JSON lines, by an open Detector."""
    from mesoscope.scan.local import scan
    from mesoscope.scan.sinks import JsonLines

    started = time.perf_counter()
    with JsonLines(Path(out)) as sink:
        summary = scan(State.detector, [pictures], [sink])
    taken = time.perf_counter() - started
    if summary.failed or not summary.total:
        raise RuntimeError(f"{summary.failed} of {summary.total} pictures failed in {pictures}")
    return summary.total / taken


class _Enough(Exception):  # noqa: N818 - a signal
    """All steps that were asked for are done."""


class _Clock:
    """A watcher that notes the time of every step and ends the run."""

    def __init__(self, steps: int):
        self.times: list[float] = []
        self._steps = steps

    def step(self, **_):
        self.times.append(time.perf_counter())
        if len(self.times) >= self._steps:
            raise _Enough

    def epoch(self, _record):
        raise RuntimeError("the epoch ended before the measurement: more pictures are needed")


def train_versions():
    """Versions of what trains."""
    import lightning_fabric
    import torch

    import mesoscope

    return {
        "mesoscope": mesoscope.__version__,
        "torch": torch.__version__,
        "lightning-fabric": lightning_fabric.__version__,
        "numpy": np.__version__,
    }


def _recipe(recipe: str, overrides: list[str]):
    from mesoscope.training.recipe.recipe import read_recipe

    return read_recipe(Path(recipe), overrides)


def _survey(root: str):
    from mesoscope.data.manifest import read_datasets
    from mesoscope.training.data.dataset import survey

    samples = read_datasets([Path(root)])
    return survey(samples, where="bench", skip_unreadable=False, watch=lambda items, _n: items)


def train(root: str, recipe: str, overrides: list[str], run: str, steps: int, warm: int):
    """Pictures a second of the project's training loop, after ``warm`` steps."""
    from lightning_fabric import Fabric

    from mesoscope.training.fit.loop import fit

    wanted = [*overrides, f"data.images_per_epoch={(steps + 1) * 32}", "optimise.batch_size=32"]
    Path(run, "checkpoints").mkdir(parents=True, exist_ok=True)
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    clock = _Clock(steps)
    with contextlib.suppress(_Enough):
        fit(_recipe(recipe, wanted), _survey(root), Path(run), fabric, clock, resume=False)
    return (len(clock.times) - warm) * 32 / (clock.times[-1] - clock.times[warm - 1])


def network(recipe: str, steps: int, warm: int):
    """Pictures a second of the training step alone: one batch over and over."""
    import torch

    from mesoscope.runtime.allocator import keep_heap
    from mesoscope.training.fit.distil import to_input
    from mesoscope.training.fit.loop import KEPT_BYTES
    from mesoscope.training.fit.position import loss_of
    from mesoscope.training.nets import build

    keep_heap(KEPT_BYTES, large_blocks=True)  # as fit does
    keys = _recipe(recipe, []).optimise
    net = build("meso4").to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    pixels = torch.from_numpy(
        np.random.default_rng(1).integers(0, 256, (32, 256, 256, 3), np.uint8)
    )
    labels = torch.arange(32).float() % 2
    times = []
    for _ in range(steps):
        loss = loss_of(net(to_input(pixels)), labels, keys)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        times.append(time.perf_counter())
    return (steps - warm) * 32 / (times[-1] - times[warm - 1])


def read(root: str, recipe: str, overrides: list[str], n: int):
    """Pictures a second of the training loader with nobody behind it, on all cores."""
    from mesoscope.runtime.threads import cores, map_ordered
    from mesoscope.training.data.dataset import batches, training_crop

    made, samples = _recipe(recipe, overrides), _survey(root).train
    load = lambda i: training_crop(samples[i % len(samples)], made, (1, 0, i))  # noqa: E731
    started = time.perf_counter()
    done = sum(len(x) for x in batches(map_ordered(load, range(n), threads=cores()), 32))
    return done / (time.perf_counter() - started)


if __name__ == "__main__":
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    serve(
        {"start": start, "crops": crops, "check_pictures": check_pictures, "answers": answers,
         "score": score, "decode_and_score": decode_and_score, "folder": folder,
         "train_versions": train_versions, "train": train,
         "network": network, "read": read}
    )  # fmt: skip
