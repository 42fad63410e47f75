"""``mesoscope watch``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mesoscope.cli import detection, options
from mesoscope.cli.job import Screen, by_label, stopped_by_signals
from mesoscope.cli.main import DONE
from mesoscope.cli.options import FiniteRange
from mesoscope.cli.printing import echo
from mesoscope.scan.progress import JobInterrupted


@click.command("watch")
@click.argument(
    "folders", nargs=-1, required=True, metavar="FOLDER…", type=click.Path(readable=False)
)
@detection.detection_options()
@click.option(
    "--out", required=True, metavar="FOLDER/", type=click.Path(path_type=Path, file_okay=False),
    help="The job folder; an existing one is continued.",
)  # fmt: skip
@options.ledger
@click.option(
    "--settle", type=FiniteRange(0, 86_400), default=2.0, show_default=True, metavar="SECONDS",
    help="Judge a file once its size and modification time have been stable for this long.",
)  # fmt: skip
@click.option(
    "--pause", type=FiniteRange(0.01, 86_400), default=1.0, show_default=True, metavar="SECONDS",
    help="Pause between two passes over the folders.",
)  # fmt: skip
@options.table
@options.jobs
def command(
    folders: tuple[str, ...],
    out: Path,
    ledger: str | None,
    settle: float,
    pause: float,
    table: bool | None,
    jobs: int,
) -> int:
    """Judge the files in folders, and every new one, until stopped.

    A file is judged when it is completely written, and again when it changes. Files whose verdicts
    are in the job folder are not judged again. Ctrl-C and SIGTERM end it with exit code 0.
    """
    from mesoscope.runtime.allocator import keep_heap
    from mesoscope.scan.into_job import watch_into_job
    from mesoscope.scan.local import refuse_missing

    refuse_missing(folders)  # before the model is opened
    keep_heap(options.KEPT_BYTES)
    detector = detection.build(detection.spec(jobs=jobs))
    show_table = sys.stdout.isatty() if table is None else table
    message = f"watching {', '.join(folders)}; Ctrl-C ends it"
    with stopped_by_signals():
        try:
            done = watch_into_job(
                detector, folders, out,
                ledger=ledger, settle_s=settle, every_s=pause,
                watcher=Screen("table" if show_table else "json", message=message),
            )  # fmt: skip
        except JobInterrupted as interrupt:
            done = interrupt.summary
    echo(
        f"{done.judged} judged in {done.elapsed_s:.0f} s; {out} holds "
        f"{done.counts.labels.total()}: {by_label(done.counts.labels) or 'none judged'}",
        err=True,
    )
    return DONE
