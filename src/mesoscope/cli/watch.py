"""``mesoscope watch``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from time import perf_counter

import click

from mesoscope.cli import judging, options
from mesoscope.cli.echo import echo
from mesoscope.cli.job import Screen, by_label, stopped_by_signals
from mesoscope.cli.job import ledger as ledger_option
from mesoscope.cli.main import DONE
from mesoscope.errors import OptionError


@click.command("watch")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER…", type=click.Path())
@judging.judging
@click.option(
    "--out", required=True, metavar="FOLDER/", type=click.Path(path_type=Path, file_okay=False),
    help="The job folder; one that is there already is gone on with.",
)  # fmt: skip
@ledger_option
@click.option(
    "--settle", type=click.FloatRange(0), default=2.0, show_default=True, metavar="SECONDS",
    help="Scan a file once its size and time have stayed for so long.",
)  # fmt: skip
@click.option(
    "--pause", type=click.FloatRange(0.01), default=1.0, show_default=True, metavar="SECONDS",
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
    from mesoscope.scan.folder import begin_or_resume
    from mesoscope.scan.job import Job
    from mesoscope.scan.plan import outermost
    from mesoscope.scan.watching import missing, watch
    from mesoscope.scan.workers import Worker

    for folder in missing(folders):
        raise OptionError(f"{folder}: no folder to watch: check the path")
    keep_heap(options.KEPT_BYTES)
    detector = judging.detector(jobs=jobs)
    started = perf_counter()
    kept = begin_or_resume(out, detector, resume=None, url=ledger)
    show = sys.stdout.isatty() if table is None else table
    screen = Screen("table" if show else "json")
    with contextlib.closing(kept), stopped_by_signals():
        echo(f"watching {', '.join(folders)}; Ctrl-C ends it", err=True)
        with contextlib.suppress(KeyboardInterrupt), Worker(kept, out) as worker:
            job = Job(detector, kept, worker, out, told=screen.told)
            watch(job, outermost(folders), settle_s=settle, every_s=pause)
        counts = kept.counts()
    echo(
        f"{screen.judged} judged in {perf_counter() - started:.0f} s; "
        f"{out} holds {counts.labels.total()}: {by_label(counts.labels) or 'none judged'}",
        err=True,
    )
    return DONE
