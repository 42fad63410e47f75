"""What a clip takes by its length: the default 32 frames, and one frame a second.

Longer clips hold the shortest one's packets again and again, so their pictures and the distance of
their key frames are the same. Seconds are those of one processor core, in which waiting does not
count.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import clips
from measure import ROOT, Row, parser, rounds, run, say, workplace

if TYPE_CHECKING:
    from pathlib import Path

RESULTS = ROOT / "results/at_scale.csv"
MINUTES = {"32 frames": (1, 10, 60, 120), "a frame a second": (1, 10, 30)}


def options():
    made = parser("clip_lengths", __doc__.splitlines()[0])
    made.set_defaults(rounds=3, results=RESULTS)
    made.add_argument("--model", default="mesoscope", help="name or file")
    made.add_argument("--note", default="", help="on the machine, for each row: that it was busy")
    return made


def bench(chosen, _conditions) -> list[Row]:
    import mesoscope

    first = 4 if chosen.quick else 60
    ways = {
        "32 frames": mesoscope.Detector(chosen.model, jobs=1),
        "a frame a second": mesoscope.Detector(chosen.model, jobs=1, every_s=1.0),
    }
    with workplace() as work:
        clips.make_clip(work / "1.mp4", first)
        sizes = {}
        for minutes in sorted({m for of in MINUTES.values() for m in of}):
            path = work / f"{minutes}.mp4"
            if minutes > 1:
                repeat(work / "1.mp4", path, minutes)
            sizes[minutes] = path.stat().st_size
            path.read_bytes()
        say(f"clips of {', '.join(f'{m} min: {n / 1e6:.0f} MB' for m, n in sizes.items())}")
        measured = rounds(
            {
                (way, minutes): partial(seconds, ways[way], work / f"{minutes}.mp4")
                for way, lengths in MINUTES.items()
                for minutes in lengths
            },
            chosen.rounds,
            say,
        )
    how = "seconds of one core, without waits; H.264 of 1280×720 at 30 frames a second, two people"
    return [
        Row(
            "clip_lengths", f"clip → verdict: {way}", "s of a core", measured[way, minutes],
            measured[way, lengths[0]], f"{lengths[0]} min", n=minutes,
            how="; ".join(filter(None, (how, chosen.note))), model=chosen.model,
            data="a clip made here, its packets repeated",
        )
        for way, lengths in MINUTES.items()
        for minutes in lengths
    ]  # fmt: skip


def seconds(detector, clip: Path) -> float:
    """Processor seconds from file to verdict."""
    started = time.process_time()
    detector.check(str(clip))
    return time.process_time() - started


def repeat(source: Path, target: Path, times: int) -> None:
    """Write the packets of a clip so many times, one after the other."""
    import av

    with av.open(str(target), "w") as out:
        stream, offset = None, 0
        for _ in range(times):
            with av.open(str(source)) as opened:
                video = opened.streams.video[0]
                if stream is None:
                    stream = out.add_stream_from_template(video)
                end = 0
                for packet in opened.demux(video):
                    if packet.dts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = stream
                    out.mux(packet)
            offset += end


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
