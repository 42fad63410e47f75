"""The tables on strangers, and how accuracy grows with pictures."""

from __future__ import annotations

from cells import read, short

LARGEST_SET = 1e9  # pictures; a line in logarithms that asks for more tells nothing
ANSWERS = ("told_real", "inconclusive")  # columns of elsewhere.csv
DEFAULT = "shipped + native"  # whose scores stand for the default model's
BASE = "shipped augment.reframe=0.0"  # what methods of domain generalisation are added to


def strangers() -> str:
    """What a user would be told of pictures of left-out kinds, a row a source."""
    told_as = "told fake / real / cannot tell"
    lines = [
        f"| left-out source | AUC, 95 % interval | genuine {told_as} | forged {told_as} |",
        "|---|---|---|---|",
    ]
    rows = [r for r in read("strangers.csv") if r["recipe"] == DEFAULT]
    for row in rows:
        auc = f"{float(row['auc']):.2f}"
        name = row["source"]
        if row["kind"] != "all":
            auc += f" [{float(row['auc_low']):.2f}–{float(row['auc_high']):.2f}]"
            name += f" ({row['kind']}), {row['n_real']} + {row['n_fake']}"
        told = [
            " / ".join(
                f"{100 * float(row[f'{label}_told_{answer}']):.1f} %"
                for answer in ("fake", "real", "inconclusive")
            )
            for label in ("real", "fake")
        ]
        lines.append(f"| {name} | {auc} | {told[0]} | {told[1]} |")
    lines.append("")
    lines.append(
        "The thresholds of this table are those of the default model, which were chosen on these "
        f"very scores and at home: fake from {rows[0]['fake_above']} on, real below "
        f"{rows[0]['real_below']}. “Worst” is the worst of each column."
    )
    return "\n".join(lines)


def recipes() -> str:
    """AUC on left-out kinds, a row a recipe, a column a source."""
    cells: dict[str, dict[str, str]] = {}
    images, seeds = set(), set()
    for row in read("strangers.csv"):
        if row["recipe"].startswith(BASE):
            continue
        images.add(row["images"])
        seeds.add(row["seed"])
        if row["kind"] != "all":
            auc, low, high = (float(row[name]) for name in ("auc", "auc_low", "auc_high"))
            cell = f"{auc:.2f} [{low:.2f}–{high:.2f}]"
            cells.setdefault(row["recipe"], {})[row["source"]] = cell
    sources = sorted({source for row in cells.values() for source in row})
    lines = [f"| recipe | {' | '.join(sources)} | mean |", "|---" * (len(sources) + 2) + "|"]
    for recipe in sorted(cells, key=lambda name: (name != "shipped", name)):
        found = [cells[recipe].get(source, "not measured") for source in sources]
        measured = [float(text.split()[0]) for text in cells[recipe].values()]
        mean = f"{sum(measured) / len(measured):.2f}" if len(measured) == len(sources) else "–"
        lines.append(f"| {recipe} | {' | '.join(found)} | {mean} |")
    lines.append("")
    lines.append(
        f"AUC on left-out kinds, 95 % intervals. Pictures a run: {', '.join(sorted(images))}; "
        f"seed: {', '.join(sorted(seeds))}."
    )
    return "\n".join(lines)


def generalise() -> str:
    """Mean AUC on left-out kinds of the methods of domain generalisation, beside their base."""
    rows = [r for r in read("strangers.csv") if r["recipe"].startswith(BASE)]
    sources = sorted({r["source"] for r in rows if r["kind"] != "all"})
    by_recipe: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["kind"] != "all":
            by_recipe.setdefault(row["recipe"], {})[row["source"]] = float(row["auc"])
    whole = {name: of for name, of in by_recipe.items() if len(of) == len(sources)}
    mean = {name: sum(of.values()) / len(of) for name, of in whole.items()}
    lines = [f"| change | {' | '.join(sources)} | mean | worst |"]
    lines.append("|---" * (len(sources) + 3) + "|")
    for name in sorted(whole, key=lambda name: (name != BASE, not _plain(name), -mean[name])):
        change = name.removeprefix(BASE).strip() or "none, seed 1"
        cells = " | ".join(f"{whole[name][source]:.2f}" for source in sources)
        lines.append(f"| {change} | {cells} | {mean[name]:.3f} | {min(whole[name].values()):.2f} |")
    alike = [m for name, m in mean.items() if _plain(name)]
    lines += ["", f"Means of {len(alike)} seeds of the plain recipe: "]
    lines[-1] += f"{min(alike):.3f} to {max(alike):.3f}. Pictures a run: {rows[0]['images']}."
    return "\n".join(lines)


