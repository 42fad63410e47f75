"""Which density tells unfamiliar crops best: writes results/densities.csv.

    .venv/bin/python benchmarks/densities.py runs/mesoscope ../shared/data

The network of a finished run sums up crops as the guard does
(mesoscope.training.decide.familiarity). On these summaries, one density after the other is fitted
to the same train crops and cut where at most 1 % of the validation faces lie beyond, each source
and class alike; then all are asked how many of the pictures of ``strange.py`` they refuse.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import strange
from measure import ROOT
from mesoscope.data.manifest import read_datasets
from mesoscope.training.data.dataset import Survey, plain_crop
from mesoscope.training.data.faces import BOXES
from mesoscope.training.decide.familiarity import (
    REFUSED,
    balanced_weights,
    cut_at,
    fit_normal,
    summaries,
    train_crops,
)
from mesoscope.training.fit import checkpoint
from mesoscope.training.nets import build
from mesoscope.training.recipe.recipe import read_recipe
from unfamiliar import some_of_each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mesoscope.data.manifest import Sample
    from mesoscope.training.nets.network import Network
    from mesoscope.training.recipe.recipe import Recipe

    Floats = NDArray[np.float64]
    Density = Callable[[Floats], Floats]

RESULTS = ROOT / "results/densities.csv"
COLUMNS = ("date", "run", "density", "kind", "n", "refused", "command")
CROP_NUMBERS = 35  # of a summary, those of the crop; the network's features follow
NEIGHBOURS = 5


def one_normal(train: Floats, _sources: NDArray[np.str_]) -> Density:
    """What the guard has."""
    normal = fit_normal(train)
    return lambda z: np.linalg.norm((z - normal.mean) @ normal.whiten, axis=1)


def one_mean_a_source(train: Floats, sources: NDArray[np.str_]) -> Density:
    """The distance to the nearest of several means, one covariance for all (Lee et al. 2018)."""
    means = {name: train[sources == name].mean(0) for name in np.unique(sources)}
    normal = fit_normal(train - np.stack([means[name] for name in sources]))

    def distance(z: Floats) -> Floats:
        each = [np.linalg.norm((z - mean) @ normal.whiten, axis=1) for mean in means.values()]
        return np.min(each, axis=0)

    return distance


def nearest(train: Floats, _sources: NDArray[np.str_]) -> Density:
    """The mean distance to the five nearest train crops, all directions brought to one spread."""
    normal = fit_normal(train)
    known = (train - normal.mean) @ normal.whiten

    def distance(z: Floats) -> Floats:
        z = (z - normal.mean) @ normal.whiten
        squares = (z**2).sum(1)[:, None] - 2 * z @ known.T + (known**2).sum(1)
        nearby = np.partition(squares, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        return np.sqrt(np.maximum(nearby, 0)).mean(1)

    return distance


DENSITIES = {
    "one normal distribution": (one_normal, slice(None)),
    "one normal distribution, crop alone": (one_normal, slice(None, CROP_NUMBERS)),
    "one normal distribution, features alone": (one_normal, slice(CROP_NUMBERS, None)),
    "one mean a source": (one_mean_a_source, slice(None)),
    "nearest neighbours": (nearest, slice(None)),
}


def read_run(run: Path) -> tuple[Network, Recipe]:
    """A finished run's best weights and its recipe."""
    recipe = read_recipe(run / "recipe.toml")
    net = build(recipe.network).eval()
    tensors, _ = checkpoint.load(run / "checkpoints/best.safetensors")
    net.load_state_dict(checkpoint.unpack("mean", tensors))
    return net, recipe


def strange_summaries(
    net: Network, samples: Sequence[Sample], margin: float, arguments: argparse.Namespace
) -> dict[str, Floats]:
    """Summaries of all kinds of pictures that are no ordinary faces."""
    found = {
        name: summaries(net, strange.objects(name, arguments.objects)) for name in strange.OBJECTS
    }
    faces = [plain_crop(s, margin) for s in some_of_each(samples, arguments.spoilt)]
    for name, spoil in strange.SPOILT.items():
        found[name] = summaries(net, (spoil(face) for face in faces))
    return found


def main() -> None:
    """Fit, measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--objects", type=int, default=100, help="pictures of each kind of object")
    parser.add_argument("--spoilt", type=int, default=20, help="faces a source and class to spoil")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    net, recipe = read_run(arguments.run)
    margin = recipe.data.crop_margin
    used = [s for s in read_datasets(arguments.datasets) if s.source not in recipe.data.leave_out]
    data = Survey(*(tuple(s for s in used if s.split == n) for n in ("train", "validation")))
    if recipe.augment.reframe:  # the run found them in these very pictures
        with np.load(arguments.run / BOXES, allow_pickle=False) as kept:
            data = dataclasses.replace(data, boxes=kept["boxes"])
    order, crops = train_crops(data, recipe)
    train = summaries(net, crops)
    sources = np.array([data.train[i].source for i in order])
    ordinary = summaries(net, (plain_crop(s, margin) for s in data.validation))
    strangers = strange_summaries(net, data.validation, margin, arguments)
    rows = []
    for name, (fitted, part) in DENSITIES.items():
        density = fitted(train[:, part], sources)
        cut, _ = cut_at(density(ordinary[:, part]), balanced_weights(data.validation), REFUSED)
        print(name)
        for kind, z in {"validation faces": ordinary, **strangers}.items():
            refused = float((density(z[:, part]) > cut).mean())
            rows.append([name, kind, len(z), round(refused, 4)])
            print(f"  {kind:20s} {refused:.3f}")
    where = " ".join(map(str, arguments.datasets))
    fixed = [dt.datetime.now(dt.timezone.utc).date().isoformat(), arguments.run.name]
    command = f"python benchmarks/densities.py {arguments.run} {where}"
    with arguments.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([*fixed, *row, command] for row in rows)
    print(f"{len(rows)} rows written to {arguments.out}")


if __name__ == "__main__":
    main()
