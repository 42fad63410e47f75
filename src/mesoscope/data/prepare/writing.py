"""Write the summary files of a prepared data set: counts, manifest, list of what was left out."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mesoscope.data.manifest import write_manifest
from mesoscope.data.prepare.ledger import REASONS
from mesoscope.data.prepare.work import UNFINISHED
from mesoscope.data.sample import SPLITS
from mesoscope.errors import OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import atomic_path
from mesoscope.files.escape import RowWriter
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mesoscope.data.layouts.item import Item
    from mesoscope.data.prepare.ledger import ItemResult, PrepareLedger
    from mesoscope.data.prepare.plan import PrepareOptions, PreparePlan

    Key = tuple[str, int, str]  # split, label, method


_APART = 0.1  # differences between the classes' shares above this are reported


@dataclass(slots=True)
class PrepareSummary:
    """Counts of a preparation, updated per item.

    Attributes:
        items: Clips and pictures by split, label and method.
        faces: Faces written, by the same keys.
        left_out: Parts without a face, by reason.
        notes: Notes of items: by kind, the items and the rest of the notes.
    """

    items: Counter[Key] = field(default_factory=Counter)
    faces: Counter[Key] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    _whole: Counter[int] = field(default_factory=Counter)  # by label
    _lost: Counter[int] = field(default_factory=Counter)
    _kinds: dict[int, Counter[str]] = field(default_factory=lambda: {0: Counter(), 1: Counter()})

    def add(self, answer: ItemResult) -> None:
        """Count one item."""
        key = (answer.split, answer.label, answer.method)
        self.items[key] += 1
        self.faces[key] += len(answer.written)
        self.left_out.update(one.reason for one in answer.left_out)
        self._lost[answer.label] += sum(one.reason == "no_face" for one in answer.left_out)
        self._whole[answer.label] += sum(one.finder == "whole" for one in answer.written)
        for one in answer.written:
            suffix = PurePosixPath(one.parent).suffix.lower()
            self._kinds[answer.label][".jpg" if suffix == ".jpeg" else suffix] += 1
        for note in answer.notes:
            kind, _, rest = note.partition(": ")
            self.notes[kind].append((answer.name, rest))

    @property
    def total(self) -> int:
        """Number of faces written."""
        return self.faces.total()

    def of_class(self, label: int) -> int:
        """Return the number of faces of a class."""
        return sum(count for (_, one, _), count in self.faces.items() if one == label)

    def rows(self) -> list[tuple[str, str, str, int, int]]:
        """Return split, class, method, items and faces; in the order of splits."""
        keys = sorted(self.items, key=lambda key: (SPLITS.index(key[0]), key[1], key[2]))
        return [
            (split, CLASSES[label], method, self.items[split, label, method],
             self.faces[split, label, method])
            for split, label, method in keys
        ]  # fmt: skip

    def warnings(self) -> list[str]:
        """Return problems for training or evaluation, a sentence each."""
        return [
            *self._empty(),
            *self._unlike("taken whole, without looking for a face", self._whole, self._written()),
            *self._unlike("without a face that was found", self._lost, self._seen()),
            *self._formats(),
            *(_warning_line(kind, found) for kind, found in self.notes.items()),
        ]

    def _empty(self) -> Iterable[str]:
        have = {(split, label) for (split, label, _), count in self.faces.items() if count}
        for split in SPLITS:
            here = [label for label in (0, 1) if (split, label) in have]
            if len(here) == 1:
                yield f"{split} has no {CLASSES[1 - here[0]]} faces: nothing can be told from it"
            elif not here and split != "test":
                yield f"{split} is empty: training needs it; `split=group` draws splits anew"

    def _written(self) -> dict[int, int]:
        return {label: self.of_class(label) for label in (0, 1)}

    def _seen(self) -> dict[int, int]:
        return {label: self.of_class(label) + self._lost[label] for label in (0, 1)}

    def _unlike(self, what: str, part: Counter[int], of: dict[int, int]) -> Iterable[str]:
        """Report where the finder treats the classes differently, which makes framing a cue."""
        if not (of[0] and of[1]):
            return
        real, fake = (part[label] / of[label] for label in (0, 1))
        if abs(real - fake) > _APART:
            yield (
                f"{real:.0%} of real and {fake:.0%} of fake pictures are {what}: a network may "
                "learn that, and not forgery: try another `faces`"
            )

    def _formats(self) -> Iterable[str]:
        """Report where the classes come in different file formats."""
        kinds = [set(self._kinds[label]) for label in (0, 1)]
        if all(kinds) and not kinds[0] & kinds[1]:
            real, fake = (", ".join(sorted(names)) for names in kinds)
            yield (
                f"reals came as {real} and fakes as {fake}: all are stored alike now, but traces "
                "of the first compression stay in the pixels: see what `mesoscope audit` finds"
            )

    def left_out_lines(self) -> list[str]:
        """Return the numbers left out, a line per reason."""
        return [
            f"{text}: {self.left_out[reason]:,}"
            for reason, text in REASONS.items()
            if self.left_out[reason]
        ]


def _warning_line(kind: str, found: list[tuple[str, str]]) -> str:
    name, rest = found[0]
    first = f"{name} ({rest})" if rest else name
    return f"{first}: {kind}" if len(found) == 1 else f"{len(found):,} × {kind}, such as {first}"


MANIFEST, LEFT_OUT, ABOUT = "manifest.csv", "left_out.csv", "prepare.json"
FURTHER: dict[str, type] = {
    "person": str, "parent": str, "frame": int, "time_s": float,
    "x1": float, "y1": float, "x2": float, "y2": float, "confidence": float, "finder": str,
}  # fmt: skip
_LEFT_OUT_COLUMNS = (
    "path", "item", "label", "method", "group", "split", "time_s", "reason", "detail"
)  # fmt: skip


def write_summary_files(
    plan: PreparePlan, ledger: PrepareLedger, out: Path, options: PrepareOptions
) -> PrepareSummary:
    """Write the three files atomically, in the plan's order, and remove empty folders.

    Raises:
        OutputError: A file is not writable.
    """
    names = [job.item.name for job in plan.jobs]
    items = {job.item.name: job.item for job in plan.jobs}
    census = PrepareSummary()
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
        with atomic_path(out / ABOUT, folder=out / UNFINISHED) as part:
            part.write_text(about, encoding="utf-8", errors="backslashreplace")
        within = (out / s / label for s in SPLITS for label in CLASSES)
        for folder in (*within, *(out / s for s in SPLITS)):
            if not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {cause(error)}") from error
    return census


def _rows(answer: ItemResult, source: str, item: Item) -> Iterator[dict[str, object]]:
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


def _write_left_out(path: Path, answers: Iterable[ItemResult], plan: PreparePlan) -> None:
    with (
        atomic_path(path, folder=path.parent / UNFINISHED) as part,
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


def _about(plan: PreparePlan, census: PrepareSummary, options: PrepareOptions) -> dict[str, object]:
    """Return a description of the folder: its origin, options and contents."""
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
