"""A clip of two people, 10 s at 720p → a verdict of 32 frames: here, its parts, the authors' way.

In the same rounds: our whole way from file to verdict; its three parts by themselves (decoding
those frames, finding in them, scoring their crops, each by all cores), whose sum it may exceed by
half; the authors' way with their libraries (imageio decodes every frame, faces are found one frame
at a time, Keras scores); and the authors' way with our finder and network in place of theirs, which
tells what the way alone costs.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import peers
from measure import Bound, Row, Spread, cores, parser, rounds, run, say, workplace
from workers import Worker

FRAMES = 32
RATE = 30
WIDTH, HEIGHT = 1280, 720


def options():
    made = parser("clips", __doc__.splitlines()[0])
    made.add_argument("--seconds", type=float, default=10.0, help="length of the clip")
    return made


def make_clip(path, seconds: float) -> int:
    """Two photographed people who walk past each other before a picture; frames written."""
    import av
    import cv2
    from matplotlib import cbook
    from PIL import Image
    from skimage import data

    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        hopper = np.asarray(file.convert("RGB").resize((400, 469)))
    collins = np.ascontiguousarray(data.astronaut()[:400, 60:400])
    room = cv2.resize(data.coffee(), (WIDTH + 200, HEIGHT + 100))
    count = round(seconds * RATE)
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(count):
            pan = number * 200 // count
            pixels = room[50 : 50 + HEIGHT, pan : pan + WIDTH].copy()
            for person, x, y in ((collins, 60 + number // 3, 140), (hopper, 800 - number // 3, 90)):
                pixels[y : y + len(person), x : x + person.shape[1]] = person
            grain = noise.integers(-4, 5, (HEIGHT, WIDTH, 1), np.int8)  # as every camera has
            frame = av.VideoFrame.from_ndarray(
                np.clip(pixels + grain, 0, 255).astype(np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return count


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.seconds = 2.0
    python = peers.interpreter(chosen.peers)
    with workplace() as work:
        clip = str(work / "clip.mp4")
        count = make_clip(clip, chosen.seconds)
        h5, origin = peers.weights(work, python)
        model = peers.imported(work, h5)
        with (
            Worker(peers.OURS, "ours_clips.py") as ours,
            Worker(python, "theirs_clips.py") as theirs,
        ):
            opened = ours.ask("start", clip=clip, frames=FRAMES, model=str(model))
            faces = opened.pop("faces")
            conditions.add(opened)
            conditions.add(theirs.ask("start", weights=str(h5)), "peers")
            theirs.ask("whole", clip=clip, frames=2, min_face=40)
            parts = {
                "decode": lambda: ours.ask("decode", clip=clip, frames=FRAMES),
                "find": lambda: ours.ask("find"),
                "score": lambda: ours.ask("score"),
            }
            seconds: dict[str, list[float]] = {name: [] for name in parts}

            def all_parts() -> float:
                for name, part in parts.items():
                    seconds[name].append(part())
                return sum(taken[-1] for taken in seconds.values())

            measured = rounds(
                {
                    "whole": lambda: ours.ask("whole", clip=clip),
                    "parts": all_parts,
                    "authors": lambda: theirs.ask("whole", clip=clip, frames=FRAMES, min_face=40),
                    "way": lambda: ours.ask("authors_way", clip=clip, frames=FRAMES),
                },
                chosen.rounds,
                say,
            )
    spent = ", ".join(f"{name} {Spread.of(taken)} s" for name, taken in seconds.items())
    common = {
        "n": 1, "model": origin, "inverse": True,
        "data": f"{count} frames {WIDTH}×{HEIGHT}, H.264, two people; {faces} faces in {FRAMES}",
    }  # fmt: skip

    def row(theirs, other, asked=None, how=""):
        return Row(
            "clips", f"clip → verdict, {FRAMES} frames", "s", measured["whole"], measured[theirs],
            other, asked=asked, how=f"ours: mtcnn, {cores()} threads{how}", **common,
        )  # fmt: skip

    # The ratio is theirs / ours: at most 1.5 times the parts is at least 1 / 1.5.
    return [
        row("parts", "the parts by themselves", Bound("ratio", "≥", round(1 / 1.5, 3)),
            f"; parts: {spent}"),
        row("authors", "authors' way", Bound("ratio", "≥", 4),
            "; theirs: imageio-ffmpeg, every frame; mtcnn on TensorFlow a frame at a time; Keras"),
        row("way", "authors' way, our parts", None,
            "; theirs: imageio by PyAV, every frame; our finder and network, a face at a time"),
    ]  # fmt: skip


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
