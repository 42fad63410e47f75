"""Fill the tables of README and docs from results/*.csv, so that no figure is typed by hand.

.venv/bin/python benchmarks/readme.py            fills them
.venv/bin/python benchmarks/readme.py --check    says whether they are up to date
"""

from __future__ import annotations

import json
import re
import sys

import against_tables
import at_scale_tables as at_scale
import model_tables
import strangers_tables as strangers
from cells import ROOT, read, short

SURROUNDED = ("openforensics", "stylegan", "stylegan2")  # whose pictures hold more than the face


def ablation_table() -> str:
    """AUC of each row of the study by source, with what it changes."""
    return changes_table("ablation.csv")


def reals_table() -> str:
    """The same of detectors that were trained from reals alone."""
    return changes_table("reals_alone.csv")


def changes_table(name: str) -> str:
    """AUC of each row of a study by source, with what it changes."""
    lines, cells = [], study_cells(name)
    sources = sorted({source for row in cells.values() for source in row} - {"mean"})
    lines.append("| row | what changed | " + " | ".join(["mean [95 %]", *sources]) + " | min |")
    lines.append("|---" * (len(sources) + 4) + "|")
    for (name, seed), row in cells.items():
        mean = row["mean"]
        cell = f"{short(mean['auc'])} [{short(mean['auc_low'])}–{short(mean['auc_high'])}]"
        figures = [cell, *(short(row[source]["auc"]) for source in sources), mean["minutes"]]
        again = f" (seed {seed})" if seed != "1" else ""
        lines.append(f"| {name}{again} | {mean['change']} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


def transfer_table() -> str:
    """AUC by source, a row a source that was left out; what was not trained on stands bold."""
    lines, cells = [], study_cells("transfer.csv")
    sources = sorted({source for row in cells.values() for source in row} - {"mean"})
    lines.append("| trained | " + " | ".join(sources) + " |")
    lines.append("|---" * (len(sources) + 1) + "|")
    for (name, _), row in cells.items():
        figures = []
        for source in sources:
            one = row[source]
            text = short(one["auc"])
            if one["trained_on"] == "no":
                text = f"**{text}** [{short(one['auc_low'])}–{short(one['auc_high'])}]"
            figures.append(text)
        lines.append(f"| {name} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


RUNS = (
    "teacher", "mesoscope", "mesoscope-framed", "mesoscope-pruned", "mesoscope-shared",
    "mesoscope-shared-pruned", "native", "native-lite", "native-lite-long", "native-narrow",
    "native-narrow-long", "native-narrow-mild",
)  # fmt: skip


def runs_table() -> str:
    """The runs that led to the shipped models and one in trial, each by its own figures."""
    lines = ["| run | stages | epochs | minutes | mean accuracy [95 %] | mean AUC [95 %] |"]
    lines.append("|---|---|---|---|---|---|")
    for name in RUNS:
        folder = ROOT / "results/runs" / name
        begun = folder / "begun.jsonl"  # of a run whose weights this one began with
        text = begun.read_text() if begun.exists() else ""
        if (folder / "log.jsonl").exists():  # a pruning without fine-tuning has none
            text += (folder / "log.jsonl").read_text()
        log = [json.loads(line) for line in text.splitlines()]
        mean = json.loads((folder / "metrics.json").read_text())["mean_over_sources"]
        widths = re.search(
            r"^widths = \[(.*)\]", (folder / "recipe.toml").read_text(), re.MULTILINE
        )
        stages = len(widths[1].split(",")) if widths else "–"
        minutes = sum(record["elapsed_s"] for record in log) / 60
        figures = []
        for figure in ("accuracy", "auc"):
            low, high = (short(str(end)) for end in mean["intervals"][figure])
            figures.append(f"{short(str(mean[figure]))} [{low}–{high}]")
        cells = [name, str(stages), str(len(log)), f"{minutes:.0f}", *figures]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


UNVARIED = "mesoscope@3ca84f2c"  # the last default model that was trained on one crop margin


def framing_table() -> str:
    """AUC and the reals' mean score by crop margin, before it was varied and now."""
    rows = [r for r in read("faces_margin.csv") if r["source"] in SURROUNDED]
    models = (UNVARIED, rows[-1]["model"])
    cells = {(r["model"], r["margin"], r["source"]): r for r in rows}
    heads = [f"{source}, {name}" for source in SURROUNDED for name in ("before", "now")]
    lines = ["| crop's side / face's | " + " | ".join(heads) + " |"]
    lines.append("|---" * (len(heads) + 1) + "|")
    for margin in dict.fromkeys(r["margin"] for r in rows):
        figures = []
        for source in SURROUNDED:
            for model in models:
                row = cells.get((model, margin, source))
                known = row and f"{short(row['auc'])} ({short(row['p_fake_real'], 2)})"
                figures.append(known or "–")
        lines.append(f"| {margin} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


def unfamiliar_table() -> str:
    """How many of each kind the guard refuses, and what is wrong among the decided."""
    heads = ("pictures", "n", "refused", "wrong, no guard", "wrong, guard", "told from known (AUC)")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in read("unfamiliar.csv"):
        kind = {
            "held out": f"{row['kind']}, by a model that was not trained on it",
            "known beside": f"the five others, by that model without {row['kind']}",
        }.get(row["family"], row["kind"] if row["family"] != "faces" else f"faces: {row['kind']}")
        cells = [f"{float(row['unfamiliar']):.1%}"]
        cells += [
            f"{float(row[name]):.1%} of {float(row[decided]):.0%}" if row[name] else "–"
            for name, decided in (
                ("wrong_unguarded", "decided_unguarded"),
                ("wrong", "decided"),
            )
        ]
        lines.append("| " + " | ".join([kind, row["n"], *cells, short(row["auroc"], 2)]) + " |")
    return "\n".join(lines)


def crops_table() -> str:
    """How well the audit's facts tell the classes: on files, on crops, on augmented crops."""
    rows = read("audit_crops.csv")
    kinds = list(dict.fromkeys(r["shown"] for r in rows))
    cells = {(r["shown"], r["source"]): r for r in rows if r["cue"] == "together"}
    sources = [*sorted({source for _, source in cells} - {"all"}), "all"]
    heads = [k if k in ("files", "crops without augmentation") else f"crops of {k}" for k in kinds]
    lines = ["| all facts together, AUC | " + " | ".join(heads) + " |"]
    lines.append("|---" * (len(kinds) + 1) + "|")
    for source in sources:
        shown = " | ".join(_auc(cells[kind, source]) for kind in kinds)
        first = cells[kinds[0], source]
        lines.append(f"| {source}, {first['n_real']} + {first['n_fake']} | {shown} |")
    lines.append("")
    strongest = []
    for kind, head in zip(kinds, heads, strict=True):
        single = [r for r in rows if r["shown"] == kind and r["cue"] != "together"]
        most = max(single, key=lambda r: float(r["auc_low"]))
        strongest.append(f"{head}: {most['cue']}, {_auc(most)} ({most['source']})")
    lines.append(f"The strongest single fact. {'; '.join(strongest)}.")
    return "\n".join(lines)


def _auc(row: dict[str, str]) -> str:
    return f"{short(row['auc'], 2)} [{short(row['auc_low'], 2)}–{short(row['auc_high'], 2)}]"


def study_cells(name: str) -> dict[tuple[str, str], dict[str, dict[str, str]]]:
    """Rows of a study: (row, seed) → source → line."""
    cells: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for line in read(name):
        cells.setdefault((line["row"], line["seed"]), {})[line["source"]] = line
    return cells


BLOCKS = {
    "README.md": {"figures": model_tables.figures},
    "docs/reference/accuracy.md": {
        "accuracy": model_tables.accuracy,
        "which": model_tables.which,
        "medium": against_tables.medium,
    },
    "docs/reference/speed.md": {"speed": model_tables.speed},
    "docs/explanation/the-study.md": {
        "runs": runs_table,
        "ablation": ablation_table,
        "transfer": transfer_table,
        "reals": reals_table,
        "framing": framing_table,
        "learning": strangers.learning,
    },
    "docs/explanation/strangers.md": {
        "strangers": strangers.strangers,
        "recipes": strangers.recipes,
        "crops": crops_table,
        "generalise": strangers.generalise,
        "guards": strangers.guards,
        "skin": strangers.skin,
        "elsewhere": strangers.elsewhere,
    },
    "docs/explanation/unfamiliar.md": {"unfamiliar": unfamiliar_table},
    "docs/how-to/train-on-several-gpus.md": {"devices": at_scale.devices},
    "docs/explanation/at-scale.md": {
        "stages": at_scale.stages,
        "clusters": at_scale.clusters,
        "listing": at_scale.listing,
        "reading": at_scale.reading,
        "sink": at_scale.sink,
        "sqlite": at_scale.sqlite,
        "postgresql": at_scale.postgresql,
        "clients": at_scale.clients,
        "jobs": at_scale.jobs,
        "carried": at_scale.carried,
        "nodes": at_scale.nodes,
        "clip-lengths": at_scale.clip_lengths,
    },
}


def fill(text: str, where: str, name: str, table: str) -> str:
    pattern = rf"(<!-- {name}:start -->\n).*?(<!-- {name}:end -->)"
    if not re.search(pattern, text, re.DOTALL):
        sys.exit(f"{where} has no block {name}:start … {name}:end")
    return re.sub(pattern, lambda m: f"{m[1]}{table}\n{m[2]}", text, flags=re.DOTALL)


def main() -> None:
    for where, blocks in BLOCKS.items():
        path = ROOT / where
        before = after = path.read_text(encoding="utf-8")
        for name, table in blocks.items():
            after = fill(after, where, name, table())
        if "--check" in sys.argv[1:] and before != after:
            sys.exit(f"{where} is behind results/: run benchmarks/readme.py")
        path.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
