"""Scan on this machine: existing folders, and files that arrive in them."""

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
    from mesoscope.scan.plan import PlanSummary
    from mesoscope.scan.sinks import Sink
    from mesoscope.types import Verdict


@dataclass(slots=True)
class ScanSummary:
    """Counts of a scan so far.

    Attributes:
        labels: Verdicts by label; ``none`` for sources without a score.
        failed: Sources that were not readable.
        skipped: Other files than pictures in folders.
        again: Further paths to scanned folders, such as links.
        elapsed_s: Seconds since the start.
    """

    labels: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    skipped: int = 0
    again: int = 0
    elapsed_s: float = 0.0

    @property
    def total(self) -> int:
        """Number of verdicts."""
        return self.labels.total()


def scan(
    detector: Detector,
    paths: Iterable[str],
    sinks: Sequence[Sink],
    *,
    watch: Callable[[Verdict, ScanSummary], None] | None = None,
) -> ScanSummary:
    """Judge all pictures under some paths and write each verdict immediately.

    Memory does not grow with the number of pictures.

    Args:
        detector: The detector.
        paths: Files and folders.
        sinks: Receive every verdict.
        watch: Called after each verdict.

    Returns:
        The counts.

    Raises:
        OutputError: A sink is not writable; earlier lines are complete.
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


REST = 4  # pause after a poll, relative to its duration: at most a fifth of a core
# Suffixes of unfinished downloads and copies.
UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", ".temp", ".filepart")


class SettledFiles:
    """Recognises complete files: those unchanged for a while.

    Args:
        settle_s: Time without a change of size and time.
        clock: Monotonic clock in seconds.
    """

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle_s = settle_s
        self._clock = clock
        self._before: dict[str, tuple[int, int, float]] = {}
        self._now: dict[str, tuple[int, int, float]] = {}

    def __call__(self, found: Listed) -> bool:
        """Whether a new or changed file may be scanned."""
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
        """Forget files that are scanned or missing; return the number still waited for."""
        self._before, self._now = self._now, {}
        return len(self._before)


def watch(
    job: Job,
    paths: Sequence[str],
    *,
    settle_s: float = 2.0,
    every_s: float = 1.0,
    looked: Callable[[PlanSummary, int], None] | None = None,
    looks: int | None = None,
) -> None:
    """Poll folders, and scan new and changed files, until interrupted.

    Polling works on network drives and across restarts, unlike notifications of the system, and the
    ledger knows earlier files.

    Args:
        job: The job.
        paths: Paths from :func:`mesoscope.scan.plan.without_nested`.
        settle_s: A file is scanned once its size and time are unchanged for this long.
        every_s: Pause between polls; longer if polls are slow.
        looked: Called after each poll with its result and the number of files waited for.
        looks: Number of polls; ``None`` for no end.

    Raises:
        OutputError: The ledger is not writable.
    """
    settled = SettledFiles(settle_s)
    number = 0
    while looks is None or number < looks:
        started = time.monotonic()
        # Files that could not be opened are retried at the start only, not in every poll.
        planned = job.plan(paths, ready=settled, retry=number == 0)
        took_s = time.monotonic() - started
        waiting = settled.next_look()
        job.run(wait=False)  # files of another scan must not delay the next poll
        if looked is not None:
            looked(planned, waiting)
        number += 1
        if looks is None or number < looks:
            time.sleep(max(every_s, REST * took_s))


def refuse_missing(paths: Sequence[str]) -> None:
    """Check that the folders to watch exist.

    Raises:
        OptionError: A folder is missing.
    """
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112
            raise OptionError(f"{path}: no folder to watch: check the path")
