"""Tables of ``results/against_*.csv``: two shipped models on the same pictures."""

from __future__ import annotations

from collections import defaultdict

from cells import read, short

SHOWN = {
    "auc": "AUC",
    "fake_told_fake": "forged told fake",
    "fake_told_real": "forged told real",
    "real_told_fake": "genuine told fake",
}


def medium() -> str:
    """mesoscope-medium, then the default model."""
    return _table("against_medium.csv")


def _table(name: str) -> str:
    """Both models' figures by source, and the difference with its paired interval."""
    by_source: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for row in read(name):
        by_source[row["source"]][row["figure"]] = row
    lines = ["| source | n | " + " | ".join(SHOWN.values()) + " |", "|---" * (len(SHOWN) + 2) + "|"]
    for source, figures in by_source.items():
        cells = [_cell(figures[name]) for name in SHOWN]
        lines.append(f"| {source} | {figures['auc']['n']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, str]) -> str:
    low, high = (f"{float(row[end]):+.3f}".replace("0.", ".") for end in ("low", "high"))
    return f"{short(row['against'])} → {short(row['model'])} [{low}, {high}]"
