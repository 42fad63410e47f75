"""Scores of left-out kinds, their figures and picture: what ``strangers.py`` reads and writes."""

from __future__ import annotations

import csv
import datetime as dt
import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from measure import ROOT
from mesoscope import metrics
from mesoscope.models.file import read_card, shipped
from mesoscope.training.decide.strangers import Score, shares, thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import Thresholds

KINDS = {
    "video swaps": ("dfdc", "ffpp"),
    "openforensics": ("openforensics",),
    "StyleGAN family": ("stylegan", "stylegan2"),
    "photoshop": ("photoshop",),
}
# What stands for mesoscope-medium: its recipe, without the teacher, who has seen every kind.
ALONE = {"network.initial": "imagenet", "distil.teacher": "", "distil.share": 0.0}
RECIPES = {
    "shipped": ("recipes/mesoscope-framed.toml", ALONE),
    "native": ("recipes/native.toml", {}),
    "native-lite": ("recipes/native-lite.toml", {}),
}
ENSEMBLES = {  # means of logits
    "shipped + native": ("shipped", "native augment.reframe=0.0"),  # for the default model
    "shipped + native-lite": ("shipped", "native-lite"),
}
# What a recipe stands for is told by that model's own thresholds, others by those of their scores.
STANDS_FOR = {"shipped": "mesoscope-medium", "shipped + native": "mesoscope"}
SCORES, FIGURES = ROOT / "results/strangers_scores.csv", ROOT / "results/strangers.csv"
PICTURE = ROOT / "docs/explanation/strangers.png"
SCORE_COLUMNS = ("recipe", "kind", "source", "group", "label", "p_fake", "spread", "images", "seed")
COLUMNS = (
    "date", "recipe", "images", "seed", "kind", "source", "n_real", "n_fake", "auc", "auc_low",
    "auc_high", "fake_above", "real_below", "real_told_fake", "real_told_real",
    "real_told_inconclusive", "fake_told_fake", "fake_told_real", "fake_told_inconclusive",
    "command",
)  # fmt: skip


def read_scores() -> list[dict[str, str]]:
    if not SCORES.exists():
        return []
    with SCORES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def scores_of(recipe: str) -> list[Score]:
    """All scores of left-out pictures that a recipe's networks gave, or an ensemble's."""
    if recipe in ENSEMBLES:
        members = [scores_of(member) for member in ENSEMBLES[recipe]]
        return [together_of(of) for of in zip(*members, strict=True)]
    return [
        Score(
            r["kind"],
            r["source"],
            int(r["label"] in ("fake", "1")),
            float(r["p_fake"]),
            float(r["spread"]),
        )
        for r in read_scores()
        if r["recipe"] == recipe
    ]


def together_of(scores: Sequence[Score]) -> Score:
    """The score of one picture by an ensemble: that of the mean logit."""
    (first, *_others) = scores
    if any(one[:3] != first[:3] for one in scores):
        raise SystemExit(f"{SCORES}: the members of an ensemble judged other pictures: --again")
    p = np.clip([one.p_fake for one in scores], 1e-6, 1 - 1e-6)
    logit = float(np.mean(np.log(p / (1 - p))))
    spread = float(np.mean([one.spread for one in scores]))
    return first._replace(p_fake=1 / (1 + math.exp(-logit)), spread=spread)


def figures() -> list[dict[str, object]]:
    """One row a recipe and left-out source, and a mean and a worst one a recipe."""
    held = read_scores()
    rows: list[dict[str, object]] = []
    names = {r["recipe"] for r in held}
    judged = {
        name: {(r["kind"], r["source"]) for r in held if r["recipe"] == name} for name in names
    }
    for ensemble, members in ENSEMBLES.items():
        if len({frozenset(judged.get(member, ())) for member in members}) == 1:
            names.add(ensemble)
    for recipe in sorted(names):
        of = [r for r in held if r["recipe"] == ENSEMBLES.get(recipe, (recipe,))[0]]
        scores = scores_of(recipe)
        cuts = shipped_thresholds(recipe) or thresholds(scores)
        by_source: dict[tuple[str, str], list[tuple[Score, int]]] = defaultdict(list)
        for score, row in zip(scores, of, strict=True):
            by_source[score.kind, score.source].append((score, int(row["group"])))
        fixed = {
            "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
            "recipe": recipe, "images": of[0]["images"], "seed": of[0]["seed"],
            "fake_above": round(cuts.fake_above, 4), "real_below": round(cuts.real_below, 4),
            "command": command_of(recipe),
        }  # fmt: skip
        mine = []
        for (kind, source), pairs in sorted(by_source.items()):
            those, groups = [score for score, _ in pairs], np.array([g for _, g in pairs])
            row = {"kind": kind, "source": source, **auc_of(those, groups), **told(those, cuts)}
            mine.append(fixed | row)
        rows += mine
        rows.append(fixed | {"kind": "all", "source": "mean"} | together(mine, np.mean))
        worst = fixed | {"kind": "all", "source": "worst"} | together(mine, np.max)
        for good in ("auc", "real_told_real", "fake_told_fake"):
            worst[good] = min(row[good] for row in mine)
        rows.append(worst)
    return rows


