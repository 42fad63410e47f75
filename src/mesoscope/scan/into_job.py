"""Scan into a job folder, new or resumed: once, or continuously."""

from __future__ import annotations

import contextlib
from time import perf_counter
from typing import TYPE_CHECKING

from mesoscope.scan.folder import begin_or_resume
from mesoscope.scan.job import Job
from mesoscope.scan.local import refuse_missing, watch
from mesoscope.scan.plan import without_nested
from mesoscope.scan.progress import JobInterrupted, JobSummary, JobWatcher
from mesoscope.scan.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mesoscope.detection.detector import Detector
    from mesoscope.scan.ledger import Ledger
    from mesoscope.scan.plan import PlanSummary
    from mesoscope.types import Verdict

__all__ = ["JobInterrupted", "JobSummary", "JobWatcher", "scan_into_job", "watch_into_job"]


def scan_into_job(
    detector: Detector,
    paths: Sequence[str],
    folder: Path,
    *,
    ledger: str | None = None,
    resume: bool | None = None,
    watcher: JobWatcher | None = None,
) -> JobSummary:
    """Judge pictures, clips and folders of them, and store the verdicts in a job folder.

    Unchanged files of the job are not judged again.

    Args:
        detector: The detector.
        paths: Files and folders.
        folder: The job folder.
        ledger: URL of a database for the ledger, in place of a file in the folder.
        resume: Whether the job must exist; ``None`` accepts both.
        watcher: Receives progress.

    Returns:
        The counts, when the scan is complete.

    Raises:
        JobInterrupted: Ctrl-C was pressed; finished verdicts are kept.
        JobError: The job exists or not, against ``resume``; or it was begun with another model or
            other options.
        OutputError: The folder or the ledger is not writable.
    """
    seen = watcher or JobWatcher()

    def work(job: Job, kept: Ledger) -> PlanSummary | None:
        planned = job.plan(without_nested(paths), listed=seen.listed)
        seen.planned(kept.open_count())
        job.run(waits=seen.waiting)
        return planned

    return _run(detector, folder, ledger, resume, seen, work)


def watch_into_job(
    detector: Detector,
    folders: Sequence[str],
    folder: Path,
    *,
    ledger: str | None = None,
    settle_s: float = 2.0,
    every_s: float = 1.0,
    looks: int | None = None,
    watcher: JobWatcher | None = None,
) -> JobSummary:
    """Judge files that arrive in folders until interrupted; store the verdicts in a job folder.

    Args:
        detector: The detector.
        folders: Folders to poll.
        folder: The job folder; an existing job is resumed.
        ledger: URL of a database for the ledger, in place of a file in the folder.
        settle_s: A file is judged once its size and time are unchanged for this long.
        every_s: Pause between polls; longer if polls are slow.
        looks: Number of polls; ``None`` for no end.
        watcher: Receives progress.

    Returns:
        The counts, after the given number of polls.

    Raises:
        JobInterrupted: Ctrl-C was pressed, which is the normal end without ``looks``.
        OptionError: A folder is missing.
        JobError: The job was begun with another model or other options.
        OutputError: The folder or the ledger is not writable.
    """
    refuse_missing(folders)

    def work(job: Job, _kept: Ledger) -> None:
        watch(job, without_nested(folders), settle_s=settle_s, every_s=every_s, looks=looks)

    return _run(detector, folder, ledger, None, watcher or JobWatcher(), work)


def _run(
    detector: Detector,
    folder: Path,
    url: str | None,
    resume: bool | None,
    watcher: JobWatcher,
    work: Callable[[Job, Ledger], PlanSummary | None],
) -> JobSummary:
    """Open the job, run the work and count; an interruption carries the counts."""
    started, judged = perf_counter(), 0

    def on_verdict(verdict: Verdict) -> None:
        nonlocal judged
        judged += 1
        watcher.judged(verdict)

    planned: PlanSummary | None = None
    whole = False
    with contextlib.closing(begin_or_resume(folder, detector, resume=resume, url=url)) as kept:
        with contextlib.suppress(KeyboardInterrupt), Worker(kept, folder) as worker:
            watcher.opened()
            planned = work(Job(detector, kept, worker, folder, on_verdict=on_verdict), kept)
            whole = True
        summary = JobSummary(
            folder,
            kept.name,
            kept.counts(),
            judged,
            perf_counter() - started,
            skipped=0 if planned is None else planned.skipped,
            again=0 if planned is None else planned.again,
        )
    if not whole:
        raise JobInterrupted(summary)
    return summary
