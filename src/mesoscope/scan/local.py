"""Scans on this machine: of folders as they are, and of what arrives in them."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from mesoscope.errors import OptionError
from mesoscope.media.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mesoscope.detection.detector import Detector
    from mesoscope.media.walk import Listed
    from mesoscope.scan.job import Job
    from mesoscope.scan.plan import Planned
    from mesoscope.scan.sinks import Sink
    from mesoscope.types import Verdict


@dataclass(slots=True)
class ScanSummary:
    """What a scan has come to so far.

    Attributes:
        labels: Verdicts by label; ``none`` where nothing could be judged.
        failed: Sources that could not be read.
        skipped: Files in folders that are not pictures.
        again: Further ways to folders that were scanned, such as links.
        elapsed_s: Since the start.
    """

    labels: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    skipped: int = 0
    again: int = 0
    elapsed_s: float = 0.0

    @property
    def total(self) -> int:
        """Verdicts given."""
        return self.labels.total()


def scan(
    detector: Detector,
    paths: Iterable[str],
    sinks: Sequence[Sink],
    *,
    watch: Callable[[Verdict, ScanSummary], None] | None = None,
) -> ScanSummary:
    """Judge all pictures under some paths and write each verdict as soon as it is known.

    Memory does not grow with the number of pictures.

    Args:
        detector: Judges.
        paths: Files and folders.
        sinks: Every verdict goes to each.
        watch: Called after each verdict.

    Returns:
        The counts.

    Raises:
        OutputError: A sink could not be written; the lines before are whole.
    """
    started = perf_counter()
    summary = ScanSummary()

    def count_skipped(_path: str) -> None:
        summary.skipped += 1

    def count_again(_path: str) -> None:
        summary.again += 1

    found = walk(paths, skipped=count_skipped, again=count_again)
    for verdict in detector.check_many(found, keep_going=True):
        for sink in sinks:
            sink.write(verdict)
        summary.labels[verdict.label or "none"] += 1
        summary.failed += verdict.error is not None
        summary.elapsed_s = perf_counter() - started
        if watch is not None:
            watch(verdict, summary)
    return summary


REST = 4  # times as long as a look took, nothing is looked at: a fifth of a core at most
# What browsers and copying programs call a file that is still on its way.
UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", ".temp", ".filepart")


class Settled:
    """Tells which files are written to the end: those that have stayed the same for a while.

    Args:
        settle_s: For so long size and time of a file must stay.
        clock: Seconds that never go back.
    """

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle_s = settle_s
        self._clock = clock
        self._before: dict[str, tuple[int, int, float]] = {}
        self._now: dict[str, tuple[int, int, float]] = {}

    def __call__(self, found: Listed) -> bool:
        """Whether a file that is new or has changed may be scanned."""
        if found.path.lower().endswith(UNFINISHED):
            return False
        size, mtime, since = self._before.get(found.path, (-1, -1, 0.0))
        if (size, mtime) != (found.size_bytes, found.mtime_ns):
            since = self._clock()
        if self._clock() - since >= self._settle_s:
            return True
        self._now[found.path] = (found.size_bytes, found.mtime_ns, since)
        return False

    def next_look(self) -> int:
        """Forget files that are scanned or gone; how many are still waited for."""
        self._before, self._now = self._now, {}
        return len(self._before)


def watch(
    job: Job,
    paths: Sequence[str],
    *,
    settle_s: float = 2.0,
    every_s: float = 1.0,
    looked: Callable[[Planned, int], None] | None = None,
    looks: int | None = None,
) -> None:
    """Look into folders again and again, and scan what has arrived or changed; until interrupted.

    Folders are looked through rather than the system asked for notices: that works on network
    drives and across restarts alike, and the ledger knows what was there.

    Args:
        job: Scans.
        paths: Of :func:`mesoscope.scan.plan.outermost`.
        settle_s: A file is scanned once its size and time have stayed for so long.
        every_s: Pause between looks; longer where a look takes long.
        looked: Called after each look with what it came to and how many files are waited for.
        looks: So many; ``None`` for ever.

    Raises:
        OutputError: The ledger cannot be written.
    """
    settled = Settled(settle_s)
    number = 0
    while looks is None or number < looks:
        started = time.monotonic()
        # What could not be opened is tried again when one starts to watch, not every second.
        planned = job.plan(paths, ready=settled, retry=number == 0)
        took_s = time.monotonic() - started
        waiting = settled.next_look()
        job.run(wait=False)  # files that another scan is at must not keep us from looking
        if looked is not None:
            looked(planned, waiting)
        number += 1
        if looks is None or number < looks:
            time.sleep(max(every_s, REST * took_s))


def refuse_missing(paths: Sequence[str]) -> None:
    """Miss what cannot be watched.

    Raises:
        OptionError: There is no such folder.
    """
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112
            raise OptionError(f"{path}: no folder to watch: check the path")
