"""The tables of ``docs/explanation/at-scale.md``, from ``at_scale.csv`` and ``speed.csv``."""

from __future__ import annotations

import csv
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results"
MILLION = 10**6
ROWS = (10**8, 10**9, 10**10)  # that the largest measured size is carried to
STAGES = ("read", "find", "score")
Found = dict[tuple[str, int], dict[str, str]]


def found(name: str = "at_scale.csv") -> Found:
    """The last row of each thing and size."""
    path = RESULTS / name
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {(r["what"], int(r["n"])): r for r in csv.DictReader(file)}


def stages() -> str:
    """What a photo takes on one thread, by stage."""
    times = {r["what"]: r for r in found("speed.csv").values() if r["bench"] == "faces"}
    rows = {stage: times[f"of a photo: {stage}"] for stage in STAGES}
    total = sum(float(r["ours"]) for r in rows.values())
    lines = ["| stage | ms of a core | lowest–highest | share |", "|---|---|---|---|"]
    for stage, r in rows.items():
        span = f"{float(r['ours_low']):.2f}–{float(r['ours_high']):.2f}"
        share = f"{float(r['ours']) / total:.0%}"
        lines.append(f"| {stage} | {float(r['ours']):.2f} | {span} | {share} |")
    lines.append(f"| all | {total:.2f} | | {1000 / total:.1f} photos a second and core |")
    return "\n".join(lines)


