"""Large data sets: 150,000 pictures from folders, from shards and streamed; a million rows.

Our loader by itself in the three ways, beside the network by itself: where the loader is quicker,
the network does not wait. The training loop in the three ways. Peak memory of ``mesoscope train``,
and of the loader through a whole epoch, beside a tenth of the pictures.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np

import peers
import pictures
from measure import (
    ROOT,
    Bound,
    Row,
    Spread,
    console_script,
    cores,
    parser,
    rounds,
    run,
    say,
    workplace,
)
from workers import Worker

RECIPE = ROOT / "recipes/meso4.toml"
SIDE, QUALITY, DISTINCT = 128, 60, 400
VALIDATION = 200
MIB = 1 << 20
STREAM = ["data.read='stream'"]
WAYS = {"folder": ("folder", []), "shards": ("shards", []), "stream": ("shards", STREAM)}
PLAIN = [
    "augment.crop_scale_min=1.0", "augment.flip=0.0", "augment.colour=0.0", "augment.rescale=0.0",
    "augment.blur=0.0", "augment.noise=0.0", "augment.jpeg=0.0",
]  # fmt: skip
DATA = f"made here from scikit-image's astronaut, {SIDE}×{SIDE}, JPEG {QUALITY}"


def options():
    made = parser("shards", __doc__.splitlines()[0])
    made.set_defaults(rounds=3)
    made.add_argument("--pictures", type=int, default=150_000, help="in the large data set")
    made.add_argument("--manifest-rows", type=int, default=1_000_000, help="in a manifest")
    made.add_argument("--n", type=int, default=4096, help="pictures loaded a round")
    made.add_argument("--steps", type=int, default=40, help="of 32 pictures, trained a round")
    made.add_argument("--cache", type=Path, help="keep the data sets here for the next run")
    return made


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.pictures, chosen.manifest_rows, chosen.n, chosen.steps = 1500, 5000, 256, 6
    few = max(100, chosen.pictures // 10)
    with workplace() as work, nullcontext(chosen.cache or work) as place:
        sets = {n: made_sets(place, n) for n in (chosen.pictures, few)}
        rows = [*manifests(chosen, work), *packing(sets[chosen.pictures])]
        with Worker(peers.OURS, "ours_shards.py") as ours:
            conditions.add(ours.ask("train_versions"))
            rows += rates(ours, sets[chosen.pictures], chosen, work)
        rows += memory(sets, chosen, few, work)
    return rows


def made_sets(place: Path, n: int) -> dict[str, object]:
    """The data set of so many pictures in folders and in shards; and how long packing took."""
    home = place / str(n)
    folder, shards, told = home / "folder", home / "shards", home / "packed.json"
    if not told.exists():
        say(f"making {n:,} pictures")
        write_pictures(folder, n)
        started = time.perf_counter()
        subprocess.run(
            [console_script(), "shards", "write", folder, "--out", shards, "--size-mb", "64"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        told.write_text(json.dumps(time.perf_counter() - started))
    for path in shards.glob("*.tar"):  # into the page cache
        path.read_bytes()
    return {
        "folder": folder,
        "shards": shards,
        "seconds": json.loads(told.read_text()),
        "n": n + VALIDATION,
    }


def write_pictures(folder: Path, n: int) -> None:
    """Fill a data set; every picture is another, and fakes carry a faint checker pattern."""
    faces = [
        cv2.resize(pictures.face(i), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        for i in range(min(n, DISTINCT))
    ]
    checker = 6 * (np.indices((SIDE, SIDE)).sum(0) % 2 * 2 - 1)[..., None]
    for split, count in (("train", n), ("validation", VALIDATION)):
        for label in ("real", "fake"):
            (folder / split / label).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            rng = np.random.default_rng((count, i))
            face = np.roll(faces[i % len(faces)], rng.integers(-8, 9, 2), (0, 1))
            grain = rng.integers(-9, 10, (SIDE // 8, SIDE // 8, 1)).repeat(8, 0).repeat(8, 1)
            pixels = face + grain + (checker if i % 2 else 0)
            path = folder / split / ("fake" if i % 2 else "real") / f"{i:06}.jpg"
            flags = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
            cv2.imwrite(str(path), np.clip(pixels, 0, 255).astype(np.uint8), flags)


def manifests(chosen, work: Path) -> list[Row]:
    """Seconds until a large manifest is read, Parquet beside CSV."""
    from mesoscope.data.manifest import write_manifest

    roots = {"parquet": work / "parquet", "csv": work / "csv"}
    for kind, root in roots.items():
        write_manifest(root / f"manifest.{kind}", manifest_rows(chosen.manifest_rows))

    def read(root: Path) -> float:
        with Worker(peers.OURS, "ours_shards.py") as ours:  # a new process each time
            return ours.ask("manifest", root=str(root))["seconds"]

    measured = rounds(
        {kind: lambda root=root: read(root) for kind, root in roots.items()}, chosen.rounds, say
    )
    return [
        Row(
            "shards", f"manifest of {chosen.manifest_rows:,} rows, Parquet", "s",
            measured["parquet"], measured["csv"], "the same as CSV", inverse=True,
            asked=Bound("ours", "≤", 15), n=chosen.manifest_rows,
            how="from the file to samples in memory, a new process each time", data="made here",
        )
    ]  # fmt: skip


def manifest_rows(n: int):
    for i in range(n):
        name = f"video{i // 32:06}"
        yield {
            "path": f"train/{i % 2}/{name}/{i % 32:04}.jpg", "label": i % 2, "split": "train",
            "source": f"set{i % 5}", "method": "FaceSwap" if i % 2 else "", "group": name,
            "sha256": hashlib.sha256(str(i).encode()).hexdigest(),
        }  # fmt: skip


def packing(large) -> list[Row]:
    rate = Spread.of([large["n"] / large["seconds"]])
    return [
        Row(
            "shards", "pictures packed into shards", "pictures/s", rate, n=large["n"],
            how="mesoscope shards write, a whole process, shards of 64 MB", data=DATA,
        )
    ]  # fmt: skip


def rates(ours, large, chosen, work: Path) -> list[Row]:
    """The loader and the training loop in three ways, beside the network alone."""
    for way in ("folder", "shards"):
        found = ours.ask("look", root=str(large[way]))
        say(f"survey of {way}: {found['pictures'] / found['seconds']:.0f} pictures/s")
    steps = {"steps": chosen.steps, "warm": max(1, chosen.steps // 5)}

    def load(way: str) -> float:
        root, overrides = WAYS[way]
        asked = {"recipe": str(RECIPE), "overrides": overrides, "n": chosen.n}
        return ours.ask("load", root=str(large[root]), **asked)["rate"]

    def train(way: str) -> float:
        root, overrides = WAYS[way]
        asked = {"recipe": str(RECIPE), "overrides": overrides, "run": str(work / "run")}
        return ours.ask("train", root=str(large[root]), **asked, **steps)

    sides = {f"loader, {way}": lambda way=way: load(way) for way in WAYS}
    sides["network"] = lambda: ours.ask("network", recipe=str(RECIPE), **steps)
    measured = rounds(sides, chosen.rounds, say)
    sides = {f"training, {way}": lambda way=way: train(way) for way in WAYS}
    measured |= rounds(sides, 1 if chosen.quick else max(1, chosen.rounds - 1), say)

    def row(what: str, side: str, other: str, named: str, least: float) -> Row:
        return Row(
            "shards", what, "pictures/s", measured[side], measured[other], named,
            asked=Bound("ratio", "≥", least), n=large["n"],
            how=f"the recipe with augmentation, {cores()} cores, files in the page cache",
            model="Meso-4", data=DATA,
        )  # fmt: skip

    return [
        *(row(f"loader alone, {way}", f"loader, {way}", "network", "network alone", 1.0)
          for way in WAYS),
        *(row(f"loader alone, {way}", f"loader, {way}", "loader, folder", "folder", 0.9)
          for way in ("shards", "stream")),
        *(row(f"training, {way}", f"training, {way}", "training, folder", "folder", 0.9)
          for way in ("shards", "stream")),
    ]  # fmt: skip


def memory(sets, chosen, few: int, work: Path) -> list[Row]:
    """Peak memory at all pictures beside a tenth: of training, and of the loader's whole epoch."""
    found = []
    for what, asked, how, measure in (
        ("mesoscope train", Bound("ratio", "≤", 1.2),
         "a new process, one epoch of 256 pictures, highest resident size",
         lambda way, n: trained(sets[n], way, work)),
        # Only informs: of so small a process the samples, 400 bytes each, are a good part.
        ("the loader through every picture", None, "a new process without torch, no augmentation",
         lambda way, n: loaded(sets[n], way, n)),
    ):  # fmt: skip
        for way in WAYS:
            many = Spread.of([measure(way, chosen.pictures)])
            less = Spread.of([measure(way, few)])
            say(f"peak memory, {what}, {way}: {many} MiB, of a tenth {less} MiB")
            found.append(
                Row(
                    "shards", f"peak memory of {what}, {way}, {chosen.pictures:,} pictures", "MiB",
                    many, less, f"{few:,} of them", asked=asked,
                    n=chosen.pictures, how=how, model="Meso-4", data=DATA,
                )
            )  # fmt: skip
    return found


def trained(of, way: str, work: Path) -> float:
    """Highest resident size of one ``mesoscope train``, in MiB."""
    root, overrides = WAYS[way]
    sets = ["optimise.epochs=1", "data.images_per_epoch=256", *overrides]
    number = len(list(work.glob("run-*")))
    process = subprocess.Popen(
        [
            console_script(), "train", of[root], "--recipe", RECIPE,
            "--out", work / f"run-{number}", "--accelerator", "cpu",
            *(word for one in sets for word in ("--set", one)),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    (work / f"run-{number}").mkdir(exist_ok=True)
    if process.returncode:
        raise SystemExit(f"mesoscope train, {way}: exit code {process.returncode}")
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MIB


def loaded(of, way: str, n: int) -> float:
    """Highest resident size of the survey and one whole epoch of the loader, in MiB."""
    root, overrides = WAYS[way]
    with Worker(peers.OURS, "ours_shards.py") as ours:
        asked = {"recipe": str(RECIPE), "overrides": [*PLAIN, *overrides], "n": n}
        return ours.ask("load", root=str(of[root]), **asked)["peak"]


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
