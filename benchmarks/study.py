"""The training study: one change at a time from plain Meso-4 to the default model's recipe.

    .venv/bin/python benchmarks/study.py ../shared/data
    .venv/bin/python benchmarks/study.py ../shared/data --only transfer
    .venv/bin/python benchmarks/study.py ../shared/data --only reals --images 16000

Writes ``results/ablation.csv``, ``transfer.csv`` and ``reals_alone.csv``, a line when its run has
ended, so a study that was stopped goes on where it was; ``--again`` runs the rows anew. Every row
is a whole ``mesoscope train`` in a temporary folder, on one core, and its figures are those of the
exported file on the validation split, which also chose its calibration. A row's run is short (see
``recipes/study.toml``): rows compare with each other, and not with the shipped models.

``results/reals_alone.csv`` holds detectors that never saw a fake: trained, validated and calibrated
on the real pictures and forgeries made of them, measured on the real and forged validation pictures
like the row that was trained on the sets' own fakes.

The rows of the transfer matrix leave one source out of training and validation, and measure it
beside the others. Their first row leaves out none.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from cells import write
from measure import ROOT
from mesoscope.data.manifest import read_datasets
from mesoscope.models.file import read_card
from mesoscope.training.recipe.recipe import read_recipe

RECIPE = ROOT / "recipes/study.toml"
COLUMNS = (
    "date", "row", "change", "seed", "images", "minutes", "model", "source", "trained_on", "n",
    "accuracy", "accuracy_low", "accuracy_high", "auc", "auc_low", "auc_high", "command",
)  # fmt: skip
INVERTED = {"network.architecture": "meso4_ira", "network.attention": "none"}
IMAGENET = {"network.initial": "imagenet"}
BALANCE = {"data.source_power": 0.5}
AUGMENT = {
    "augment.crop_scale_min": 0.7, "augment.colour": 0.5, "augment.rescale": 0.2,
    "augment.rescale_min": 0.4, "augment.blur": 0.1, "augment.noise": 0.15, "augment.jpeg": 0.4,
    "augment.jpeg_quality_min": 40,
}  # fmt: skip


class Entry(NamedTuple):
    """A row: its name, what it changes against which other row, and all of its overrides."""

    name: str
    change: str
    overrides: dict[str, object]
    reals_alone: bool = False  # the set's fakes are kept from the run


def ablation(teacher: str) -> list[Entry]:
    """Each row with all that it changes from ``recipes/study.toml``."""
    filters = INVERTED | IMAGENET
    base = filters | BALANCE
    strong = base | AUGMENT
    rows = [
        Entry("Meso-4", "", {}),
        Entry(
            "MesoInception-4", "Meso-4, other network", {"network.architecture": "mesoinception4"}
        ),
        Entry("inverted residuals", "Meso-4, other network", INVERTED),
        Entry("ImageNet's filters", "inverted residuals, begun with them", filters),
        Entry(
            "half the expansion", "ImageNet's filters, the most read half of each block's channels",
            filters | {"network.expanded": [48, 72, 72, 120, 120, 240, 240]},
        ),
        Entry(
            "residual stem", "ImageNet's filters, 16 high-pass ones beside the stem's",
            filters | {"network.stem_residuals": 16},
        ),
        *(
            Entry(f"attention {kind}", "ImageNet's filters, attention in the last stage",
                  filters | {"network.attention": kind})
            for kind in ("se", "eca", "cbam")
        ),
        Entry("balance by source", "ImageNet's filters, sources drawn by the root of size", base),
        Entry("no running mean", "balance by source, last weights",
              base | {"optimise.ema_decay": 0.0}),
        Entry("pairs", "balance by source, a real and its forgery in one step, changed alike",
              base | {"data.pairs": True}),
        Entry("augmentation", "balance by source, strong augmentation", strong),
        Entry("looser crops", "augmentation, crops of up to 1.15 of the picture's side",
              strong | {"augment.crop_scale_max": 1.15}),
        Entry("around the face", "augmentation, half of the crops stand around the found face",
              strong | {"augment.reframe": 0.5}),
        Entry("twice as long", "augmentation, two epochs", strong | {"optimise.epochs": 2}),
        Entry("blends of faces", "augmentation, a tenth of the fakes are blends by landmarks",
              strong | {"synth.blend": 0.05}),
        Entry("edits of faces", "augmentation, a tenth of the fakes are edited as in Photoshop",
              strong | {"synth.edit": 0.05}),
        Entry("self-blends", "augmentation, a tenth of the fakes are self-blended reals",
              strong | {"augment.self_blend": 0.1}),
        Entry("mixing", "augmentation, CutMix in a fifth and mixup in a tenth of the batches",
              strong | {"mix.cutmix": 0.2, "mix.mixup": 0.1}),
        Entry("deeper", "balance by source, all seven stages: 2.96 million parameters",
              base | {"network.widths": [16, 24, 40, 80, 112, 192, 320],
                      "network.expanded": [96, 144, 144, 240, 240, 480, 480, 480, 672, 672, 672,
                                           1152, 1152, 1152, 1152]}),
    ]  # fmt: skip
    if Path(teacher).is_file():
        given = {"distil.teacher": str(Path(teacher).resolve()), "distil.share": 0.7}
        rows.append(Entry("teacher", "balance by source, .7 of the label are the teacher's",
                          base | given))  # fmt: skip
        rows.append(Entry("teacher, augmentation", "teacher, strong augmentation", strong | given))
    return rows


def transfer(sources: list[str]) -> list[Entry]:
    """One row a source that is left out, and one that leaves out none."""
    base = INVERTED | IMAGENET | BALANCE | AUGMENT | {"augment.self_blend": 0.1}
    rows = [Entry("all", "trained on every source", base)]
    return rows + [
        Entry(f"without {name}", f"all, {name} left out", base | {"data.leave_out": [name]})
        for name in sources
    ]


def reals() -> list[Entry]:
    """Trained on the sets' fakes, on these and made ones, and on made ones alone."""
    base = INVERTED | IMAGENET | BALANCE | AUGMENT
    given = [(0.5, 0.0), (0.0, 0.5), (0.3, 0.2)]
    return [
        Entry("their fakes", "trained on the fakes of each set", base),
        Entry(
            "their fakes and made ones", "their fakes, a fifth of which are made of the reals",
            base | {"synth.blend": 0.05, "synth.edit": 0.05},
        ),
        *(
            Entry(
                f"reals alone, blend {blend:g}, edit {edit:g}",
                "their fakes, which are kept away; forgeries are made of the reals, in pairs",
                base | {"synth.blend": blend, "synth.edit": edit, "data.pairs": True},
                reals_alone=True,
            )
            for blend, edit in given
        ),
        Entry("their fakes, 64,000 pictures", "their fakes, four times as long",
              base | {"data.images_per_epoch": 64_000}),
        Entry(
            "reals alone, 64,000 pictures", "reals alone, blend 0.3, edit 0.2, four times as long",
            base | {"synth.blend": 0.3, "synth.edit": 0.2, "data.pairs": True,
                    "data.images_per_epoch": 64_000},
            reals_alone=True,
        ),
    ]  # fmt: skip


