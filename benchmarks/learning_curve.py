"""How accuracy on StyleGAN's faces and on Photoshop's composites grows with the training pictures.

    .venv/bin/python benchmarks/learning_curve.py ../shared/data
    .venv/bin/python benchmarks/learning_curve.py ../shared/data --shares 0.25 1 --images 4000
    .venv/bin/python benchmarks/learning_curve.py ../shared/data --set precision=32

For each share, a network is trained on that share of the groups of ``stylegan``, ``stylegan2`` and
``photoshop`` (of each class alike; smaller shares lie within larger ones) and judged on the whole
validation split of these sources. All runs see the same number of pictures, so that the number of
different ones alone varies. ``results/learning_curve.csv`` holds accuracy at .5 and AUC of each
source. A line through the logarithms of error and pictures tells how many pictures .97 would take,
as far as such a line can be trusted.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import hashlib
import math
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np

from cells import write
from measure import ROOT
from mesoscope import metrics
from strangers import evaluated, quietly

RESULTS = ROOT / "results/learning_curve.csv"
SOURCES = ("photoshop", "stylegan", "stylegan2")
WANTED = 0.97
COLUMNS = (
    "date", "recipe", "share", "train_pictures", "images", "seed", "source", "n", "accuracy",
    "accuracy_low", "accuracy_high", "auc", "auc_low", "auc_high", "command",
)  # fmt: skip


def subset(dataset: Path, share: float, folder: Path) -> int:
    """Write a data set with a share of the train groups, and return its number of train pictures.

    A group is in by the digest of its name, so that a smaller share is part of a larger one.
    """
    with (dataset / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] in SOURCES]
    kept = [row for row in rows if row["split"] == "validation" or drawn(row) < share]
    for source in SOURCES:
        (folder / source).symlink_to((dataset / source).resolve())
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    return sum(row["split"] == "train" for row in kept)


def drawn(row: dict[str, str]) -> float:
    """A number in 0..1 that a group always has."""
    name = row["group"] or row["path"]
    digest = hashlib.sha256(f"{row['source']} {name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def run(share: float, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Train on a share; one row a source and one of all."""
    with tempfile.TemporaryDirectory() as kept:
        data, out, found = Path(kept) / "data", Path(kept) / "run", Path(kept) / "evaluation"
        data.mkdir()
        pictures = subset(arguments.dataset, share, data)
        command = [sys.executable, "-m", "mesoscope", "train", str(data)]
        command += ["--recipe", str(arguments.recipe), "--out", str(out), "--accelerator", "cpu"]
        for key, value in (
            ("seed", arguments.seed),
            ("data.images_per_epoch", arguments.images // arguments.epochs),
            ("optimise.epochs", arguments.epochs),
            ("decide.guard", "false"),
        ):
            command += ["--set", f"{key}={value}"]
        for change in arguments.set:
            command += ["--set", change]
        quietly(command)
        rows = evaluated(out / "model.onnx", data, found)
    fixed = {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "recipe": arguments.recipe.stem,
        "share": share,
        "train_pictures": pictures,
        "images": arguments.images,
        "seed": arguments.seed,
        "command": arguments.command,
    }
    return [fixed | measured(rows, source) for source in (*SOURCES, "all")]


def measured(rows: list[dict[str, str]], source: str) -> dict[str, object]:
    """Accuracy and AUC with intervals by bootstrap over groups."""
    those = [row for row in rows if source in ("all", row["source"])]
    p = np.array([float(row["p_fake"]) for row in those])
    labels = np.array([int(row["label"] in ("fake", "1")) for row in those])
    names = sorted({(row["source"], row["group"]) for row in those})
    groups = np.array([names.index((row["source"], row["group"])) for row in those])
    drawn_auc = metrics.bootstrap_auc(labels, p, groups, n=1000, seed=1)
    right = (p >= 0.5) == (labels == 1)
    rng, counts = np.random.default_rng(1), np.bincount(groups, minlength=len(names))
    good = np.bincount(groups, weights=right, minlength=len(names))
    picks = rng.integers(len(names), size=(1000, len(names)))
    accuracies = good[picks].sum(1) / counts[picks].sum(1)
    found: dict[str, object] = {"source": source, "n": len(those)}
    for name, value, values in (
        ("accuracy", right.mean(), accuracies),
        ("auc", metrics.roc_auc(labels, p), drawn_auc),
    ):
        low, high = np.nanquantile(values, (0.025, 0.975))
        found |= {
            name: round(float(value), 4),
            f"{name}_low": round(float(low), 4),
            f"{name}_high": round(float(high), 4),
        }
    return found


def pictures_for(rows: list[dict[str, str]], source: str) -> tuple[float, float]:
    """Slope of log error over log pictures, and the pictures that :data:`WANTED` would take."""
    those = [row for row in rows if row["source"] == source]
    x = np.log([float(row["train_pictures"]) for row in those])
    y = np.log([max(1 - float(row["accuracy"]), 1e-3) for row in those])
    slope, start = np.polyfit(x, y, 1)
    if slope >= 0:
        return float(slope), math.inf
    return float(slope), float(np.exp((math.log(1 - WANTED) - start) / slope))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes/native.toml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key; repeatable"
    )
    parser.add_argument("--shares", type=float, nargs="+", default=[0.125, 0.25, 0.5, 1])
    parser.add_argument("--images", type=int, default=16000, help="pictures seen in each run")
    parser.add_argument("--epochs", type=int, default=4, help="the learning rate's schedule")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    others = (word for word in sys.argv[1:] if word != str(arguments.dataset))
    arguments.command = shlex.join(
        ["python", "benchmarks/learning_curve.py", "../shared/data", *others]
    )
    rows: list[dict[str, object]] = []
    for share in arguments.shares:
        rows += run(share, arguments)
        one = rows[-1]
        print(f"{one['train_pictures']} pictures: accuracy {one['accuracy']}, AUC {one['auc']}")
        write(RESULTS, COLUMNS, rows)  # as each run ends, since the next may be killed
    for source in (*SOURCES, "all"):
        slope, wanted = pictures_for([{k: str(v) for k, v in r.items()} for r in rows], source)
        print(f"{source}: error ~ pictures^{slope:.2f}; {WANTED} at {wanted:.3g} pictures")


if __name__ == "__main__":
    main()
