"""Tables on the shipped models: how good they are, which is for what, and how fast they are."""

from __future__ import annotations

import strangers_tables as strangers
from cells import percent, read, short

DECODING = "decoding_memory"
MODELS = {
    "mesoscope": (
        "two: `mesoscope-medium`, and one with seven stages that sees pixels as they are",
        "photos, clips, most folders",
    ),
    "mesoscope-medium": ("one with four stages", "millions of faces that are cropped already"),
    "mesoscope-small": ("half of that", "the same, on little hardware"),
}


def accuracy() -> str:
    """Accuracy and AUC by source, one column a model."""
    rows = read("accuracy.csv")
    models = list(dict.fromkeys(r["model"] for r in rows))
    # ours before the published networks
    models.sort(key=lambda model: (*MODELS, model.partition("@")[0]).index(model.partition("@")[0]))
    cells = {(r["model"], r["source"]): r for r in rows}
    sources = dict.fromkeys(r["source"] for r in rows if r["source"] != "all")
    lines = [
        "| accuracy / AUC, source (n) | " + " | ".join(m.partition("@")[0] for m in models) + " |"
    ]
    lines.append("|---" * (len(models) + 1) + "|")
    for source in [*sources, "all"]:
        n = cells[models[0], source]["n"]
        figures = []
        for model in models:
            row = cells[model, source]
            text = f"{short(row['accuracy'])} / {short(row['auc'])}"
            if row["weights"] == "shipped":
                text += f" [{short(row['auc_low'])}–{short(row['auc_high'])}]"
            figures.append(text)
        lines.append(f"| {source} ({n}) | " + " | ".join(figures) + " |")
    return "\n".join(lines)


def figures() -> str:
    """How good the default model is, in five lines: at home and on strangers."""
    home = {r["source"]: r for r in read("accuracy.csv") if r["model"].startswith("mesoscope@")}
    known = home.pop("all")
    aucs = sorted((float(r["auc"]), source) for source, r in home.items())
    rows = [r for r in read("strangers.csv") if r["recipe"] == strangers.DEFAULT]
    strange = {r["source"]: r for r in rows if r["kind"] == "all"}["mean"]
    unseen = sorted((float(r["auc"]), r["source"]) for r in rows if r["kind"] != "all")
    home_line = (
        f"**At home**, on {int(known['n']):,} validation pictures of the {len(home)} sources of "
        f"training: AUC {short(known['auc'])}, {_span(aucs)}."
    )
    decided_line = (
        f"It decides {percent(known['decided'])} of them, {percent(known['error_among_decided'])} "
        "of those wrongly; the rest is `inconclusive`."
    )
    strangers_line = (
        "**On strangers**, kinds of forgery that its training never saw: AUC "
        f"{short(strange['auc'])}, {_span(unseen)}. That is guessing."
    )
    told_line = (
        f"So of these it calls {percent(strange['fake_told_inconclusive'])} `inconclusive`, "
        f"{percent(strange['fake_told_fake'])} `fake` and {percent(strange['fake_told_real'])} "
        f"`real`; of genuine strangers {percent(strange['real_told_fake'])} `fake`."
    )
    found = next(
        r
        for r in read("elsewhere.csv")
        if (r["model"], r["kind"], r["package"]) == ("mesoscope", "pictures", "all")
    )
    elsewhere_line = (
        f"**Genuine photographs from elsewhere**, {found['with_face']} different ones with a face "
        f"in public packages: {found['told_fake']} called `fake` (95 %: at most "
        f"{percent(found['fake_high'])}), {found['told_real']} `real`, {found['inconclusive']} "
        "`inconclusive`."
    )
    lines = (home_line, decided_line, strangers_line, told_line, elsewhere_line)
    return "\n".join(f"- {line}" for line in lines)


def _span(aucs: list[tuple[float, str]]) -> str:
    """From the worst source to the best."""
    (low, worst), (high, best) = aucs[0], aucs[-1]
    return f"from {short(str(low))} ({worst}) to {short(str(high))} ({best})"


def speed() -> str:
    """What was asked for and what was measured, the latest row of each."""
    rows = [r for r in read("speed.csv") if r["asked"]]
    last = {(r["bench"], r["what"], r["asked"]): r["date"] for r in rows}
    latest = {
        (r["bench"], r["what"], r["other"], r["asked"]): r
        for r in rows
        if r["date"] == last[r["bench"], r["what"], r["asked"]]  # all of one run
    }
    # Of decoding memory the worst kind stands for all, which results/speed.csv holds.
    memory = [key for key in latest if key[0] == DECODING]
    for key in sorted(memory, key=lambda key: float(latest[key]["ours"]))[:-1]:
        del latest[key]
    lines = ["| what | here | beside it | ratio | asked for |", "|---|---|---|---|---|"]
    for row in latest.values():
        ours = f"{float(row['ours']):.4g} {row['unit']}"
        theirs = f"{row['other']}: {float(row['theirs']):.4g}" if row["theirs"] else "–"
        ratio = f"{float(row['ratio']):.2f}×" if row["ratio"] else "–"
        reached = row["asked"] + ("" if row["reached"] == "yes" else " (missed)")
        lines.append(f"| {row['what']} | {ours} | {theirs} | {ratio} | {reached} |")
    return "\n".join(lines)


def which() -> str:
    """What the shipped models are for, and how long each takes for a crop in the latest run."""
    lines = ["| model | networks | a crop on one core | for |", "|---|---|---|---|"]
    latest = {r["what"]: r for r in read("speed.csv") if r["bench"] == "scoring"}
    for name, (networks, use) in MODELS.items():
        time = f"{float(latest[f'a crop on one core, {name}']['ours']):.1f} ms"
        lines.append(f"| `{name}` | {networks} | {time} | {use} |")
    return "\n".join(lines)
