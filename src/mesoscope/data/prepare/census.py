"""What came of preparing a set: faces by split, class and method, and what to be wary of."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mesoscope.data.prepare.answer import REASONS
from mesoscope.data.sample import SPLITS
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesoscope.data.prepare.answer import Answer

    Key = tuple[str, int, str]  # split, label, method

_APART = 0.1  # shares of the classes that differ by more are told


@dataclass(slots=True)
class Census:
    """Counts, filled answer by answer.

    Attributes:
        items: Clips and pictures by split, label and method.
        faces: Faces written, likewise.
        left_out: What gave no face, by reason.
        notes: What answers had to say: by its kind, the items and the rest of what they said.
    """

    items: Counter[Key] = field(default_factory=Counter)
    faces: Counter[Key] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    _whole: Counter[int] = field(default_factory=Counter)  # by label
    _lost: Counter[int] = field(default_factory=Counter)
    _kinds: dict[int, Counter[str]] = field(default_factory=lambda: {0: Counter(), 1: Counter()})

    def add(self, answer: Answer) -> None:
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
        """Faces written."""
        return self.faces.total()

    def of_class(self, label: int) -> int:
        """Faces of a class."""
        return sum(count for (_, one, _), count in self.faces.items() if one == label)

    def rows(self) -> list[tuple[str, str, str, int, int]]:
        """Split, class, method, items and faces; in the order of splits."""
        keys = sorted(self.items, key=lambda key: (SPLITS.index(key[0]), key[1], key[2]))
        return [
            (split, CLASSES[label], method, self.items[split, label, method],
             self.faces[split, label, method])
            for split, label, method in keys
        ]  # fmt: skip

    def warnings(self) -> list[str]:
        """What would spoil training, or a figure, a sentence each."""
        return [
            *self._empty(),
            *self._unlike("taken whole, without looking for a face", self._whole, self._written()),
            *self._unlike("without a face that was found", self._lost, self._seen()),
            *self._formats(),
            *(_said(kind, found) for kind, found in self.notes.items()),
        ]

    def _empty(self) -> Iterable[str]:
        have = {(split, label) for (split, label, _), count in self.faces.items() if count}
        for split in SPLITS:
            here = [label for label in (0, 1) if (split, label) in have]
            if len(here) == 1:
                yield f"{split} has no {CLASSES[1 - here[0]]} faces: nothing can be told from it"
            elif not here and split != "test":
                yield f"{split} is empty: training needs it; --split group draws splits anew"

    def _written(self) -> dict[int, int]:
        return {label: self.of_class(label) for label in (0, 1)}

    def _seen(self) -> dict[int, int]:
        return {label: self.of_class(label) + self._lost[label] for label in (0, 1)}

    def _unlike(self, what: str, part: Counter[int], of: dict[int, int]) -> Iterable[str]:
        """Tell where the finder treats the classes unlike: their framing would tell them apart."""
        if not (of[0] and of[1]):
            return
        real, fake = (part[label] / of[label] for label in (0, 1))
        if abs(real - fake) > _APART:
            yield (
                f"{real:.0%} of real and {fake:.0%} of fake pictures are {what}: a network may "
                "learn that, and not forgery: try another --faces"
            )

    def _formats(self) -> Iterable[str]:
        """Tell where the classes came in different kinds of files."""
        kinds = [set(self._kinds[label]) for label in (0, 1)]
        if all(kinds) and not kinds[0] & kinds[1]:
            real, fake = (", ".join(sorted(names)) for names in kinds)
            yield (
                f"reals came as {real} and fakes as {fake}: all are stored alike now, but traces "
                "of the first compression stay in the pixels: see what `mesoscope audit` finds"
            )

    def left_out_lines(self) -> list[str]:
        """How many were left out, a line a reason."""
        return [
            f"{text}: {self.left_out[reason]:,}"
            for reason, text in REASONS.items()
            if self.left_out[reason]
        ]


def _said(kind: str, found: list[tuple[str, str]]) -> str:
    name, rest = found[0]
    first = f"{name} ({rest})" if rest else name
    return f"{first}: {kind}" if len(found) == 1 else f"{len(found):,} × {kind}, such as {first}"