def without_fakes(dataset: Path, folder: Path) -> Path:
    """A data set of the real pictures alone, beside which the others still lie."""
    root = folder / "reals"
    root.mkdir()
    (root / "all").symlink_to(dataset.resolve(), target_is_directory=True)
    with (root / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("path", "label", "source", "group", "split"))
        for one in read_datasets([dataset]):
            if one.label == 0:
                path = Path("all", one.path.relative_to(dataset)).as_posix()
                rows.writerow((path, "real", one.source, one.group, one.split))
    return root


def run(entry: Entry, arguments: argparse.Namespace, core: int) -> list[dict[str, object]]:
    """Train one row on one core and measure it on every source."""
    images = arguments.images or read_recipe(RECIPE).data.images_per_epoch
    overrides = {"seed": arguments.seed, "data.images_per_epoch": images} | entry.overrides
    with tempfile.TemporaryDirectory() as folder:
        out, seen = Path(folder) / "run", arguments.dataset
        if entry.reals_alone:
            seen = without_fakes(seen, Path(folder))
        command = [sys.executable, "-m", "mesoscope", "train", str(seen)]
        command += ["--recipe", str(RECIPE), "--out", str(out), "--accelerator", "cpu"]
        for key, value in overrides.items():
            command += ["--set", f"{key}={json.dumps(value)}"]
        began = time.perf_counter()
        quietly(command, core)
        minutes = (time.perf_counter() - began) / 60
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        left = entry.overrides.get("data.leave_out", [])
        card = read_card(out / "model.onnx")
        measured = out / "metrics.json"
        if left or entry.reals_alone:  # the run did not measure what it did not see
            measured = Path(folder) / "evaluation/metrics.json"
            command = [sys.executable, "-m", "mesoscope", "evaluate", str(arguments.dataset)]
            command += ["--split", "validation", "--faces", "whole", "--jobs", "1"]
            command += ["--model", str(out / "model.onnx"), "--out", str(measured.parent)]
            quietly(command, core)
        found = json.loads(measured.read_text(encoding="utf-8"))
    fixed = {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "row": entry.name,
        "change": entry.change,
        "seed": arguments.seed,
        "images": overrides["data.images_per_epoch"],
        "minutes": round(minutes, 1),
        "model": f"{card.architecture}, {card.parameters} parameters",
        "command": f"python benchmarks/study.py {arguments.dataset} --images {images}"
        + (f" --only {arguments.only}" if arguments.only else ""),
    }
    print(f"{entry.name:24s} {minutes:5.1f} min, epochs {len(log)}, "
          f"mean AUC {found['mean_over_sources']['auc']:.4f}", flush=True)  # fmt: skip
    return [
        fixed
        | {
            "source": source,
            "trained_on": "reals" if entry.reals_alone else "no" if source in left
            else "in part" if mixed(source, left) else "yes",
            "n": part.get("n", found["n"]),
        }
        | {
            name: round(value, 4)
            for figure in ("accuracy", "auc")
            for name, value in zip(
                (figure, f"{figure}_low", f"{figure}_high"),
                (part[figure], *(part["intervals"][figure] or (float("nan"),) * 2)),
                strict=True,
            )
        }
        for source, part in {"mean": found["mean_over_sources"], **found["by_source"]}.items()
    ]  # fmt: skip


