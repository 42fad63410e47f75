"""What a prepared data set says of itself: manifest, list of what was left out, account of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mesoscope.data.manifest import write_manifest
from mesoscope.data.prepare.census import Census
from mesoscope.data.prepare.work import UNFINISHED
from mesoscope.data.sample import SPLITS
from mesoscope.errors import OutputError
from mesoscope.files.csv_rows import RowWriter
from mesoscope.files.whole import beside
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mesoscope.data.layouts.item import Item
    from mesoscope.data.prepare.answer import Answer
    from mesoscope.data.prepare.ledger import Ledger
    from mesoscope.data.prepare.options import PrepareOptions
    from mesoscope.data.prepare.plan import Plan

MANIFEST, LEFT_OUT, ABOUT = "manifest.csv", "left_out.csv", "prepare.json"
FURTHER: dict[str, type] = {
    "person": str, "parent": str, "frame": int, "time_s": float,
    "x1": float, "y1": float, "x2": float, "y2": float, "confidence": float, "finder": str,
}  # fmt: skip
_LEFT_OUT_COLUMNS = (
    "path", "item", "label", "method", "group", "split", "time_s", "reason", "detail"
)  # fmt: skip


def write_up(plan: Plan, ledger: Ledger, out: Path, options: PrepareOptions) -> Census:
    """Write the three files, each in one move, in the plan's order; empty folders go.

    Raises:
        OutputError: One of them cannot be written.
    """
    names = [job.item.name for job in plan.jobs]
    items = {job.item.name: job.item for job in plan.jobs}
    census = Census()
    for answer in ledger.of(names):
        census.add(answer)
    if plan.left_out:
        census.left_out["split"] = len(plan.left_out)
    source = plan.source
    write_manifest(
        out / MANIFEST,
        (row for answer in ledger.of(names) for row in _rows(answer, source, items[answer.name])),
        further=FURTHER,
    )
    try:
        _write_left_out(out / LEFT_OUT, ledger.of(names), plan)
        about = json.dumps(_about(plan, census, options), indent=1, ensure_ascii=False) + "\n"
        with beside(out / ABOUT, folder=out / UNFINISHED) as part:
            part.write_text(about, encoding="utf-8", errors="backslashreplace")
        within = (out / s / label for s in SPLITS for label in CLASSES)
        for folder in (*within, *(out / s for s in SPLITS)):
            if not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror}") from error
    return census


def _rows(answer: Answer, source: str, item: Item) -> Iterator[dict[str, object]]:
    for one in answer.written:
        x1, y1, x2, y2 = (round(v, 2) for v in one.box)
        yield {
            "path": one.path, "label": answer.label, "source": item.source or source,
            "method": answer.method, "group": answer.group, "split": answer.split,
            "sha256": one.sha256, "person": item.person, "parent": one.parent, "frame": one.frame,
            "time_s": None if one.time_s is None else round(one.time_s, 6),
            "x1": x1, "y1": y1, "x2": x2, "y2": y2, "confidence": round(one.confidence, 6),
            "finder": one.finder,
        }  # fmt: skip


def _write_left_out(path: Path, answers: Iterable[Answer], plan: Plan) -> None:
    with (
        beside(path, folder=path.parent / UNFINISHED) as part,
        part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = RowWriter(file, defuse=True)
        writer.writerow(_LEFT_OUT_COLUMNS)
        for answer in answers:
            for one in answer.left_out:
                time_s = "" if one.time_s is None else round(one.time_s, 6)
                writer.writerow(
                    (one.path, answer.name, CLASSES[answer.label], answer.method, answer.group,
                     answer.split, time_s, one.reason, one.detail)
                )  # fmt: skip
        for item in plan.left_out:
            first = item.paths[0].relative_to(plan.root).as_posix()
            writer.writerow(
                (first, item.name, CLASSES[item.label], item.method, item.group,
                 item.split or "", "", "split", "")
            )  # fmt: skip


def _about(plan: Plan, census: Census, options: PrepareOptions) -> dict[str, object]:
    """For whoever finds the folder: whence it comes, by what options, what is in it."""
    from mesoscope import __version__

    reading = plan.reading
    return {
        "mesoscope": __version__,
        "set": reading.title,
        "terms": plan.terms,
        "options": options.identity(reading.layout),
        "found": [
            {"what": c.what, "found": c.found, "expected": c.expected} for c in reading.counts
        ],
        "notes": [*reading.notes, *plan.notes],
        "faces": [
            dict(zip(("split", "label", "method", "items", "faces"), row, strict=True))
            for row in census.rows()
        ],
        "left_out": dict(census.left_out),
        "warnings": census.warnings(),
    }