def shipped_thresholds(recipe: str) -> Thresholds | None:
    """The thresholds of the shipped model that a recipe stands for, if there is one."""
    path = shipped().get(STANDS_FOR.get(recipe, ""))
    return read_card(path).thresholds if path is not None else None


def auc_of(scores: Sequence[Score], groups) -> dict[str, float]:
    """The AUC of some scores, with its interval."""
    labels, p_fake = np.array([s.label for s in scores]), np.array([s.p_fake for s in scores])
    return auc_columns("auc", labels, p_fake, groups)


def auc_columns(name: str, labels, values, groups) -> dict[str, float]:
    """AUC and its 95 % interval by bootstrap over groups, as columns of a row."""
    drawn = metrics.bootstrap_auc(labels, values, groups, n=1000, seed=1)
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    found = {name: metrics.roc_auc(labels, values), f"{name}_low": low, f"{name}_high": high}
    return {column: round(float(value), 4) for column, value in found.items()}


def command_of(recipe: str) -> str:
    """The command that measures a recipe, as far as its name says it."""
    command, (first, *changes) = "python benchmarks/strangers.py ../shared/data", recipe.split(" ")
    if recipe in RECIPES or recipe in ENSEMBLES:
        return command
    if first in RECIPES and all("=" in change for change in changes):
        return " ".join([command, "--recipes", first, *(f"--set {c}" for c in changes)])
    return f"{command} --recipe FILE --name '{recipe}'"


def draw(rows: list[dict[str, object]]) -> None:
    """What a user would be told of each left-out source by the shipped models, as bars."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = [row for row in rows if row["source"] not in ("mean", "worst")]
    recipes = sorted({str(row["recipe"]) for row in rows}, key=STANDS_FOR.__getitem__)
    figure, axes = plt.subplots(
        len(recipes), 2, figsize=(9, 0.9 + 2.2 * len(recipes)), sharex=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    colours = {"fake": "#d55e00", "inconclusive": "#bbbbbb", "real": "#0072b2"}
    for line, recipe in zip(axes, recipes, strict=True):
        of = [row for row in rows if row["recipe"] == recipe][::-1]
        names = [f"{row['source']}, AUC {row['auc']:.2f}" for row in of]
        for axis, name, title in zip(line, ("real", "fake"), ("genuine", "forged"), strict=True):
            left = np.zeros(len(of))
            for answer, colour in colours.items():
                share = np.array([float(row[f"{name}_told_{answer}"]) for row in of])
                axis.barh(names, share, left=left, color=colour, label=answer)
                left += share
            axis.set_title(f"{STANDS_FOR[recipe]}: {title} pictures of left-out kinds", fontsize=9)
            axis.tick_params(labelsize=8)
            axis.set_xlim(0, 1)
        line[1].set_yticklabels([])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(PICTURE, dpi=110)


def told(scores: list[Score], cuts) -> dict[str, object]:
    """What a user would be told of these pictures, by class."""
    found: dict[str, object] = {}
    for label, name in ((0, "real"), (1, "fake")):
        p = np.array([s.p_fake for s in scores if s.label == label])
        fake, real = shares(p, cuts)
        found[f"n_{name}"] = len(p)
        found[f"{name}_told_fake"] = round(fake, 4)
        found[f"{name}_told_real"] = round(real, 4)
        found[f"{name}_told_inconclusive"] = round(1 - fake - real, 4)
    return found


def together(rows: list[dict[str, object]], how) -> dict[str, object]:
    names = [name for name in COLUMNS if "_told_" in name or name == "auc"]
    return {name: round(float(how([row[name] for row in rows])), 4) for name in names}


def tell_asked(rows: list[dict[str, object]], names: list[str]) -> None:
    """The AUC of each left-out source by the known recipes and by those asked for, a line each."""
    by = {(r["recipe"], r["source"]): r["auc"] for r in rows if r["kind"] != "all"}
    sources = list(dict.fromkeys(source for name, source in by if name in names))
    print("AUC of: " + ", ".join(map(str, sources)))
    for name in dict.fromkeys([*RECIPES, *names]):
        found = [by.get((name, source)) for source in sources]
        if any(auc is not None for auc in found):
            print("  ".join("    -" if a is None else f"{a:.3f}" for a in found), name)
