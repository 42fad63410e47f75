"""The audit's cues on what a network is shown: on files, on plain crops, on augmented crops.

``python benchmarks/audit_crops.py ../shared/data`` takes some train pictures of each source and
class, makes of each the crop that training would show it by a recipe, encodes the crops as PNG,
and asks the audit of files and of crops how well their facts tell the classes apart: each by
itself, and all together. Rows go to ``results/audit_crops.csv``.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import sys
from pathlib import Path

import numpy as np

from measure import ROOT, command_line, say
from mesoscope import metrics
from mesoscope.data.audit.combined import BoostingClassifier
from mesoscope.data.audit.cues import FACTS, FOLDS, group_folds, measure_cues
from mesoscope.data.audit.facts import Facts, read_facts
from mesoscope.data.audit.options import AuditOptions
from mesoscope.data.manifest import read_dataset
from mesoscope.data.sample import Sample, subset
from mesoscope.detection.stages import find_in_pictures
from mesoscope.errors import MesoscopeError
from mesoscope.faces.main_face import MainFaceFinder
from mesoscope.imaging.encode import png
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.training.data.dataset import plain_crop, reals_by_source, training_crop
from mesoscope.training.recipe.recipe import read_recipe

RESULTS = ROOT / "results/audit_crops.csv"
RECIPES = ("mesoscope", "native")
FILES, PLAIN, TOGETHER = "files", "crops without augmentation", "together"
ALL = "all"  # sources
VALUES = 60  # of a category that are told apart
COLUMNS = ("date", "shown", "source", "cue", "auc", "auc_low", "auc_high", "n_real", "n_fake",
           "command")  # fmt: skip


def options() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="benchmarks/audit_crops.py", description=__doc__)
    made.add_argument("dataset", type=Path)
    made.add_argument("--n", type=int, default=300, help="train pictures a source and class")
    made.add_argument("--recipes", nargs="+", default=RECIPES)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--results", type=Path, default=RESULTS)
    return made


def main_faces(samples):
    """The box of the main face of each picture, ``None`` where none is found."""
    pictures = (sample.picture for sample in samples)
    for found in find_in_pictures(pictures, MainFaceFinder(), threads=cores()):
        missed = isinstance(found, MesoscopeError) or not found.faces
        yield None if missed else found.faces[0].box


def crops_of(samples, recipe, faces):
    """Each sample's crop, as an epoch of training would show it."""
    reals = reals_by_source(samples)
    box_of = dict(zip(samples, faces, strict=True))

    def one(numbered):
        place, sample = numbered
        key = (recipe.seed, 0, place)
        given = reals.get(sample.source, ())
        return training_crop(sample, recipe, key, given, None, box_of[sample], box_of.get)

    return map_ordered(one, enumerate(samples), threads=cores())


def held(samples, crops):
    """The samples with their crops in place of the pictures, all as PNG in memory."""
    return [
        Sample(f"{place:06}.png", s.label, s.source, s.group, s.split, held=png(crop))
        for place, (s, crop) in enumerate(zip(samples, crops, strict=True))
    ]


def shown_facts(facts: Facts) -> list[str]:
    """Facts that a network could see or that tell how a file was made; not its name or date."""
    return [
        name for name, fact in FACTS.items()
        if fact.reach != "place" and (name in facts.categories or name in facts.numbers)
    ]  # fmt: skip


def table_of(facts: Facts, rows) -> np.ndarray:
    """A column a fact; categories are ranked by how common they are."""
    columns = []
    for name in shown_facts(facts):
        if name in facts.numbers:
            columns.append(facts.numbers[name][rows].astype(np.float64))
            continue
        codes = facts.categories[name].codes[rows]
        values, counts = np.unique(codes[codes >= 0], return_counts=True)
        rank = np.full(len(facts.categories[name].values), np.nan)
        rank[values[np.argsort(-counts, kind="stable")][:VALUES]] = np.arange(
            min(len(values), VALUES)
        )
        columns.append(np.where(codes >= 0, rank[np.maximum(codes, 0)], np.nan))
    return np.column_stack(columns)


def together(facts: Facts, rows, asked: AuditOptions) -> tuple[float, float, float]:
    """AUC of all facts at once, by a boosted model on groups that it has not seen."""
    table, labels, groups = table_of(facts, rows), facts.labels[rows], facts.groups[rows]
    folds, scores = group_folds(groups, labels, seed=asked.seed), np.full(len(rows), 0.5)
    for fold in range(FOLDS):
        held = folds == fold
        model = BoostingClassifier(table[~held], labels[~held], seed=asked.seed)
        scores[held] = model.p_fake(table[held])
    drawn = metrics.bootstrap_auc(labels, scores, groups, n=asked.resamples, seed=[asked.seed, 3])
    return (metrics.roc_auc(labels, scores), *metrics.interval(drawn))


def cues(shown: str, samples, asked: AuditOptions, root: Path | None = None):
    """A row a source and cue, and one of all cues together."""
    facts = read_facts(samples, root=root)
    for cue in measure_cues(facts, asked):
        if FACTS[cue.name].reach != "place":
            yield row(shown, cue.scope, cue.name, (cue.auc, cue.low, cue.high), cue.real, cue.fake)
    for source in ("", *facts.sources.values):
        rows = np.flatnonzero(facts.rows_of(source) & facts.readable)
        fakes = int(facts.labels[rows].sum())
        found = together(facts, rows, asked)
        yield row(shown, source, TOGETHER, found, len(rows) - fakes, fakes)


def row(shown: str, source: str, cue: str, found, real: int, fake: int) -> dict[str, object]:
    auc, low, high = (f"{value:.3f}" for value in found)
    return {"shown": shown, "source": source or ALL, "cue": cue, "auc": auc, "auc_low": low,
            "auc_high": high, "n_real": real, "n_fake": fake}  # fmt: skip


def measured(chosen) -> list[dict[str, object]]:
    """Rows of files, of plain crops, and of the crops of each recipe."""
    train = [s for s in read_dataset(chosen.dataset) if s.split == "train"]
    samples = subset(train, limit=chosen.n, seed=chosen.seed)
    asked = AuditOptions(seed=chosen.seed)
    recipes = [read_recipe(ROOT / f"recipes/{name}.toml") for name in chosen.recipes]
    say(f"{len(samples):,} pictures: files")
    rows = list(cues(FILES, samples, asked, chosen.dataset))
    reframed = any(recipe.augment.reframe for recipe in recipes)
    faces = list(main_faces(samples)) if reframed else [None] * len(samples)
    margin = recipes[0].data.crop_margin
    plain = map_ordered(lambda s: plain_crop(s, margin), samples, threads=cores())
    say(PLAIN)
    rows += cues(PLAIN, held(samples, plain), asked)
    for recipe in recipes:
        say(recipe.name)
        rows += cues(recipe.name, held(samples, crops_of(samples, recipe, faces)), asked)
    return rows


def main(arguments=None) -> None:
    chosen = options().parse_args(arguments)
    told = command_line("benchmarks/audit_crops.py", sys.argv[1:])
    day = dt.datetime.now(dt.timezone.utc).date().isoformat()
    rows = measured(chosen)
    with chosen.results.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        out.writeheader()
        for one in rows:
            out.writerow({"date": day, **one, "command": told})


if __name__ == "__main__":
    main()
