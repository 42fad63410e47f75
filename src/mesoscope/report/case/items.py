"""What a report is about: verdicts and hashes of their files, kept on disk, counted, charted."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import os
import stat
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.errors import OptionError, OutputError, SourceError, SourceMissing
from mesoscope.errors.failures import cause
from mesoscope.media.walk import open_without_waiting
from mesoscope.types import Verdict
from mesoscope.types.label import ANSWERS, LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from mesoscope.types import Answer


__all__ = ["FileHash", "ReportItem", "VerdictSpool", "hash_source", "read_verdicts"]


_BLOCK = 1 << 20
_LINE_MAX = 64 << 20  # characters: a long clip's verdict is a few megabytes; more is no verdict


class FileHash(NamedTuple):
    """A file's identity: SHA-256 in hexadecimal, and its length in bytes."""

    sha256: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class ReportItem:
    """One source of a report.

    Attributes:
        verdict: What was said of it.
        file: Its hash; ``None`` where there is no file to read, as for ``<array>``.
        earlier: The hash that the file had when it was judged, where that is known and differs.
    """

    verdict: Verdict
    file: FileHash | None
    earlier: str | None = None


def hash_source(path: str) -> FileHash:
    """Hash a file.

    Raises:
        SourceMissing: Nothing lies there.
        SourceError: It cannot be read, or is a folder, a pipe or a device.
    """
    digest, length = hashlib.sha256(), 0
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceError(f"{path}: not a regular file, so it has no hash")
            while block := file.read(_BLOCK):
                digest.update(block)
                length += len(block)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceMissing(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        why = cause(error)
        raise SourceError(f"{path}: cannot be read: {why}") from error
    return FileHash(digest.hexdigest(), length)


class VerdictSpool:
    """Items in a temporary file, so that a report of any size is made in flat memory.

    A sink for scans, too: :meth:`write` takes a verdict and hashes its file at once, while it is
    still what was judged.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - closed on exit
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def write(self, verdict: Verdict) -> None:
        """Append a verdict."""
        self.add(verdict)

    def add(self, verdict: Verdict, *, judged_sha256: str | None = None) -> None:
        """Append a verdict, with the hash of the file that was judged, where it is known.

        Raises:
            OutputError: The disk of temporary files is full.
        """
        try:
            found: FileHash | None = hash_source(verdict.source)
        except SourceError:
            found = None
        differs = judged_sha256 is not None and found is not None and found.sha256 != judged_sha256
        row = [verdict.to_dict(), found, judged_sha256 if differs or found is None else None]
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(json.dumps(row, separators=(",", ":")) + "\n")
        except OSError as error:
            raise OutputError(
                f"the report's temporary file: {cause(error)}: free some space in "
                f"{tempfile.gettempdir()}"
            ) from error
        self._count += 1

    def __iter__(self) -> Iterator[ReportItem]:
        """All items in their order; may be asked for again, one reader at a time."""
        self._file.seek(0)
        while line := self._file.readline():
            verdict, found, earlier = json.loads(line)
            yield ReportItem(
                Verdict.from_json(json.dumps(verdict)),
                None if found is None else FileHash(*found),
                earlier,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def read_verdicts(path: Path) -> Iterable[Verdict]:
    """The verdicts of a ``.jsonl`` file that a scan has written.

    Raises:
        OptionError: It cannot be read, or a line is not a verdict; the message names the line.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            number = 0
            while line := file.readline(_LINE_MAX):
                number += 1
                if not line.strip():
                    continue
                try:
                    verdict = Verdict.from_json(line)
                    _refuse_odd(verdict)
                except (OptionError, AttributeError, RecursionError) as error:
                    raise OptionError(
                        f"{path}: line {number}: {error}: give the .jsonl file of a scan"
                    ) from error
                yield verdict
    except OSError as error:
        raise OptionError(f"{path}: cannot be read: {cause(error)}: check the path") from error


def _refuse_odd(verdict: Verdict) -> None:
    """Refuse what has a verdict's fields and not their types: pages are made of them.

    Raises:
        OptionError: Which value it is.
    """
    error = verdict.error
    if error is not None and not (isinstance(error, Mapping) and {"code", "message"} <= set(error)):
        raise OptionError(f"not a verdict: error must hold code and message: {error!r:.80}")
    faces, persons = verdict.faces, verdict.persons
    texts = [verdict.source, verdict.model, verdict.reason, verdict.finder, *verdict.notes]
    texts += [*(error or {}).values(), *(p.label for p in persons), *(p.reason for p in persons)]
    numbers: list[object] = [verdict.p_fake, verdict.duration_s, verdict.frames_read]
    for face in faces:
        numbers += [*face.box, face.p_fake, face.time_s, face.frame_index, face.person]
    for one in persons:
        numbers += [one.number, one.p_fake, one.frames, one.first_s, one.last_s, one.face_px]
    for kind, what, values in ((str, "a text", texts), (int | float, "a number", numbers)):
        odd = next((v for v in values if v is not None and not isinstance(v, kind)), None)
        if odd is not None:
            raise OptionError(f"not a verdict: {what} is needed where it holds {odd!r:.80}")
    if not {person.label for person in persons} <= {*LABELS, None}:
        raise OptionError("not a verdict: unknown label of a person")


BINS = 20
_RANK: Mapping[Answer, int] = {"fake": 2, "inconclusive": 1}
SHOWN = sorted(ANSWERS, key=lambda answer: -_RANK.get(answer, 0))  # as they are shown


@dataclass(slots=True)
class Tally:
    """What a report's items come to.

    Attributes:
        labels: Items by their answer.
        kinds: ``image`` and ``clip``.
        bins: ``{label: counts}`` of ``p_fake`` in :data:`BINS` equal bins; 1 is in the last.
        models: Verdicts by the model that gave them.
        pictured: Places of the items to be shown with their evidence, the most suspicious first.
    """

    labels: Counter[Answer] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    bins: dict[Answer, list[int]] = field(default_factory=dict)
    models: Counter[str] = field(default_factory=Counter)
    pictured: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All items."""
        return self.labels.total()

    @property
    def scored(self) -> int:
        """Items with a score."""
        return sum(sum(counts) for counts in self.bins.values())


def tally(items: Iterable[ReportItem], *, pictures: int) -> Tally:
    """Count items and choose those whose evidence is shown.

    These are the most suspicious: fakes before undecided ones before the rest, and among alike the
    higher score; what could not be read has nothing to show.

    Args:
        items: All of them.
        pictures: How many are shown at most.
    """
    found = Tally()
    worst: list[tuple[tuple[int, float, int], int]] = []
    for at, item in enumerate(items):
        verdict = item.verdict
        label = verdict.answer
        found.labels[label] += 1
        found.kinds[verdict.kind] += 1
        found.models[verdict.model] += 1
        if verdict.p_fake is not None:
            counts = found.bins.setdefault(label, [0] * BINS)
            counts[min(int(verdict.p_fake * BINS), BINS - 1)] += 1
        if label != "unreadable" and pictures:
            p_fake = -1.0 if verdict.p_fake is None else verdict.p_fake
            entry = ((_RANK.get(label, 0), p_fake, -at), at)
            if len(worst) < pictures:
                heapq.heappush(worst, entry)
            else:
                heapq.heappushpop(worst, entry)
    found.pictured = [at for _, at in sorted(worst, reverse=True)]
    return found


_GAP = 1.6  # times the usual step between frames, as in draw/timeline.py


class HistogramBar(NamedTuple):
    """A piece of a stacked bar: which bin, which label, from where to where (0 to 1), how many."""

    bin: int
    label: str
    low: float
    high: float
    n: int


class Dot(NamedTuple):
    """A face of a clip: where it lies in time and in ``p_fake``, both 0 to 1."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """One person of a clip through time.

    Attributes:
        person: From 0.
        dots: In the order of time.
        gap: A longer step between two of them is a time when the person was not seen.
    """

    person: int
    dots: tuple[Dot, ...]
    gap: float

    @property
    def runs(self) -> list[list[Dot]]:
        """The dots without the gaps: runs of frames in which the person was seen."""
        found: list[list[Dot]] = []
        for dot in self.dots:
            if found and dot.x - found[-1][-1].x <= self.gap:
                found[-1].append(dot)
            else:
                found.append([dot])
        return found


@dataclass(frozen=True, slots=True)
class Timeline:
    """``p_fake`` of every judged face of a clip over time.

    Attributes:
        lines: One a person.
        end_s: Time at the right end; the left end is 0.
    """

    lines: tuple[Line, ...]
    end_s: float


def distribution(tally: Tally) -> tuple[list[HistogramBar], int]:
    """Stacked bars of ``p_fake``, and what the full height counts; no bars where nothing scored."""
    most = max((sum(c[at] for c in tally.bins.values()) for at in range(BINS)), default=0)
    bars: list[HistogramBar] = []
    for at in range(BINS):
        base = 0
        for label in reversed(SHOWN):
            count = tally.bins[label][at] if label in tally.bins else 0
            if count:
                bars.append(HistogramBar(at, label, base / most, (base + count) / most, count))
                base += count
    return bars, most


def timeline(verdict: Verdict) -> Timeline | None:
    """The timeline of a clip's verdict; ``None`` where there is none to draw."""
    timed = [(face, face.time_s) for face in verdict.faces if face.time_s is not None]
    if verdict.kind != "clip" or not timed:
        return None
    end = max(verdict.duration_s or 0.0, max(time for _, time in timed)) or 1.0
    times = sorted({time for _, time in timed})
    steps = sorted(b - a for a, b in itertools.pairwise(times))
    gap = _GAP * steps[len(steps) // 2] / end if steps else 1.0
    dots: dict[int, list[Dot]] = {}
    for face, time in sorted(timed, key=lambda one: one[1]):
        dots.setdefault(face.person, []).append(Dot(time / end, face.p_fake))
    return Timeline(tuple(Line(who, tuple(dots[who]), gap) for who in sorted(dots)), end)
