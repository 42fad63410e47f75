"""Fill README's tables from results/*.csv, so that no figure in it is typed by hand.

.venv/bin/python benchmarks/readme.py            fills them
.venv/bin/python benchmarks/readme.py --check    says whether they are up to date
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def read(name: str) -> list[dict[str, str]]:
    path = ROOT / "results" / name
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def short(value: str, digits: int = 3) -> str:
    return f"{float(value):.{digits}f}".replace("0.", ".", 1) if value else "–"


def accuracy_table() -> str:
    """Accuracy and AUC by source, one column a model."""
    rows = read("accuracy.csv")
    models = list(dict.fromkeys(r["model"] for r in rows))
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


def speed_table() -> str:
    """What was asked for and what was measured, the latest row of each."""
    latest = {(r["bench"], r["what"], r["asked"]): r for r in read("speed.csv") if r["asked"]}
    lines = ["| what | here | beside it | ratio | asked for |", "|---|---|---|---|---|"]
    for row in latest.values():
        ours = f"{float(row['ours']):.4g} {row['unit']}"
        theirs = f"{row['other']}: {float(row['theirs']):.4g}" if row["theirs"] else "–"
        ratio = f"{float(row['ratio']):.2f}×" if row["ratio"] else "–"
        reached = row["asked"] + ("" if row["reached"] == "yes" else " (missed)")
        lines.append(f"| {row['what']} | {ours} | {theirs} | {ratio} | {reached} |")
    return "\n".join(lines)


def fill(text: str, name: str, table: str) -> str:
    pattern = rf"(<!-- {name}:start -->\n).*?(<!-- {name}:end -->)"
    if not re.search(pattern, text, re.DOTALL):
        sys.exit(f"README.md has no block {name}:start … {name}:end")
    return re.sub(pattern, lambda m: f"{m[1]}{table}\n{m[2]}", text, flags=re.DOTALL)


def main() -> None:
    path = ROOT / "README.md"
    before = path.read_text(encoding="utf-8")
    after = fill(fill(before, "accuracy", accuracy_table()), "speed", speed_table())
    if "--check" in sys.argv[1:]:
        sys.exit(0 if before == after else "README.md is behind results/: run benchmarks/readme.py")
    path.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
