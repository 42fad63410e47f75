"""Forgeries a second on one core, of 256×256 faces whose landmarks are known.

Blends are timed in memory, as the training loader makes them, and then from file to files, with
decoding, two JPEGs and a mask, as ``mesoscope synth blend --jobs 1`` does.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

import pictures
from measure import Bound, Row, parser, rounds, run, say, workplace
from mesoscope.errors import SourceUnsuitable
from mesoscope.media.image import open_image
from mesoscope.synth.blend import self_blend
from mesoscope.synth.blending import blend_maker
from mesoscope.synth.folder import ForgeryFolder
from mesoscope.synth.landmarks import BATCH, find_landmarks
from mesoscope.synth.reals import Framing, read_reals
from mesoscope.synth.swap import DonorIndex, swap_blend
from mesoscope.synth.writing import write_forgeries
from mesoscope.types import Frame

ASKED = 60  # self-blends a second and core


def options():
    made = parser("blends", __doc__.splitlines()[0])
    made.add_argument("--n", type=int, default=64, help="faces in memory")
    made.add_argument("--seconds", type=float, default=4.0, help="of a round")
    return made


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.n, chosen.seconds = 12, 0.5
    conditions.versions |= {
        name: version(package)
        for name, package in (("opencv", "opencv-python-headless"), ("numpy", "numpy"))
    }
    with workplace() as work, one_core():
        data, _ = pictures.faces(work / "faces", 2 * chosen.n)
        frames, landmarks = known(work / "faces/real")
        data = f"{data}; {len(frames)} with a face"
        say(f"{len(frames)} faces: {data}")
        sides = {
            "found": lambda: looked_at(frames, chosen.seconds),
            "self": lambda: made(self_maker(frames, landmarks), chosen.seconds),
            "swap": lambda: made(swap_maker(frames, landmarks), chosen.seconds),
            "files": lambda: written(work, chosen.seconds),
        }
        measured = rounds(sides, chosen.rounds, say)
    what = {
        "self": "self-blends, pixels and landmarks → forgery",
        "swap": "swaps of a similar face, pixels and landmarks → forgery",
        "files": "self-blends, file → forgery, twin and mask as files",
        "found": f"landmarks found, {BATCH} pictures a call",
    }
    return [
        Row(
            "blends", text, "pictures/s", measured[side],
            asked=Bound("ours", "≥", ASKED) if side == "self" else None,
            n=len(frames), how="one core, one thread", data=data,
        )
        for side, text in what.items()
    ]  # fmt: skip


@contextmanager
def one_core():
    """This process on one core, and OpenCV in one thread."""
    threads = cv2.getNumThreads()
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    cv2.setNumThreads(1)
    if before is not None:
        os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
        if before is not None:
            os.sched_setaffinity(0, before)


def known(folder: Path):
    """The faces of a folder at 256×256, with their landmarks; what has none is left out."""
    frames = []
    for path in sorted(folder.iterdir()):
        pixels = open_image(path).pixels
        if pixels.shape[:2] != (pictures.SIDE, pictures.SIDE):
            pixels = cv2.resize(pixels, (pictures.SIDE,) * 2, interpolation=cv2.INTER_AREA)
        frames.append(Frame(pixels, path.name))
    found = find_landmarks(frames)
    both = [(f, its) for f, its in zip(frames, found, strict=True) if its is not None]
    if len(both) < 2:
        raise SystemExit("blends: fewer than two faces were found: raise --n")
    return [f for f, _ in both], [its for _, its in both]


def self_maker(frames, landmarks):
    rng = np.random.default_rng(0)

    def make(i):
        self_blend(frames[i].pixels, landmarks[i], rng)

    return make, len(frames)


def swap_maker(frames, landmarks):
    """Pairs that go together, sought before the clock runs."""
    index = DonorIndex(landmarks, [frame.source for frame in frames])
    rng = np.random.default_rng(0)
    pairs = []
    for i, frame in enumerate(frames):
        with suppress(SourceUnsuitable):  # some faces go with no other
            j = index.near(landmarks[i], frame.source, rng)
            swap_blend(frame.pixels, landmarks[i], frames[j].pixels, landmarks[j], rng)
            pairs.append((i, j))

    def make(at):
        i, j = pairs[at]
        rng = np.random.default_rng(at)
        with suppress(SourceUnsuitable):  # a smaller outline may not be covered
            swap_blend(frames[i].pixels, landmarks[i], frames[j].pixels, landmarks[j], rng)

    return make, len(pairs)


def made(maker, seconds: float) -> float:
    """Forgeries a second."""
    make, count = maker
    for at in range(min(count, 4)):
        make(at)
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        make(done % count)
        done += 1
    return done / (time.perf_counter() - started)


def looked_at(frames, seconds: float) -> float:
    """Pictures a second whose landmarks are looked for."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        at = done % len(frames)
        done += len(find_landmarks(frames[at : at + BATCH]))
    return done / (time.perf_counter() - started)


def written(work: Path, seconds: float) -> float:
    """Pairs a second from file to files, in as many rounds over the folder as fit."""
    reals = read_reals(work / "faces", validation=0)
    found = find_landmarks([open_image(real.path) for real in reals])
    known_ones = {real.name: its for real, its in zip(reals, found, strict=True) if its is not None}
    usable = [real for real in reals if real.name in known_ones]
    make = blend_maker(usable, known_ones, framing=Framing())
    done, took = 0, 0.0
    while took < seconds:
        out = work / "out"
        with ForgeryFolder(out, options={}) as folder:
            started = time.perf_counter()
            summary = write_forgeries(
                folder, usable, make, framing=Framing(), landmarks=known_ones, jobs=1
            )
            took += time.perf_counter() - started
        if not summary.forged:
            raise SystemExit("blends: no forgery could be made of these pictures")
        done += summary.forged
        shutil.rmtree(out)
    return done / took


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
