"""Items of a case report: verdicts and file hashes, spooled to disk, counted, charted."""

from __future__ import annotations

import contextlib
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
from mesoscope.files.digest import FileHash, hash_file
from mesoscope.media.walk import open_without_waiting
from mesoscope.types import Verdict
from mesoscope.types.label import ANSWERS, LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from typing_extensions import Self

    from mesoscope.types import Answer


__all__ = ["ReportItem", "VerdictSpool", "hash_source", "read_verdicts"]


_LINE_MAX = 64 << 20  # characters: verdicts on long clips have a few megabytes


@dataclass(frozen=True, slots=True)
class ReportItem:
    """One source of a report.

    Attributes:
        verdict: Its verdict.
        file: Its hash; ``None`` without a file, as for ``<array>``.
        earlier: Hash when it was judged, if known and different.
    """

    verdict: Verdict
    file: FileHash | None
    earlier: str | None = None


def hash_source(path: str) -> FileHash:
    """Hash a file.

    Raises:
        SourceMissing: The file is missing.
        SourceError: The file is not readable, or is a folder, pipe or device.
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceError(f"{path}: not a regular file, so it has no hash")
            return hash_file(file)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceMissing(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        why = cause(error)
        raise SourceError(f"{path}: cannot be read: {why}") from error


class VerdictSpool:
    """Items in a temporary file, so reports of any size need constant memory.

    Also a sink for scans: :meth:`write` takes a verdict and hashes its file at once, before it can
    change.
    """

    def __init__(self) -> None:
        with _temporary_file():
            self._file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - closed on exit
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def write(self, verdict: Verdict) -> None:
        """Append a verdict."""
        self.add(verdict)

    def add(self, verdict: Verdict, *, judged_sha256: str | None = None) -> None:
        """Append a verdict, with the hash of the judged file, if known.

        Raises:
            OutputError: The disk of temporary files is full.
        """
        try:
            found: FileHash | None = hash_source(verdict.source)
        except SourceError:
            found = None
        differs = judged_sha256 is not None and found is not None and found.sha256 != judged_sha256
        row = [verdict.to_dict(), found, judged_sha256 if differs or found is None else None]
        with _temporary_file():
            self._file.seek(0, os.SEEK_END)
            self._file.write(json.dumps(row, separators=(",", ":")) + "\n")
        self._count += 1

    def __iter__(self) -> Iterator[ReportItem]:
        """Iterate over all items in order; repeatable, one reader at a time.

        Raises:
            OutputError: The disk of temporary files is full.
        """
        with _temporary_file():
            self._file.seek(0)  # flushes
        while line := self._file.readline():
            verdict, found, earlier = json.loads(line)
            yield ReportItem(
                Verdict.from_json(json.dumps(verdict)),
                None if found is None else FileHash(*found),
                earlier,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the rest need not be on disk any more
            self._file.close()


@contextlib.contextmanager
def _temporary_file() -> Iterator[None]:
    """Convert operating system errors to one that names the folder of temporary files."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the report's temporary file: {cause(error)}: free some space in "
            f"{tempfile.gettempdir()}"
        ) from error


def read_verdicts(path: Path) -> Iterable[Verdict]:
    """Read the verdicts of a ``.jsonl`` file written by a scan.

    Raises:
        OptionError: The file is not readable, or a line is no verdict; the message names the line.
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
    """Check the types of a verdict's fields, as pages are made of them.

    Raises:
        OptionError: A value has a wrong type.
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
SHOWN = sorted(ANSWERS, key=lambda answer: -_RANK.get(answer, 0))  # in display order


@dataclass(slots=True)
class Tally:
    """Counts of a report's items.

    Attributes:
        labels: Items by answer.
        kinds: Items by kind, ``image`` or ``clip``.
        bins: ``{label: counts}`` of ``p_fake`` in :data:`BINS` equal bins; the last includes 1.
        models: Verdicts by model.
        pictured: Indices of the items with evidence, the most suspicious first.
    """

    labels: Counter[Answer] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    bins: dict[Answer, list[int]] = field(default_factory=dict)
    models: Counter[str] = field(default_factory=Counter)
    pictured: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Number of items."""
        return self.labels.total()

    @property
    def scored(self) -> int:
        """Number of items with a score."""
        return sum(sum(counts) for counts in self.bins.values())


def tally(items: Iterable[ReportItem], *, pictures: int) -> Tally:
    """Count items and choose those with evidence.

    The order is by suspicion: fakes, then undecided ones, then the rest; by falling score within
    each. Unreadable items are never chosen.

    Args:
        items: All items.
        pictures: Largest number of items with evidence.
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


_GAP = 1.6  # times the usual frame interval, as in draw/timeline.py


class HistogramBar(NamedTuple):
    """A segment of a stacked bar: bin, label, lower and upper end (0 to 1), count."""

    bin: int
    label: str
    low: float
    high: float
    n: int


class TimelinePoint(NamedTuple):
    """A face of a clip: time and ``p_fake``, both scaled to 0..1."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class PersonLine:
    """Scores of one person of a clip over time.

    Attributes:
        person: Number of the person, from 0.
        dots: Points in order of time.
        gap: Longer intervals are times without the person.
    """

    person: int
    dots: tuple[TimelinePoint, ...]
    gap: float

    @property
    def runs(self) -> list[list[TimelinePoint]]:
        """Split the points at gaps, into runs of frames that show the person."""
        found: list[list[TimelinePoint]] = []
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
        lines: One line per person.
        end_s: Time of the right end; the left end is 0.
    """

    lines: tuple[PersonLine, ...]
    end_s: float


def distribution(tally: Tally) -> tuple[list[HistogramBar], int]:
    """Return stacked bars of ``p_fake``, and the count of the full height; empty without scores."""
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
    """Return the timeline of a clip's verdict; ``None`` if there is none."""
    timed = [(face, face.time_s) for face in verdict.faces if face.time_s is not None]
    if verdict.kind != "clip" or not timed:
        return None
    end = max(verdict.duration_s or 0.0, max(time for _, time in timed)) or 1.0
    times = sorted({time for _, time in timed})
    steps = sorted(b - a for a, b in itertools.pairwise(times))
    gap = _GAP * steps[len(steps) // 2] / end if steps else 1.0
    dots: dict[int, list[TimelinePoint]] = {}
    for face, time in sorted(timed, key=lambda one: one[1]):
        dots.setdefault(face.person, []).append(TimelinePoint(time / end, face.p_fake))
    return Timeline(tuple(PersonLine(who, tuple(dots[who]), gap) for who in sorted(dots)), end)
