"""Reports of pictures and clips, of a scan's verdicts, and of job folders."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.errors import OptionError
from mesoscope.models.file import find_model
from mesoscope.report.case.contents import model_path, settings_of
from mesoscope.report.case.items import VerdictSpool, read_verdicts
from mesoscope.report.case.make import make_report, report_judged, report_read, with_maps
from mesoscope.scan.folder import is_job, open_ledger
from mesoscope.scan.local import scan
from mesoscope.scan.sinks import parsed
from mesoscope.types import DetectOptions, Verdict

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from mesoscope.detection.detector import Detector
    from mesoscope.report.case.make import ReportOptions, WrittenReport
    from mesoscope.scan.ledger_reader import LedgerReader

__all__ = ["job_among", "report_job", "report_sources"]

_VERDICTS = (".jsonl", ".ndjson")


def job_among(sources: Sequence[str], out: Path) -> Path | None:
    """The job folder among the sources of a report, if one is; misses what cannot be.

    Args:
        sources: Pictures, clips, folders of them, files of verdicts, or one job folder.
        out: The report's file.

    Raises:
        OptionError: A job folder and something else, or the report would replace a source.
    """
    for source in map(Path, sources):
        if out.exists() and source.exists() and out.samefile(source):
            raise OptionError(f"{out}: this is a file to report on: choose another name")
    jobs = [Path(source) for source in sources if is_job(Path(source))]
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
    """Judge pictures and clips, read the verdicts of scans, and report all of them.

    Verdicts of ``.jsonl`` files stay as they are; those that are shown are judged once more for
    their evidence maps.

    Args:
        sources: Pictures, clips, folders of them, and ``.jsonl`` files that scans have written.
        out: The file to write, ``.html`` or ``.pdf``.
        detector: Judges pictures and clips.
        model: The detector's model, by name or file.
        options: What the report says and shows.
        watch: Called after each verdict.

    Returns:
        What was written, and how many of the pictures and clips could not be read.

    Raises:
        OptionError: A file of verdicts that is none, or a report that cannot be.
        MissingExtra: The ``report`` extra is not installed.
        OutputError: It cannot be written.
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
            told = None if watch is None else (lambda verdict, _summary: watch(verdict))
            failed = scan(detector, media, [items], watch=told).failed
        write = report_read if read else report_judged
        return write(items, out, detector, model=model, options=options), failed


def report_job(
    folder: Path,
    out: Path,
    *,
    ledger: str | None = None,
    model: str | os.PathLike[str],
    options: ReportOptions | None = None,
) -> tuple[WrittenReport, int]:
    """Report a job folder, by the settings that the job was begun with.

    Args:
        folder: The job folder.
        out: The file to write, ``.html`` or ``.pdf``.
        ledger: URL of its database, where the folder does not hold it.
        model: A model that the job may name, besides those that are shipped.
        options: What the report says and shows.

    Returns:
        What was written, and how many files of the job are not judged yet.

    Raises:
        JobError: No job folder, or a damaged one.
        OptionError: A report that cannot be.
        MissingExtra: The ``report`` extra is not installed.
        OutputError: It cannot be written.
    """
    with contextlib.closing(open_ledger(folder, ledger)) as kept:
        left = kept.open_count()
        return _report_ledger(kept, out, find_model(model), options), left


def _report_ledger(
    ledger: LedgerReader, out: Path, at_hand: Path, options: ReportOptions | None
) -> WrittenReport:
    facts = ledger.facts()
    begun = facts.get("settings")
    asked = DetectOptions.of_settings(begun if isinstance(begun, dict) else {})
    path = model_path(str(facts.get("model")), at_hand=at_hand)
    judge = None if path is None else with_maps(path, asked)
    thresholds = None if judge is None else judge.thresholds
    with VerdictSpool() as items:
        for row in ledger.results():
            parsed(row)
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
