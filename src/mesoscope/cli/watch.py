"""``mesoscope watch``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mesoscope.cli import judging, options
from mesoscope.cli.echo import echo
from mesoscope.cli.job import Screen, by_label, stopped_by_signals
from mesoscope.cli.job import ledger as ledger_option
from mesoscope.cli.main import DONE
from mesoscope.cli.numbers import FiniteRange
from mesoscope.scan.progress import JobInterrupted


@click.command("watch")
@click.argument(
    "folders", nargs=-1, required=True, metavar="FOLDER…", type=click.Path(readable=False)
)
@judging.judging
@click.option(
    "--out", required=True, metavar="FOLDER/", type=click.Path(path_type=Path, file_okay=False),
    help="The job folder; one that is there already is gone on with.",
)  # fmt: skip
@ledger_option
@click.option(
    "--settle", type=FiniteRange(0, 86_400), default=2.0, show_default=True, metavar="SECONDS",
    help="Scan a file once its size and time have stayed for so long.",
)  # fmt: skip
@click.option(
    "--pause", type=FiniteRange(0.01, 86_400), default=1.0, show_default=True, metavar="SECONDS",
    help="Between two looks into the folders.",
)  # fmt: skip
@click.option(
    "--table/--no-table",
    default=None,
    help="Print a table; otherwise JSON lines.  [default: on a terminal]",
)
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
    """Scan what arrives in folders, until stopped.

    A file is scanned when it is written to the end, and again when it changes. What the job folder
    holds already is not scanned again. Ctrl-C or SIGTERM ends it with exit code 0.
    """
    from mesoscope.runtime.allocator import keep_heap
    from mesoscope.scan.into_job import watch_into_job
    from mesoscope.scan.local import refuse_missing

    refuse_missing(folders)  # before the model is opened
    keep_heap(options.KEPT_BYTES)
    detector = judging.detector(jobs=jobs)
    show = sys.stdout.isatty() if table is None else table
    begins = f"watching {', '.join(folders)}; Ctrl-C ends it"
    with stopped_by_signals():
        try:
            screen = Screen("table" if show else "json", begins=begins)
            done = watch_into_job(
                detector, folders, out,
                ledger=ledger, settle_s=settle, every_s=pause, watcher=screen,
            )  # fmt: skip
        except JobInterrupted as stopped:
            done = stopped.summary
    echo(
        f"{done.judged} judged in {done.elapsed_s:.0f} s; {out} holds "
        f"{done.counts.labels.total()}: {by_label(done.counts.labels) or 'none judged'}",
        err=True,
    )
    return DONE
