"""The service under load, beside the offline scan of the same files: rate, latency, memory.

A load generator on this machine, which shares its cores, posts pictures over loopback on 32
connections, and then on five times as many. In the same rounds an open Detector judges the same
files from disk, which is what the service is measured by.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2

import peers
import pictures
import scenes
from measure import Bound, Row, Spread, cores, parser, rounds, run, say, workplace

HERE = Path(__file__).parent
CONNECTIONS = 32
OVER = 5  # times as many
WAYS = {
    "predict": "model.predict, as the authors' example has it",
    "call": "the model called on a tensor",
    "function": "the model compiled by tf.function",
}


def options():
    made = parser("serving", __doc__.splitlines()[0])
    made.set_defaults(rounds=3)
    made.add_argument("--n", type=int, default=600, help="face JPEGs of 256×256")
    made.add_argument("--photos", type=int, default=24, help="photos of 1024×1024")
    made.add_argument("--seconds", type=float, default=10.0, help="a run")
    made.add_argument("--soak", type=float, default=60.0, help="seconds of too much load")
    made.add_argument("--alone", action="store_true", help="without the peers' service")
    made.add_argument("--only-soak", action="store_true", help="too much load alone")
    made.add_argument("--model", default="mesoscope", help="a shipped model or a file")
    return made


class Server:
    """``mesoscope serve`` as a process of its own, on a free port."""

    def __init__(self, work: Path, model: str, faces: str):
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "mesoscope", "serve", "--port", "0", "--model", model,
                "--faces", faces, "--data", str(work / f"service-{faces}"),
            ],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = self.process.stderr.readline()
        self.url = re.search(r"http://\S+:\d+", line)[0]
        self._log = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self._log.wait(60)

    def memory_mib(self) -> float:
        """Resident memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

    def load(self, folder: Path, connections: int, seconds: float) -> dict:
        """What the load generator saw."""
        done = subprocess.run(
            [
                sys.executable, str(HERE / "serving_load.py"), self.url, str(folder),
                str(connections), str(seconds),
            ],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)


