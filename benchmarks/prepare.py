"""A set → a data set of faces, beside decoding, finding and cropping alone.

In the same rounds, by one process: ``prepare`` from the folder to the manifest, with the choice of
faces, PNG files and the ledger; and the same frames decoded, looked through by the same finder and
cropped, in groups of the same size by as many threads, with nothing chosen, kept or written. Clips
are of two people at 720p, of whom one is forged: to tell which, a moment of the other clip of the
pair is decoded, too, or where there are masks, as in FaceForensics++, moments of those. Photographs
are frames of such clips.
"""

from __future__ import annotations

import shutil
from fractions import Fraction

import peers
from clips import FRAMES, HEIGHT, RATE, WIDTH, make_clip
from measure import Bound, Row, cores, parser, rounds, run, say, workplace
from workers import Worker


def options():
    made = parser("prepare", __doc__.splitlines()[0])
    made.add_argument("--clips", type=int, default=8, help="of each class")
    made.add_argument("--photos", type=int, default=64, help="of each class")
    made.add_argument("--seconds", type=float, default=10.0, help="length of a clip")
    return made


def make_sets(work, chosen) -> dict[str, str]:
    """A set of clips named as UADFV's and one of photographs, each under its root."""
    import cv2

    from mesoscope.media.video import open_clip

    first = work / "clip.mp4"
    count = make_clip(first, chosen.seconds)
    make_forgery(first, work, count)
    clips, photos = work / "UADFV", work / "photos"
    for label, source in (("real", first), ("fake", work / "forged.mp4")):
        for root in (clips, photos):
            (root / label).mkdir(parents=True)
        for number in range(chosen.clips):
            tail = "_fake" if label == "fake" else ""
            shutil.copy(source, clips / label / f"{number:04}{tail}.mp4")
        with open_clip(source, frames=min(chosen.photos, count)) as clip:
            for frame in clip.frames():
                name = str(photos / label / f"{frame.index:05}.jpg")
                cv2.imwrite(name, frame.pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    masked = work / "FaceForensics++"
    for number in range(chosen.clips):
        real, fake = f"{number:03}.mp4", f"{number:03}_{number + 1:03}.mp4"
        for source, place in (
            (first, f"original_sequences/youtube/c23/videos/{real}"),
            (work / "forged.mp4", f"manipulated_sequences/Deepfakes/c23/videos/{fake}"),
            (work / "mask.mp4", f"manipulated_sequences/Deepfakes/masks/videos/{fake}"),
        ):
            (masked / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, masked / place)
    return {
        "clips": str(clips), "photographs": str(photos), "clips with masks": str(masked)
    }  # fmt: skip


def write_clip(path, pictures) -> None:
    """Pictures as a clip like that of :mod:`clips`."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def make_forgery(first, work, count: int) -> None:
    """The clip with the colours of the left person's face turned round, and the mask of that."""
    import numpy as np

    from mesoscope.media.video import open_clip

    def place(number):
        return slice(200, 480), slice(110 + number // 3, 350 + number // 3)

    def forged():
        with open_clip(first, frames=count) as clip:
            for number, frame in enumerate(clip.frames()):
                pixels = frame.pixels.copy()
                pixels[place(number)] = frame.pixels[place(number)][:, :, ::-1]
                yield pixels

    def masks():
        for number in range(count):
            pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            pixels[place(number)] = 255
            yield pixels

    write_clip(work / "forged.mp4", forged())
    write_clip(work / "mask.mp4", masks())


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.clips, chosen.photos, chosen.seconds = 2, 16, 2.0
    rows = []
    with workplace() as work, Worker(peers.OURS, "ours_prepare.py") as ours:
        conditions.add(ours.ask("start", frames=FRAMES))
        for what, root in make_sets(work, chosen).items():
            out = str(work / "out")
            written = ours.ask("whole", root=root, out=out)["faces"]  # the first also allocates
            seen = ours.ask("parts", root=root)["faces"]
            if not 0 < written <= seen:
                raise SystemExit(f"{written} faces written, {seen} seen: the two ways differ")
            measured = rounds(
                {
                    "whole": lambda root=root, out=out: ours.ask(
                        "whole", root=root, out=out
                    )["seconds"],
                    "parts": lambda root=root: ours.ask("parts", root=root)["seconds"],
                },
                chosen.rounds,
                say,
            )  # fmt: skip
            clips = what != "photographs"
            n = 2 * (chosen.clips if clips else chosen.photos)
            kind = f"{chosen.seconds:g} s H.264, {FRAMES} frames each" if clips else "JPEG 90"
            rows.append(
                Row(
                    "prepare", f"{what} → data set", "s", measured["whole"], measured["parts"],
                    "decode + find + crop alone", inverse=True,
                    # The ratio is theirs / ours: at most 1.3 times the parts is at least 1 / 1.3.
                    asked=Bound("ratio", "≥", round(1 / 1.3, 3)), n=n,
                    how=f"auto (mtcnn), {cores()} threads, PNG 256 px; {written} faces written, "
                    f"{seen} seen",
                    data=f"{n} {what} {WIDTH}×{HEIGHT}, {kind}, two people",
                )
            )  # fmt: skip
    return rows


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
