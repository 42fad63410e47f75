"""What pruning costs and saves: accuracy, size and speed over the sparsity.

    .venv/bin/python benchmarks/pruning.py runs/mine ../shared/data

From one trained run: each level is pruned from it at once, as ``mesoscope prune --schedule
oneshot`` does, fine-tuned on the same number of pictures, calibrated, exported, and the file is
evaluated on the validation split. The row of 0 % is fine-tuned alike, and ``as trained`` is not.
Speed is measured at the end, all files in turns in one process. Writes results/pruning.csv, the
picture docs/explanation/pruning.png and the table in docs/explanation/pruning.md.

On two quiet cores and the six sources a level takes about a minute. ``--keep FOLDER`` keeps the
runs, and a bench that was stopped goes on there.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import datetime as dt
import gzip
import os
import re
import sys
from pathlib import Path

import numpy as np

from measure import ROOT, command_line, commit, cores, cpu_name, say, workplace
from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import OnnxScorer
from mesoscope.errors import OptionError
from mesoscope.evaluation.evaluate import evaluate
from mesoscope.evaluation.throughput import faces_per_second
from mesoscope.report.plots import LIGHT, legend, new_figure, style_axes
from mesoscope.training.compress.prune import fine_tuning, prune_and_finetune
from mesoscope.training.compress.prune_plan import BEST, PrunePlan, refuse_other_plan
from mesoscope.training.compress.sparsify import multiply_adds, sparsity_of
from mesoscope.training.data.dataset import plain_crop
from mesoscope.training.data.faces import find_main_faces
from mesoscope.training.decide.thresholds import decide
from mesoscope.training.export.onnx_export import export
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.distil import scores_of
from mesoscope.training.fit.watcher import SilentWatcher
from mesoscope.training.nets import build
from mesoscope.training.recipe.recipe import Recipe, read_recipe
from mesoscope.training.run import open_fabric, read_pictures
from mesoscope.types import ModelCard

RESULTS = ROOT / "results/pruning.csv"
PAGE = ROOT / "docs/explanation/pruning.md"
PICTURE = "pruning.png"  # beside the page
LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
CHANNELS = (0.3, 0.5, 0.7)
FIGURES = ("accuracy", "auc")
COLUMNS = (
    "date", "commit", "model", "taken", "share", "zeros", "multiply_adds_left", "parameters",
    *(f"{w}{f}{end}" for w in ("", "mean_") for f in FIGURES for end in ("", "_low", "_high")),
    "n", "bytes", "gzip_bytes", "faces_per_s", "speed", "finetune_pictures", "used_for", "cpu",
    "load", "command",
)  # fmt: skip
MARKS = "<!-- figures: written by benchmarks/pruning.py -->", "<!-- end of figures -->"


class Lines(SilentWatcher):
    """Prints what a run says, and no bars."""

    def say(self, text: str) -> None:
        say(f"  {text}")


def options() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="benchmarks/pruning.py", description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    made.add_argument("run", type=Path, help="run folder of the trained network")
    made.add_argument("datasets", nargs="+", type=Path)
    made.add_argument("--levels", type=float, nargs="*", default=LEVELS, help="shares of zeros")
    made.add_argument(
        "--structured", type=float, nargs="*", default=CHANNELS, help="shares of multiply-adds"
    )
    made.add_argument("--images", type=int, default=2560, help="pictures of the fine-tuning")
    made.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE",
        help="of the fine-tuning's recipe, as in distil.share=0: no teacher, which is quicker",
    )  # fmt: skip
    made.add_argument(
        "--validation", type=int, default=0, help="faces a source and class; 0 = all there are"
    )
    made.add_argument("--resamples", type=int, default=1000)
    made.add_argument("--rounds", type=int, default=7, help="of the speed, of which the median")
    made.add_argument("--keep", type=Path, help="folder for the runs, to go on there")
    made.add_argument("--results", type=Path, default=RESULTS)
    made.add_argument("--page", type=Path, default=PAGE)
    return made


def plans(chosen: argparse.Namespace) -> list[tuple[str, PrunePlan | None]]:
    """What is measured, by name; ``None`` is the network as it was trained."""
    epochs = 1 if chosen.images else 0
    found: list[tuple[str, PrunePlan | None]] = [("as trained", None)]
    found += [(f"zeros {s:g}", PrunePlan(s, "oneshot", epochs)) for s in chosen.levels]
    found += [
        (f"channels {s:g}", PrunePlan(s, "oneshot", epochs, structured=True))
        for s in chosen.structured
    ]
    return found


def fewer(data, most: int):
    """The survey with at most so many validation faces a source and class, evenly spread."""
    if not most:
        return data
    cells: dict[tuple[str, int], list] = {}
    for sample in data.validation:
        cells.setdefault((sample.source, sample.label), []).append(sample)
    kept = [
        cell[i]
        for cell in cells.values()
        for i in np.unique(np.linspace(0, len(cell) - 1, min(most, len(cell))).astype(int))
    ]
    return dataclasses.replace(data, validation=tuple(kept))


def pruned(chosen, plan: PrunePlan | None, data, folder: Path, fabric):
    """The recipe and the best weights of a level; fine-tuned now unless the folder holds them."""
    trained = read_recipe(chosen.run / "recipe.toml")
    if plan is None:
        return trained, checkpoint.load(chosen.run / BEST)[0]
    images = [f"data.images_per_epoch={chosen.images}"] if chosen.images else []
    recipe = fine_tuning(chosen.run, trained, plan, [*images, *chosen.overrides])
    refuse_other_plan(folder, plan, chosen.run)
    data = find_main_faces(data, recipe, folder.parent, fabric, SilentWatcher())
    recipe, _ = prune_and_finetune(
        chosen.run, data, plan, folder, fabric, Lines(), recipe, resume=True
    )
    return recipe, checkpoint.load(folder / BEST)[0]


def measured(chosen, name: str, plan: PrunePlan | None, data, folder: Path, fabric):
    """One row but for its speed, and the model file."""
    recipe, tensors = pruned(chosen, plan, data, folder, fabric)
    net = build(recipe.network).eval()
    net.load_state_dict(checkpoint.unpack("mean", tensors))
    logits = scores_of(net, data.validation, recipe.data.crop_margin, fabric)
    decision = decide(recipe, data.validation, logits)
    card = ModelCard(
        name=recipe.name, architecture=recipe.network.architecture,
        crop_margin=recipe.data.crop_margin, thresholds=decision.thresholds,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    faces = np.stack([plain_crop(s, recipe.data.crop_margin) for s in data.validation[:4]])
    path = folder / "model.onnx"
    card = export(net, path, card, decision.calibration, check_crops=faces)
    found = evaluate(
        data.validation, Detector(path, faces="whole"), seed=recipe.seed, resamples=chosen.resamples
    ).to_dict()
    row = {
        "model": f"{recipe.name}, {recipe.network.architecture}",
        "taken": name.partition(" ")[0] if plan else name,
        "share": plan.sparsity if plan else 0,
        "zeros": sparsity_of(net)["overall"],
        "multiply_adds_left": multiply_adds(net),  # a share once the network as trained is known
        "parameters": card.parameters,
        "n": found["n"],
        "bytes": path.stat().st_size,
        "gzip_bytes": len(gzip.compress(path.read_bytes(), 9, mtime=0)),
        "finetune_pictures": chosen.images if plan else 0,
        "used_for": "calibration and thresholds",
    }
    for where, entry in (("", found), ("mean_", found["mean_over_sources"])):
        for figure in FIGURES:
            low, high = entry["intervals"].get(figure) or (None, None)
            row |= {
                f"{where}{figure}": entry[figure],
                f"{where}{figure}_low": low,
                f"{where}{figure}_high": high,
            }
    return row, path


def bench(chosen: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """All levels, then their speed side by side."""
    fabric = open_fabric("auto", "auto", 1, "32")
    data = fewer(
        read_pictures(chosen.datasets, Recipe(), Lines(), skip_unreadable=True), chosen.validation
    )
    rows, paths = [], []
    for name, plan in plans(chosen):
        say(name)
        try:
            row, path = measured(chosen, name, plan, data, folder / name.replace(" ", "-"), fabric)
        except OptionError as error:  # channels alone cannot take so much off every network
            say(f"  left out: {error}")
            continue
        say(f"  AUC {row['auc']:.4f}, mean over sources {row['mean_auc']:.4f}")
        rows.append(row)
        paths.append(path)
    load = os.getloadavg()[0]
    rates = faces_per_second([OnnxScorer(path) for path in paths], rounds=chosen.rounds)
    fixed = {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "commit": commit(),
        "cpu": f"{cpu_name()}, {cores()} cores",
        "load": f"{load:.1f}",
        "command": command_line("benchmarks/pruning.py", sys.argv[1:]),
    }
    whole = rows[0]["multiply_adds_left"]
    for row, rate in zip(rows, rates, strict=True):
        row |= fixed | {"faces_per_s": rate, "speed": rate / rates[0]}
        row["multiply_adds_left"] = row["multiply_adds_left"] / whole
    return [{k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()} for r in rows]


def write(rows, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def table(rows) -> str:
    """The rows for reading, in Markdown, with their conditions."""
    first = rows[0]
    kinds = {
        "zeros": "{} % of the weights are zero",
        "channels": "channels: {} % fewer multiply-adds",
    }
    head = "taken away", "accuracy", "AUC", "mean AUC", "file", "compressed", "faces/s", "speed"
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        what = kinds.get(str(row["taken"]), "nothing, as trained").format(f"{row['share'] * 100:g}")
        shown = [f"{span(row, f)}" for f in ("accuracy", "auc", "mean_auc")]
        sizes = [f"{row[k] / 1000:.0f} kB" for k in ("bytes", "gzip_bytes")]
        speed = [f"{row['faces_per_s']:.0f}", f"{row['speed']:.2f} ×"]
        lines.append(f"| {' | '.join([what, *shown, *sizes, *speed])} |")
    images = rows[-1]["finetune_pictures"]
    tuned = f"fine-tuned on {images:,} pictures" if images else "not fine-tuned"
    conditions = " ".join(
        [
            f"{first['model']}; {first['n']:,} validation faces, which also set the calibration.",
            "Mean AUC is that of the sources; brackets are 95 % intervals. Each row but the first",
            f"was pruned at once from the same network and {tuned}. Compressed with gzip. Faces a",
            "second on one core, batches of one, all files in turns",
            f"({first['cpu']}, load {first['load']} before, {first['date']}).",
        ]
    )
    command = f"```\n.venv/bin/python {first['command']}\n```"
    picture = f"![Accuracy, size and speed over what was taken away]({PICTURE})"
    opening = f"What either does to one model, {first['model'].partition(',')[0]}:"
    return "\n\n".join([opening, picture, "\n".join(lines), conditions, command])


def span(row, figure: str) -> str:
    low, high = row[f"{figure}_low"], row[f"{figure}_high"]
    text = f"{row[figure]:.3f}"
    return text if low is None else f"{text} [{low:.3f}, {high:.3f}]"


def draw(rows, path: Path) -> None:
    """Accuracy and AUC, compressed size, and speed over what was taken away."""
    figure = new_figure(LIGHT, width=11, height=3.9)
    left, middle, right = figure.subplots(1, 3)
    whole, colours = rows[0], LIGHT.lines
    kinds = {kind: [row for row in rows if row["taken"] == kind] for kind in ("zeros", "channels")}
    for (kind, found), mark in zip(kinds.items(), ("o", "s"), strict=True):
        if not found:
            continue
        x = [100 * row["share"] for row in found]
        for figure_name, colour in zip(FIGURES, colours, strict=False):
            y = np.array(
                [[row[f"{figure_name}{end}"] for end in ("", "_low", "_high")] for row in found],
                float,
            )
            label = f"{'AUC' if figure_name == 'auc' else 'accuracy'}, {kind}"
            line = "-" if kind == "zeros" else "--"
            left.plot(x, y[:, 0], color=colour, marker=mark, linestyle=line, label=label)
            if not np.isnan(y[:, 1:]).any():
                left.fill_between(x, y[:, 1], y[:, 2], color=colour, alpha=0.15, linewidth=0)
        line = {"marker": mark, "linestyle": "-" if kind == "zeros" else "--", "label": kind}
        colour = colours[2] if kind == "zeros" else colours[3]
        middle.plot(x, [r["gzip_bytes"] / 1000 for r in found], color=colour, **line)
        right.plot(x, [r["speed"] for r in found], color=colour, **line)
    for name, colour in zip(FIGURES, colours, strict=False):
        left.axhline(whole[name], color=colour, linestyle=":")
    middle.axhline(whole["gzip_bytes"] / 1000, color=LIGHT.quiet, linestyle=":")
    right.axhline(1, color=LIGHT.quiet, linestyle=":")
    style_axes(left, LIGHT, y="on validation faces")
    style_axes(middle, LIGHT, y="compressed model file, kB")
    style_axes(right, LIGHT, y="speed, as trained = 1")
    middle.set_ylim(0, 1.1 * max(row["gzip_bytes"] for row in rows) / 1000)
    right.set_ylim(0, 1.2 * max(row["speed"] for row in rows))
    figure.supxlabel(
        "taken away: % of the weights (zeros), % of the multiply-adds (channels); "
        "dotted: as trained",
        color=LIGHT.ink,
        fontsize=10,
    )
    for axes in (left, middle, right):
        legend(axes, LIGHT, where="best")
    figure.savefig(path)


def fill(page: Path, text: str) -> None:
    """Put the table between the page's marks."""
    begin, end = MARKS
    whole = page.read_text(encoding="utf-8")
    marked = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not marked.search(whole):
        raise SystemExit(f"{page}: holds no place for the table: {begin} … {end}")
    page.write_text(marked.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", whole), encoding="utf-8")


def main() -> None:
    chosen = options().parse_args()
    with contextlib.ExitStack() as stack:
        folder = chosen.keep or stack.enter_context(workplace())
        rows = bench(chosen, folder)
    write(rows, chosen.results)
    draw(rows, chosen.page.with_name(PICTURE))
    text = table(rows)
    fill(chosen.page, text)
    print(text)


if __name__ == "__main__":
    main()
