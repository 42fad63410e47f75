"""Strangers: each kind of forgery left out of training in turn, and what a user would be told.

    .venv/bin/python benchmarks/strangers.py ../shared/data
    .venv/bin/python benchmarks/strangers.py ../shared/data --recipes native --kinds photoshop
    .venv/bin/python benchmarks/strangers.py ../shared/data --set augment.warped=0.2
    .venv/bin/python benchmarks/strangers.py ../shared/data --recipe mine.toml --name mine
    .venv/bin/python benchmarks/strangers.py ../shared/data --recipes native --keep kept
    .venv/bin/python benchmarks/strangers.py ../shared/data --decide mesoscope.onnx
    .venv/bin/python benchmarks/strangers.py ../shared/data --model swin-forgery

A kind is all sources whose forgeries are made alike. For each recipe and kind, a network is trained
in a short run on the other kinds, and calibrated on them. It then judges the validation pictures of
the kind that it never saw, each as one face. ``--set KEY=VALUE`` changes keys of the recipes
(of ``native`` alone, unless ``--recipes`` or ``--recipe`` names others), and ``--recipe`` takes any
recipe file; their rows have a name of their own, such as ``native augment.warped=0.2``, and are
compared with those of the plain recipe. ``results/strangers_scores.csv`` holds every score,
``results/strangers.csv`` the figures, ``docs/explanation/strangers.png`` the picture. ``--keep``
keeps the networks' model files, which ``benchmarks/guards.py`` takes.

``--decide`` chooses the two thresholds of a model file from these scores, and writes them into its
card: of the genuine pictures of each left-out source at most 2 % are told "fake", of the forged
ones of each left-out kind at most 15 % "real". Its graph and its scores stay as they are. With
``--at-home`` both limits also hold on each source of the validation split.

``--model`` judges the validation pictures of all sources with a detector that was trained on none
of them, such as one that ``mesoscope models add`` wrapped, and tells the same figures by the
thresholds of its card. For a detector that did see them, those are figures at home. Nothing is
written.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cells import write
from measure import ROOT
from mesoscope.cli.environment import models_folder
from mesoscope.errors import RecipeError
from mesoscope.models.added import named_model
from mesoscope.models.file import find_model, model_id, read_card
from mesoscope.training.decide.strangers import (
    GENUINE_FAKE,
    Score,
    rescaled,
    shares,
    spread_of,
    thresholds,
    write_thresholds,
)
from mesoscope.training.recipe.recipe import read_recipe
from strangers_figures import (
    COLUMNS,
    ENSEMBLES,
    FIGURES,
    KINDS,
    RECIPES,
    SCORE_COLUMNS,
    SCORES,
    STANDS_FOR,
    auc_of,
    draw,
    figures,
    read_scores,
    scores_of,
    tell_asked,
    told,
)

SHORT = {"optimise.epochs": 1, "optimise.warmup_epochs": 0.05, "decide.guard": False}
CHANGED = "native"  # what --set changes where no recipe is named
AUTOENCODERS = ROOT / "build/autoencoders"


class Entry(NamedTuple):
    """A recipe to screen: its name in the results, its file, and changes of its keys."""

    name: str
    path: Path
    overrides: list[str]


def entries(arguments: argparse.Namespace) -> list[Entry]:
    """The recipes that are asked for.

    Raises:
        RecipeError: A recipe is missing or wrong, or a change of one is.
    """
    names = arguments.recipes or ([CHANGED] if arguments.set else list(RECIPES))
    found = []
    if arguments.recipe:
        found.append(Entry(arguments.recipe.stem, arguments.recipe.resolve(), []))
        names = arguments.recipes or []
        if not arguments.name and found[0].name in RECIPES:
            raise SystemExit(f"{arguments.recipe}: {found[0].name} is known here: add --name")
    for name in names:
        path, changes = RECIPES[name]
        overrides = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
        found.append(Entry(name, ROOT / path, overrides))
    if arguments.name and (len(found) > 1 or arguments.name in RECIPES):
        raise SystemExit("--name is for one recipe, and no name of those known here")
    changed = []
    for one in found:
        overrides = [*one.overrides, *arguments.set]
        read_recipe(one.path, overrides)  # before hours of training, not after them
        name = arguments.name or " ".join([one.name, *arguments.set])
        changed.append(Entry(name, one.path, overrides))
    return changed


def run(recipe: Entry, kind: str, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Train one network without a kind; its scores of that kind's validation pictures."""
    short = {"seed": arguments.seed, "data.images_per_epoch": arguments.images, **SHORT}
    given = [f"{key}={json.dumps(value)}" for key, value in short.items()]
    given += [*recipe.overrides, f"data.leave_out={json.dumps(KINDS[kind])}"]
    kept = AUTOENCODERS / f"{kind}, seed {arguments.seed}".replace(" ", "-")
    asked = read_recipe(recipe.path, recipe.overrides).augment
    if asked.reconstructed and not asked.autoencoders and kept.exists():
        given.append(f"augment.autoencoders={json.dumps(str(kept))}")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out, found = Path(folder) / "run", Path(folder) / "evaluation"
        command = [sys.executable, "-m", "mesoscope", "train", str(arguments.dataset)]
        command += ["--recipe", str(recipe.path), "--out", str(out), "--accelerator", "cpu"]
        for change in given:
            command += ["--set", change]
        quietly(command)
        made = out / "autoencoders.safetensors"
        if made.exists() and not kept.exists():  # each run of a kind and seed would train the same
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made, kept)
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(out / "model.onnx", arguments.keep / f"{recipe.name}, {kind}.onnx")
        every = evaluated(out / "model.onnx", arguments.dataset, found)
    rows = [row for row in every if row["source"] in KINDS[kind]]
    home = [float(row["p_fake"]) for row in every if row["source"] not in KINDS[kind]]
    spread = round(spread_of(np.array(home)), 4)
    minutes = (time.perf_counter() - began) / 60
    print(f"{recipe.name}, without {kind}: {minutes:.1f} min, {len(rows)} scores", flush=True)
    fixed = {
        "recipe": recipe.name,
        "kind": kind,
        "images": arguments.images,
        "seed": read_recipe(recipe.path, given).seed,
    }
    groups: dict[tuple[str, str], int] = {}  # numbers for names, which belong to the data set
    return [
        fixed
        | {
            "source": row["source"],
            "group": groups.setdefault((row["source"], row["group"]), len(groups)),
            "label": row["label"],
            "p_fake": row["p_fake"],
            "spread": spread,
        }
        for row in rows
    ]


