"""``mesoscope scan``."""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import detection, options, scan_on
from mesoscope.cli import report as report_command
from mesoscope.cli.job import again_text, by_label, job_folder, scan_job, skipped_text
from mesoscope.cli.main import ALARM, DONE, INPUT_FAILED, INTERRUPTED
from mesoscope.cli.printing import HEADER, echo, row
from mesoscope.cli.progress import bar
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tqdm import tqdm

    from mesoscope.detection.detector import Detector
    from mesoscope.report.case.items import VerdictSpool
    from mesoscope.scan.local import ScanSummary
    from mesoscope.scan.sinks import Sink
    from mesoscope.types import Verdict


@click.command("scan")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=click.Path(readable=False))
@detection.detection_options()
@click.option(
    "--out",
    metavar="FILE|FOLDER/",
    help="Write verdicts to FILE.jsonl or FILE.csv, or to a job folder that can be resumed; - "
    "prints JSON lines.",
)
@click.option("--resume", is_flag=True, help="Resume the job in --out.")
@scan_on.engine
@scan_on.address
@scan_on.shards
@scan_on.http
@scan_on.task_files
@scan_on.gpus
@options.ledger
@options.table
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, also on a terminal.")
@click.option(
    "--report", metavar="FILE", type=click.Path(path_type=Path),
    help="Also write a report with evidence: .html, or .pdf for a few files.",
)  # fmt: skip
@options.sign
@options.jobs
@options.fail_on
@options.batch_size
def command(
    paths: tuple[str, ...],
    out: str | None,
    resume: bool,
    engine: str,
    address: str | None,
    shards: bool,
    http: bool,
    task_files: int | None,
    gpus: int | None,
    ledger: str | None,
    table: bool | None,
    as_json: bool,
    report: Path | None,
    sign: Path | None,
    jobs: int,
    fail_on: str | None,
    batch_size: int,
) -> int:
    """Judge pictures, clips and folders of them.

    Verdicts are written as they are made. p_fake is the calibrated probability that a face is
    forged: higher = more fake. Exit codes: 0 done, 1 some input failed, 2 usage, 3 model, 10 with
    --fail-on.
    """
    from mesoscope.runtime.allocator import keep_heap

    keep_heap(options.KEPT_BYTES)
    if engine != "local":
        scan_on.refuse_options(out, report, ledger=ledger, lines=as_json or bool(table))
        return scan_on.scan_on_ray(
            paths, str(out), address=address, shards=shards, http=http, task_files=task_files,
            gpus=gpus, resume=resume, jobs=jobs, batch_size=batch_size, fail_on=fail_on,
        )  # fmt: skip
    scan_on.refuse_for_local(paths, out, address, task_files, gpus, shards=shards, http=http)
    out, table = _outputs(out, table, as_json=as_json)
    folder = job_folder(out)
    if folder is None and (resume or ledger):
        raise OptionError("--resume and --ledger need a job folder: name one, as in --out job/")
    if sign is not None and report is None:
        raise OptionError("--sign needs a report: name one with --report")
    model = detection.model()
    with contextlib.ExitStack() as stack:
        report_options = None if report is None else stack.enter_context(
            report_command.signed_report_options(report, sign=sign)
        )  # fmt: skip
        detector = detection.build(detection.spec(jobs=jobs, batch_size=batch_size))
        if folder is not None:
            code = scan_job(
                detector, paths, folder,
                url=ledger, resume=resume, fail_on=fail_on,
                lines="json" if as_json else "table" if table else None,
            )  # fmt: skip
            if report is not None and code != INTERRUPTED:
                from mesoscope.scan.reporting import report_job

                written, _ = report_job(
                    folder, report, ledger=ledger, model=model, options=report_options
                )
                report_command.print_written(written)
            return code
        file = Path(out) if out else None
        spool = None if report is None else stack.enter_context(_new_spool())
        summary, complete = _run(detector, paths, file, table, spool, as_json=as_json)
        echo(_summary(summary, file), err=True)
        if report is not None and spool is not None and complete:
            from mesoscope.report.case.make import report_judged

            report_command.print_written(
                report_judged(spool, report, detector, model=model, options=report_options)
            )
        elif report is not None:
            echo(f"interrupted, so {report} was not written", err=True)
    if not complete:
        return INTERRUPTED
    if fail_on and summary.labels[fail_on]:
        return ALARM
    return INPUT_FAILED if summary.failed else DONE


def _new_spool() -> VerdictSpool:
    from mesoscope.report.case.items import VerdictSpool

    return VerdictSpool()


def _outputs(
    out: str | None, table: bool | None, *, as_json: bool
) -> tuple[str | None, bool | None]:
    """Return ``--out`` without ``-``, which is standard output, and whether to print a table."""
    if as_json and table:
        raise OptionError("--json and --table exclude each other: give one of them")
    return (None if out == "-" else out), (False if as_json or out == "-" else table)


def _run(
    detector: Detector,
    paths: Sequence[str],
    out: Path | None,
    table: bool | None,
    spool: VerdictSpool | None,
    *,
    as_json: bool,
) -> tuple[ScanSummary, bool]:
    """Scan into the sinks; return the summary, and ``False`` if the scan was interrupted."""
    from mesoscope.scan.local import ScanSummary, scan
    from mesoscope.scan.sinks import JsonLines, open_sink

    show_table = sys.stdout.isatty() if table is None else table
    latest = ScanSummary()
    with contextlib.ExitStack() as stack:
        sinks: list[Sink] = []
        if out:
            sinks.append(open_sink(out))
            stack.enter_context(sinks[0])
        if spool is not None:
            sinks.append(spool)
        if as_json or not (show_table or out):
            sinks.append(stack.enter_context(JsonLines(sys.stdout.fileno())))
        if show_table:
            echo(HEADER)
        progress = stack.enter_context(_bar(paths))

        def watch(verdict: Verdict, summary: ScanSummary) -> None:
            nonlocal latest
            latest = summary
            progress.update()
            if show_table:
                with progress.external_write_mode():
                    echo(row(verdict))

        try:
            return scan(detector, paths, sinks, watch=watch), True
        except KeyboardInterrupt:
            return latest, False


def _bar(paths: Sequence[str]) -> tqdm[None]:
    """Return a progress bar whose total is counted in the background."""
    from mesoscope.media.walk import walk

    progress = bar()
    if not progress.disable and any(Path(path).is_dir() for path in paths):

        def count() -> None:
            progress.total = sum(1 for _ in walk(paths))

        threading.Thread(target=count, daemon=True).start()
    return progress


def _summary(summary: ScanSummary, out: Path | None) -> str:
    rate = summary.total / summary.elapsed_s if summary.elapsed_s else 0.0
    time = f"{summary.elapsed_s:.1f} s ({rate:,.{0 if rate >= 10 else 1}f}/s)"
    noun = "file" if summary.total == 1 else "files"
    if not summary.total:
        skipped = f", only {skipped_text(summary.skipped)}" if summary.skipped else ""
        return f"no picture or clip was found{skipped}: check the path"
    parts = [f"{summary.total} {noun} in {time}: {by_label(summary.labels) or 'none'}"]
    if summary.failed:
        parts.append(f"{summary.failed} could not be read")
    if summary.skipped:
        parts.append(skipped_text(summary.skipped))
    if summary.again:
        parts.append(again_text(summary.again))
    if out:
        parts.append(f"written to {out}")
    return "; ".join(parts)