def _plain(name: str) -> bool:
    """Whether nothing but the seed differs from the base; a guard changes no score."""
    changes = name.removeprefix(BASE).split()
    return all(change.startswith(("seed=", "decide.guard=")) for change in changes)


def guards() -> str:
    """How well signs tell left-out kinds and wrong labels, a row a sign and kind."""
    head = "| sign | left-out kind | tells left-out pictures, AUC | refuses of them |"
    lines = [f"{head} tells wrong labels, AUC |", "|---|---|---|---|---|"]
    rows = read("guards.csv")
    for row in sorted(rows, key=lambda r: r["sign"]):
        strange, wrong = (
            f"{float(row[f'{name}_auc']):.2f} "
            f"[{float(row[f'{name}_auc_low']):.2f}–{float(row[f'{name}_auc_high']):.2f}]"
            for name in ("strange", "wrong")
        )
        refused = f"{100 * float(row['left_out_refused']):.1f} %"
        lines.append(f"| {row['sign']} | {row['kind']} | {strange} | {refused} | {wrong} |")
    return "\n".join(lines)


def skin() -> str:
    """Labels and AUC of the default model by skin tone in the picture."""
    head = "skin in the picture, genuine + forged | genuine labelled fake / real"
    lines = [f"| {head} | forged labelled fake / real | AUC |", "|---|---|---|---|"]
    rows = [r for r in read("skin_tone.csv") if r["model"] == "mesoscope"]
    for row in rows:

        def share(name: str, row: dict[str, str] = row) -> str:
            value, low, high = (100 * float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
            return f"{value:.1f} % [{low:.1f}–{high:.1f}]"

        auc = f"{short(row['auc'])} [{short(row['auc_low'])}–{short(row['auc_high'])}]"
        lines.append(
            f"| {row['group']}, {row['n_real']} + {row['n_fake']} | "
            f"{share('real_fake')} / {share('real_real')} | "
            f"{share('fake_fake')} / {share('fake_real')} | {auc} |"
        )
    sources = rows[0]["sources"].replace(" ", ", ")
    note = "None of n pictures means at most 3/n, which a bootstrap cannot show."
    lines += ["", f"Means over {sources}; 95 % intervals. {note}"]
    return "\n".join(lines)


def learning() -> str:
    """Accuracy by the number of train pictures, and what .97 would take."""
    from learning_curve import WANTED, pictures_for

    rows = read("learning_curve.csv")
    sources = list(dict.fromkeys(r["source"] for r in rows))
    lines = [f"| train pictures | {' | '.join(sources)} |", "|---" * (len(sources) + 1) + "|"]
    by = {(r["train_pictures"], r["source"]): r for r in rows}
    for pictures in dict.fromkeys(r["train_pictures"] for r in rows):
        cells = []
        for source in sources:
            row = by[pictures, source]
            interval = f"[{short(row['accuracy_low'])}–{short(row['accuracy_high'])}]"
            cells.append(f"{short(row['accuracy'])} {interval}")
        lines.append(f"| {pictures} | {' | '.join(cells)} |")
    slope, wanted = pictures_for(rows, "all")
    told = f"{WANTED:g} would take about {wanted:.1g} pictures"
    if wanted > LARGEST_SET:
        told = f"no number of pictures that exists would give {WANTED:g}"
    lines += [
        "",
        f"Accuracy at .5, 95 % intervals; {rows[0]['images']} pictures seen in each run. ",
    ]
    lines[-1] += f"Of all, error falls as pictures to the power {slope:.2f}; by that line {told}."
    return "\n".join(lines)


def elsewhere() -> str:
    """What users are told of genuine media from public packages, a row a model."""
    rows = {(r["model"], r["kind"]): r for r in read("elsewhere.csv") if r["package"] == "all"}
    models = sorted({model for model, _ in rows}, key=lambda name: (name[:5] != "mesos", name))
    lines = [
        "| model | faces | fake [95 %] | real | cannot tell | clips: fake / real / cannot tell |",
        "|---|---|---|---|---|---|",
    ]
    for model in models:
        row, clips = rows[model, "pictures"], rows[model, "clips"]
        n = int(row["with_face"])
        low, high = (f"{100 * float(row[name]):.1f}" for name in ("fake_low", "fake_high"))
        shares = " | ".join(f"{100 * int(row[name]) / n:.0f} %" for name in ANSWERS)
        told = " / ".join(clips[name] for name in ("told_fake", *ANSWERS))
        lines.append(
            f"| `{model}` | {n} | {row['told_fake']} ({100 * int(row['told_fake']) / n:.1f} % "
            f"[{low}–{high}]) | {shares} | {told} |"
        )
    return "\n".join(lines)