class Offline:
    """The same files from disk, by an open Detector in a process of its own."""

    def __init__(self, model: str, faces: str):
        code = (
            "import sys, time, json, itertools\n"
            "from mesoscope.cli.options import KEPT_BYTES\n"
            "from mesoscope.runtime.allocator import keep_heap\n"
            "from mesoscope import Detector\n"
            "from mesoscope.media.walk import walk\n"
            "keep_heap(KEPT_BYTES)\n"
            f"detector = Detector({model!r}, faces={faces!r})\n"
            "print(json.dumps(detector.model_id), flush=True)\n"
            "for line in sys.stdin:\n"
            "    folder, seconds = json.loads(line)\n"
            "    paths = list(walk([folder]))\n"
            "    started, count = time.perf_counter(), 0\n"
            "    for verdict in detector.check_many(itertools.cycle(paths)):\n"
            "        verdict.to_json()\n"
            "        count += 1\n"
            "        if time.perf_counter() - started > seconds:\n"
            "            break\n"
            "    print(count / (time.perf_counter() - started), flush=True)\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.model = json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(60)

    def rate(self, folder: Path, seconds: float) -> float:
        """Pictures a second."""
        print(json.dumps([str(folder), seconds]), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.n, chosen.photos, chosen.seconds, chosen.soak = 100, 6, 2.0, 4.0
    rows = []
    with workplace() as work:
        data, n = pictures.faces(work / "faces", chosen.n)
        pictures.read_all(work / "faces")
        faces = {"n": n, "data": data}
        if chosen.only_soak:
            conditions.add({"mesoscope": __import__("mesoscope").__version__})
            return overload(chosen, work, faces)
        rows += side_by_side(chosen, work, "whole", "256×256 face JPEGs", 0.6, faces)
        (work / "photos").mkdir()
        for number in range(chosen.photos):
            pixels = scenes.photo(number).pixels[:, :, ::-1]
            quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
            cv2.imwrite(str(work / f"photos/{number:03}.jpg"), pixels, quality)
        photos = {"n": chosen.photos, "data": "1024×1024 with one face each, made here, JPEG 90"}
        rows += side_by_side(chosen, work, "mtcnn", "1024×1024 photos", 0.8, photos)
        rows += overload(chosen, work, faces)
        if not chosen.alone:
            rows += beside_peers(chosen, work, faces)
    conditions.add({"mesoscope": __import__("mesoscope").__version__})
    return rows


def side_by_side(chosen, work, finder, what, share, common) -> list[Row]:
    """Rates in alternating rounds, and the latency that callers see."""
    folder = work / ("faces" if finder == "whole" else "photos")
    served, offline = [], []
    with Server(work, chosen.model, finder) as server, Offline(chosen.model, finder) as scan:
        scan.rate(folder, 1.0)
        for number in range(chosen.rounds):
            offline.append(scan.rate(folder, chosen.seconds))
            served.append(server.load(folder, CONNECTIONS, chosen.seconds))
            refuse_failures(served[-1])
            say(
                f"{what}, round {number + 1}: offline {offline[-1]:.1f}/s, served "
                f"{served[-1]['rate']:.1f}/s, p99 {served[-1]['p99']:.3f} s"
            )
        model = scan.model
    how = f"{CONNECTIONS} connections over loopback, {cores()} threads, generator on the same cores"
    p99 = Bound("ours", "≤", 0.5)
    return [
        Row(
            "serving", f"{what}, served", "pictures/s", Spread.of([s["rate"] for s in served]),
            Spread.of(offline), "offline Detector", asked=Bound("ratio", "≥", share), how=how,
            model=model, **common,
        ),
        Row(
            "serving", f"{what}, p50 of a request", "s", Spread.of([s["p50"] for s in served]),
            how=how, model=model, **common,
        ),
        Row(
            "serving", f"{what}, p99 of a request", "s", Spread.of([s["p99"] for s in served]),
            asked=p99 if finder == "whole" else None, how=how, model=model, **common,
        ),
    ]  # fmt: skip


class Theirs(Server):
    """The peers' service: Meso-4 in Keras behind one FastAPI route."""

    def __init__(self, python: Path, h5: Path, way: str):
        self.process = subprocess.Popen(
            [python, "-u", HERE / "theirs_serving.py", h5, way],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
        line = self.process.stdout.readline()
        if not line.startswith("http://"):
            raise SystemExit("the peers' service did not begin: run theirs_serving.py by hand")
        self.url = line.strip()
        self._log = subprocess.Popen(["cat"], stdin=self.process.stdout, stdout=subprocess.DEVNULL)


def beside_peers(chosen, work, common) -> list[Row]:
    """Ours and theirs in alternating rounds, the same network; theirs by three ways to call it."""
    python = peers.interpreter(chosen.peers)
    h5, origin = peers.weights(work, python)
    with contextlib.ExitStack() as stack:
        sides = {"ours": stack.enter_context(Server(work, "meso4", "whole"))}
        for way in WAYS:
            sides[way] = stack.enter_context(Theirs(python, h5, way))
        found = rounds(
            {
                name: partial(rate_of, side, work / "faces", chosen.seconds)
                for name, side in sides.items()
            },
            chosen.rounds,
            say,
        )
    return [
        Row(
            "serving", "256×256 face JPEGs, Meso-4, served", "pictures/s", found["ours"],
            found[way], f"FastAPI route with Keras, {way}",
            asked=Bound("ratio", "≥", 5) if way == "predict" else None,
            how=f"{CONNECTIONS} connections over loopback; theirs: {says}",
            model=f"meso4; theirs: {origin}", **common,
        )
        for way, says in WAYS.items()
    ]  # fmt: skip


def rate_of(side: Server, folder: Path, seconds: float) -> float:
    """Answers a second."""
    return side.load(folder, CONNECTIONS, seconds)["rate"]


def refuse_failures(seen: dict) -> None:
    """End the bench where an answer was lost, or was neither a verdict nor a refusal to wait."""
    odd = {status for status in seen["statuses"] if status not in ("200", "429")}
    if seen["lost"] or odd or math.isnan(seen["p99"]):
        raise SystemExit(f"answers were lost or wrong: {seen}")


def overload(chosen, work, common) -> list[Row]:
    """Five times as many connections: refusals in place of failures, and flat memory."""
    with Server(work, chosen.model, "whole") as server:
        server.load(work / "faces", OVER * CONNECTIONS, chosen.seconds)  # until memory is as it is
        before = server.memory_mib()
        seen = server.load(work / "faces", OVER * CONNECTIONS, chosen.soak)
        after = server.memory_mib()
    refuse_failures(seen)
    asked = sum(seen["statuses"].values())
    say(f"too much load: {seen}; memory {before:.0f} → {after:.0f} MiB")
    how = f"{OVER * CONNECTIONS} connections for {chosen.soak:.0f} s; none lost, none failed"
    return [
        Row(
            "serving", "too much load, served", "pictures/s", Spread.of([seen["rate"]]),
            how=how, **common,
        ),
        Row(
            "serving", "too much load, told to come back", "share",
            Spread.of([seen["statuses"].get("429", 0) / asked]), how=how, **common,
        ),
        Row(
            "serving", "too much load, p99 of a request", "s", Spread.of([seen["p99"]]),
            how=how, **common,
        ),
        Row(
            "serving", "too much load, memory of the service", "MiB", Spread.of([after]),
            Spread.of([before]), "at its begin", asked=Bound("ratio", "≤", 1.1), how=how, **common,
        ),
    ]  # fmt: skip


def main(arguments=None) -> list[Row]:
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