def quietly(command: list[str], core: int) -> None:
    """Run a command on one core."""
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )  # fmt: skip


def mixed(source: str, left: object) -> bool:
    """Whether a figure is of sources that were trained on and of one that was not."""
    return bool(left) and source == "mean"


def study(entries: list[Entry], path: Path, arguments: argparse.Namespace) -> None:
    """Run the rows that the file does not hold yet, one a core, and add each as it ends."""
    done = []
    if path.exists() and not arguments.again:
        done = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
    held = {(row["row"], int(row["seed"])) for row in done}
    todo = [entry for entry in entries if (entry.name, arguments.seed) not in held]
    todo = [entry for entry in todo if not arguments.rows or entry.name in arguments.rows]
    order = {entry.name: place for place, entry in enumerate(entries)}
    free: Queue[int] = Queue()
    for core in sorted(os.sched_getaffinity(0))[: arguments.jobs]:
        free.put(core)

    def one(entry: Entry) -> list[dict[str, object]]:
        core = free.get()
        try:
            return run(entry, arguments, core)
        finally:
            free.put(core)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        for rows in pool.map(one, todo):
            done += rows
            done.sort(key=lambda row: (order.get(str(row["row"]), 99), int(row["seed"])))
            write(path, COLUMNS, done)
    print(f"wrote {path.relative_to(ROOT)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--only", choices=("ablation", "transfer", "reals"))
    parser.add_argument("--teacher", default="runs/teacher/model.onnx")
    parser.add_argument("--images", type=int, default=0, help="a run; 0 = the recipe's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, one a core")
    parser.add_argument("--rows", nargs="+", default=(), help="these alone, by name")
    parser.add_argument("--again", action="store_true", help="run rows that are there already")
    arguments = parser.parse_args()
    if arguments.only in (None, "ablation"):
        study(ablation(arguments.teacher), ROOT / "results/ablation.csv", arguments)
    if arguments.only in (None, "reals"):
        study(reals(), ROOT / "results/reals_alone.csv", arguments)
    if arguments.only in (None, "transfer"):
        sources = sorted({sample.source for sample in read_datasets([arguments.dataset])})
        study(transfer(sources), ROOT / "results/transfer.csv", arguments)


if __name__ == "__main__":
    main()
