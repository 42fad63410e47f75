"""Reports of pictures, clips, verdict files and job folders."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.errors import OptionError
from mesoscope.models.file import find_model
from mesoscope.report.case.contents import model_path, settings_of
from mesoscope.report.case.items import VerdictSpool, read_verdicts
from mesoscope.report.case.make import make_report, report_judged, report_read, with_maps
from mesoscope.scan.local import scan
from mesoscope.scan.results import is_job, open_results
from mesoscope.scan.sinks import parse_verdict
from mesoscope.types import DetectOptions, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesoscope.detection.detector import Detector
    from mesoscope.report.case.make import ReportOptions, WrittenReport
    from mesoscope.scan.results import JobResults

__all__ = ["job_among", "report_job", "report_sources"]

_VERDICTS = (".jsonl", ".ndjson")


def job_among(sources: Sequence[str], out: Path) -> str | None:
    """Return the job among a report's sources, a folder or a URL, if there is one.

    Args:
        sources: Pictures, clips, folders of them, verdict files, or one job folder.
        out: The report's file.

    Raises:
        OptionError: A job folder is mixed with other sources, or the report would replace a source.
    """
    for source in map(Path, sources):
        if out.exists() and source.exists() and out.samefile(source):
            raise OptionError(f"{out}: this is a file to report on: choose another name")
    jobs = [source for source in sources if is_job(source)]
    if jobs and len(sources) > 1:
        raise OptionError(f"{jobs[0]}: a job folder is reported alone: give no other source")
    return jobs[0] if jobs else None


def report_sources(
    sources: Sequence[str],
    out: Path,
    detector: Detector,
    *,
    model: str | os.PathLike[str],
    options: ReportOptions | None = None,
    watch: Callable[[Verdict], None] | None = None,
) -> tuple[WrittenReport, int]:
    """Report pictures and clips, judged now, and the verdicts of earlier scans.

    Verdicts of ``.jsonl`` files are kept; the ones shown are judged again for their evidence maps.

    Args:
        sources: Pictures, clips, folders of them, and ``.jsonl`` files of scans.
        out: The file to write, ``.html`` or ``.pdf``.
        detector: Detector for pictures and clips.
        model: The detector's model, by name or file.
        options: Options of the report.
        watch: Called after each verdict.

    Returns:
        The written report, and the number of unreadable pictures and clips.

    Raises:
        OptionError: A verdict file or an option of the report is not valid.
        MissingExtra: The ``report`` extra is not installed.
        OutputError: The report is not writable.
    """
    read = [source for source in sources if Path(source).suffix.lower() in _VERDICTS]
    media = [source for source in sources if source not in read]
    failed = 0
    with VerdictSpool() as items:
        for source in read:
            for verdict in read_verdicts(Path(source)):
                items.add(verdict)
                if watch is not None:
                    watch(verdict)
        if media:
            on_verdict = None if watch is None else (lambda verdict, _summary: watch(verdict))
            failed = scan(detector, media, [items], watch=on_verdict).failed
        write = report_read if read else report_judged
        return write(items, out, detector, model=model, options=options), failed


def report_job(
    job: str | os.PathLike[str],
    out: Path,
    *,
    ledger: str | None = None,
    model: str | os.PathLike[str],
    options: ReportOptions | None = None,
) -> tuple[WrittenReport, int]:
    """Report a job, with the job's settings.

    Args:
        job: The job folder, or the URL of a job in an object store.
        out: The file to write, ``.html`` or ``.pdf``.
        ledger: URL of its database, if the folder does not hold it.
        model: A further model that the job may use, besides the shipped ones.
        options: Options of the report.

    Returns:
        The written report, and the number of files without a verdict.

    Raises:
        JobError: The folder is no job, or is damaged.
        OptionError: An option of the report is not valid.
        MissingExtra: The ``report`` extra is not installed.
        OutputError: The report is not writable.
    """
    with contextlib.closing(open_results(os.fspath(job), ledger)) as kept:
        left = kept.open_count()
        return _report_results(kept, out, find_model(model), options), left


def _report_results(
    job: JobResults, out: Path, at_hand: Path, options: ReportOptions | None
) -> WrittenReport:
    facts = job.facts()
    begun = facts.get("settings")
    asked = DetectOptions.of_settings(begun if isinstance(begun, dict) else {})
    path = model_path(str(facts.get("model")), at_hand=at_hand)
    judge = None if path is None else with_maps(path, asked)
    thresholds = None if judge is None else judge.thresholds
    with VerdictSpool() as items:
        for row in job.results():
            parse_verdict(row)
            judged = None if row.sha256 is None else row.sha256.hex()
            items.add(Verdict.from_json(row.verdict), judged_sha256=judged)
        return make_report(
            items,
            out,
            options=options,
            judge=judge,
            settings=settings_of(asked, thresholds),
            thresholds=thresholds,
            model=at_hand,
        )