def predictions(folder: Path) -> list[dict[str, str]]:
    """The scored rows of an evaluation."""
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["p_fake"]]


def evaluated(model: Path, dataset: Path, folder: Path) -> list[dict[str, str]]:
    """Judge the validation split, each picture as one face."""
    command = [sys.executable, "-m", "mesoscope", "evaluate", str(dataset)]
    command += ["--split", "validation", "--faces", "whole", "--no-guard"]
    quietly([*command, "--model", str(model), "--out", str(folder)])
    return predictions(folder)


def quietly(command: list[str]) -> None:
    """Run a command; show what it said if it fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}")


def decide(model: Path, arguments: argparse.Namespace) -> None:
    """Write thresholds into a model file, and say what they are worth at home."""
    with tempfile.TemporaryDirectory() as folder:
        rows = evaluated(model, arguments.dataset, Path(folder) / "evaluation")
    p = np.array([float(row["p_fake"]) for row in rows])
    fake = np.array([row["label"] in ("fake", "1") for row in rows])
    scores = scores_of(arguments.by)
    careful = thresholds(rescaled(scores, spread_of(p)))
    tell(f"{model}, were strangers' scores spread as its own:", p, fake, careful)
    home = [
        Score("home", row["source"], int(y), float(q))
        for row, y, q in zip(rows, fake, p, strict=True)
    ]
    tell(
        f"{model}, written:",
        p,
        fake,
        write_thresholds(model, scores, home, at_home=arguments.at_home),
    )


def tell_model(model: str, arguments: argparse.Namespace) -> None:
    """Judge all sources with a detector that was trained elsewhere, and tell its figures."""
    path = find_model(named_model(model, models_folder()))
    cuts = read_card(path).thresholds
    with tempfile.TemporaryDirectory() as folder:
        rows = evaluated(path, arguments.dataset, Path(folder) / "evaluation")
    print(f"{model_id(path)}: fake from {cuts.fake_above:.4f}, real below {cuts.real_below:.4f}")
    print("AUC [95 %]; genuine told fake, real; forged told fake, real")
    for kind in arguments.kinds:
        for source in KINDS[kind]:
            those = [row for row in rows if row["source"] == source]
            scores = [
                Score(kind, source, int(r["label"] in ("fake", "1")), float(r["p_fake"]))
                for r in those
            ]
            if len({score.label for score in scores}) > 1:
                names = sorted({row["group"] for row in those})
                of = np.array([names.index(row["group"]) for row in those])
                one = {**auc_of(scores, of), **told(scores, cuts)}
                print(
                    f"{one['auc']:.3f} [{one['auc_low']:.3f}-{one['auc_high']:.3f}]  "
                    f"{one['real_told_fake']:6.1%} {one['real_told_real']:6.1%}  "
                    f"{one['fake_told_fake']:6.1%} {one['fake_told_real']:6.1%}  {source} ({kind})"
                )


def tell(what: str, p, fake, cuts) -> None:
    """Say what thresholds are worth at home."""
    print(f"{what} fake from {cuts.fake_above:.4f}, real below {cuts.real_below:.4f}")
    for name, of in (("genuine", ~fake), ("forged", fake)):
        told_fake, told_real = shares(p[of], cuts)
        print(f"  at home, of the {name}: {told_fake:.1%} told fake, {told_real:.1%} real")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--images", type=int, default=8000, help="pictures a run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES)
    parser.add_argument("--recipe", type=Path, help="a recipe file of your own")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key; repeatable"
    )
    parser.add_argument("--name", help="of the recipe in the results; its file and changes else")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--keep", type=Path, help="folder for the networks' model files")
    parser.add_argument("--again", action="store_true", help="run what is there already")
    parser.add_argument(
        "--at-home", action="store_true", help="--decide: keep both limits there, too"
    )
    parser.add_argument("--decide", type=Path, nargs="+", help="write thresholds into model files")
    parser.add_argument("--model", nargs="+", help="judge with models trained elsewhere")
    parser.add_argument(
        "--by",
        choices=[*RECIPES, *ENSEMBLES],
        default="shipped",
        help="--decide: by which recipe's scores",
    )
    arguments = parser.parse_args()
    if arguments.model:
        for model in arguments.model:
            tell_model(model, arguments)
        return
    if arguments.at_home and not arguments.decide:
        parser.error("--at-home needs --decide: add it, or leave --at-home out")
    if arguments.decide:
        for model in arguments.decide:
            decide(model, arguments)
        return
    try:
        asked = entries(arguments)
    except RecipeError as error:
        raise SystemExit(str(error)) from error
    for recipe in asked:
        for kind in arguments.kinds:
            rows: list[dict[str, object]] = list(read_scores())
            mine = [r for r in rows if (r["recipe"], r["kind"]) == (recipe.name, kind)]
            if mine and not arguments.again:
                one = mine[0]
                print(
                    f"{recipe.name}, without {kind}: there already, of {one['images']} pictures, "
                    f"seed {one['seed']}: --again runs it anew, --name keeps both"
                )
                continue
            rows = [r for r in rows if r not in mine] + run(recipe, kind, arguments)
            rows.sort(key=lambda r: (str(r["recipe"]), str(r["kind"]), str(r["source"])))
            write(SCORES, SCORE_COLUMNS, rows)
    rows = figures()
    write(FIGURES, COLUMNS, rows)
    draw([row for row in rows if row["recipe"] in STANDS_FOR])
    tell_asked(rows, [recipe.name for recipe in asked])
    print(f"wrote {FIGURES.relative_to(ROOT)}; at most {GENUINE_FAKE:.0%} of genuine told fake")


if __name__ == "__main__":
    main()