def growth(prefix: str) -> str:
    """One line a step, one column a size; the last column says how the two largest compare."""
    rows = {key: r for key, r in found().items() if key[0].startswith(prefix)}
    sizes = sorted({n for _, n in rows})
    heads = ["", *(f"{n:,}" for n in sizes), "unit", "growth, last decade"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for what in dict.fromkeys(what for what, _ in rows):
        here = [rows[what, n] for n in sizes if (what, n) in rows]
        cells = [_number(r["ours"]) for r in here] + ["–"] * (len(sizes) - len(here))
        name = what.removeprefix(prefix).strip(": ")
        last, before = ([float(r["ours"]) for r in here[::-1]] + [0.0, 0.0])[:2]
        whole = before and sizes[len(here) - 1] == 10 * sizes[len(here) - 2]
        grown = f"{last / before:.2f}×" if whole else "–"
        lines.append("| " + " | ".join([name, *cells, here[-1]["unit"], grown]) + " |")
    return "\n".join(lines)


def sink() -> str:
    return growth("sink")


def listing() -> str:
    return growth("listing of a")


def sqlite() -> str:
    return growth("ledger on SQLite")


def postgresql() -> str:
    return growth("ledger on PostgreSQL")


def by_number(prefix: str, thing: str) -> str:
    """One line a measure, one column a number of things; medians with their range."""
    rows = {key: r for key, r in found().items() if key[0].startswith(prefix)}
    numbers = sorted({n for _, n in rows})
    heads = ["", *(f"{n:,} {thing}{'s' if n > 1 else ''}" for n in numbers), "unit"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for what in dict.fromkeys(what for what, _ in rows):
        here = [rows[what, n] for n in numbers]
        cells = [_spread(r) for r in here]
        lines.append("| " + " | ".join([what.removeprefix(prefix), *cells, here[0]["unit"]]) + " |")
    return "\n".join(lines)


def _spread(row: dict[str, str]) -> str:
    middle = _number(row["ours"])
    if row["repeats"] == "1":
        return middle
    return f"{middle} ({_number(row['ours_low'])}–{_number(row['ours_high'])})"


def clients() -> str:
    return by_number("clients on PostgreSQL: ", "client")


def jobs() -> str:
    return by_number("jobs on PostgreSQL: ", "job")


def _largest(what: str) -> float:
    rows = {n: r for (name, n), r in found().items() if name == what}
    return float(rows[max(rows)]["ours"])


def carried() -> str:
    """What rows take, by the figures of the largest measured size."""
    lines = [
        "| | " + " | ".join(f"{n:,} rows" for n in ROWS) + " |", "|---" * (len(ROWS) + 1) + "|"
    ]  # fmt: skip
    disk = {
        "keys on disk while they are sorted": "listing of a bucket: on disk meanwhile",
        "plan on disk": "sink: plan on disk",
        "parts on disk": "sink: parts on disk",
        "ledger in SQLite": "ledger on SQLite: on disk",
        "ledger in PostgreSQL": "ledger on PostgreSQL: on disk",
    }
    for name, what in disk.items():
        cells = (f"{_largest(what) * n / 1e9:,.1f} GB" for n in ROWS)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    hours = {
        "keys are listed and cut into tasks, one core": "listing of a bucket: list and plan",
        "a resume reads the parts' footers, one core": "sink: resume",
        "an export reads the parts, one core": "sink: export",
        "a resume reads the ledger in PostgreSQL": "ledger on PostgreSQL: resume",
        "all is claimed and written back in PostgreSQL, one client":
            "ledger on PostgreSQL: claim and write back",
        "the same, processor time of the server": "clients on PostgreSQL: processor time of the "
            "server",
    }  # fmt: skip
    for name, what in hours.items():
        cells = (f"{_largest(what) * n / MILLION / 3600:,.2f} h" for n in ROWS)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(text: str) -> str:
    value = float(text)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def clusters() -> str:
    """The simulated scans, a column each."""
    rows = {key: r for key, r in found().items() if key[0].startswith("graph, ")}
    columns = list(dict.fromkeys(what.partition(": ")[0] for what, _ in rows))
    cells = {(what.partition(": ")[2], what.partition(": ")[0]): r for (what, _), r in rows.items()}
    heads = ["", *(column.removeprefix("graph, ") for column in columns)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for what in dict.fromkeys(what for what, _ in cells):
        line = []
        for column in columns:
            r = cells[what, column]
            unit = "" if r["unit"] in ("share", "machines", "tasks") else r["unit"]
            text = f"{_number(r['ours'])} {unit}".strip()
            if r["theirs"]:
                text += f" ({r['other']}: {_number(r['theirs'])})"
            line.append(text)
        lines.append(f"| {what} | " + " | ".join(line) + " |")
    return "\n".join(lines)


def nodes() -> str:
    """Scans on Ray: two nodes beside one, and one machine beside the plain scan."""
    rows = [r for r in found().values() if r["bench"] == "nodes"]
    lines = ["| | here | beside it | ratio | asked for |", "|---|---|---|---|---|"]
    for r in rows:
        theirs = f"{_span(r, 'theirs')} {r['unit']} ({r['other']})"
        ratio = "–" if r["unit"] == "s" else f"{float(r['ratio']):.2f}×"
        cells = [r["what"].removeprefix("scan, "), f"{_span(r, 'ours')} {r['unit']}", theirs, ratio]
        lines.append("| " + " | ".join([*cells, _asked(r)]) + " |")
    hows = dict.fromkeys(r["how"] for r in rows)
    return "\n".join([*lines, "", *(f"- {how[0].upper()}{how[1:]}." for how in hows)])


def clip_lengths() -> str:
    """What a clip takes by its length, one column a length."""
    rows = {key: r for key, r in found().items() if r["bench"] == "clip_lengths"}
    sizes = sorted({n for _, n in rows})
    lines = ["| sampled | " + " | ".join(f"{n} min" for n in sizes) + " |"]
    lines.append("|---" * (len(sizes) + 1) + "|")
    for what in dict.fromkeys(what for what, _ in rows):
        cells = [f"{_number(rows[what, n]['ours'])} s" if (what, n) in rows else "–" for n in sizes]
        lines.append(f"| {what.partition(': ')[2]} | " + " | ".join(cells) + " |")
    how = next(iter(rows.values()))["how"] if rows else "not measured"
    return "\n".join([*lines, "", f"{how[0].upper()}{how[1:]}."])


def _span(r: dict[str, str], side: str) -> str:
    return f"{float(r[side]):.3g} ({float(r[f'{side}_low']):.3g}–{float(r[f'{side}_high']):.3g})"


def _asked(r: dict[str, str]) -> str:
    return r["asked"] + (" (missed)" if r["reached"] == "no" else "") if r["asked"] else "–"


def reading() -> str:
    """A local S3 server beside the disk: the last run."""
    return _compared("reading: ", "local S3 server", "disk")


def devices() -> str:
    """Two processes beside one: the last run."""
    return _compared("training, two processes", "two processes", "one process")


def _compared(prefix: str, ours: str, theirs: str) -> str:
    rows = {what: r for (what, _), r in found().items() if what.startswith(prefix)}
    lines = [f"| | {ours} | {theirs} | ratio | asked for |", "|---|---|---|---|---|"]
    for what, r in rows.items():
        sides = [
            f"{_number(r[s])} ({_number(r[f'{s}_low'])}–{_number(r[f'{s}_high'])})"
            for s in ("ours", "theirs")
        ]
        asked = r["asked"] + (" (missed)" if r["reached"] == "no" else "") if r["asked"] else "–"
        name = what.removeprefix(prefix).strip(": ") or r["unit"]
        lines.append("| " + " | ".join([name, *sides, f"{float(r['ratio']):.2f}×", asked]) + " |")
    how = next(iter(rows.values()))["how"]
    return "\n".join([*lines, "", f"{how[0].upper()}{how[1:]}."])
