"""What ``scan`` and ``watch`` share over job folders: options, progress, the closing lines."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo
from mesoscope.cli.main import ALARM, DONE, INPUT_FAILED, INTERRUPTED
from mesoscope.cli.rows import HEADER, row
from mesoscope.types.label import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from tqdm import tqdm

    from mesoscope.detection.detector import Detector
    from mesoscope.scan.ledger import Ledger
    from mesoscope.scan.rows import Counts
    from mesoscope.types import Verdict

ledger = click.option(
    "--ledger",
    metavar="URL",
    help="Keep the job's ledger in this database, as in postgresql+psycopg://user@host/name.",
)


def job_folder(out: str | None) -> Path | None:
    """The job folder that ``--out`` names: it ends in a slash, is a folder, or has no suffix."""
    if out is None or not (out.endswith("/") or Path(out).is_dir() or not Path(out).suffix):
        return None
    return Path(out)


class Screen:
    """What one sees of a job: a bar on standard error, and a line a verdict where asked for.

    Args:
        lines: ``table``, ``json`` or ``None``: what goes to standard output.
    """

    def __init__(self, lines: str | None) -> None:
        self.judged = 0
        self.labels: Counter[str] = Counter()
        self.progress: tqdm[None] | None = None
        self._lines = lines
        if lines == "table":
            echo(HEADER)

    def told(self, verdict: Verdict) -> None:
        """Count a verdict and show it."""
        self.judged += 1
        self.labels[verdict.label or "none"] += 1
        if self._lines is not None:
            text = row(verdict) if self._lines == "table" else verdict.to_json()
            with contextlib.ExitStack() as stack:
                if self.progress is not None:
                    stack.enter_context(self.progress.external_write_mode())
                echo(text)
                sys.stdout.flush()
        if self.progress is not None:
            self.progress.set_postfix_str(by_label(self.labels), refresh=False)
            self.progress.update()


def scan_job(
    detector: Detector,
    paths: Sequence[str],
    folder: Path,
    *,
    url: str | None,
    resume: bool,
    lines: str | None,
    fail_on: str | None,
) -> int:
    """Scan into a job folder, or go on with one; gives back the exit code."""
    from mesoscope.scan.folder import begin_or_resume
    from mesoscope.scan.job import Job
    from mesoscope.scan.plan import outermost
    from mesoscope.scan.workers import Worker

    started = perf_counter()
    screen = Screen(lines)
    kept = begin_or_resume(folder, detector, resume=resume, url=url)
    whole = False
    with contextlib.closing(kept), stopped_by_signals():
        with contextlib.suppress(KeyboardInterrupt), Worker(kept, folder) as worker:
            job = Job(detector, kept, worker, folder, told=screen.told)
            with bar(what="listing", unit="files") as progress:
                planned = job.plan(outermost(paths), listed=progress.update)
            with bar(total=kept.open_count(), unit="files") as screen.progress:
                job.run(waits=_waiting(screen.progress))
            whole = True
        counts = kept.counts()
        took_s = perf_counter() - started
        echo(_closing(folder, counts, screen.judged, took_s), err=True)
        if whole:
            if planned.skipped:
                echo(skipped_text(planned.skipped), err=True)
            if planned.again:
                echo(again_text(planned.again), err=True)
            echo(f"write the verdicts: {export_line(folder)}", err=True)
        else:
            echo(f"{counts.left} left; go on with: {resume_line(kept)}", err=True)
    if not whole:
        return INTERRUPTED
    if fail_on and counts.labels[fail_on]:
        return ALARM
    return INPUT_FAILED if counts.failed else DONE


def _waiting(progress: tqdm[None]) -> Callable[[], None]:
    def waits() -> None:
        progress.set_postfix_str("another scan is at the last files", refresh=True)

    return waits


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within, SIGTERM ends the work as Ctrl-C does."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def by_label(labels: Counter[str]) -> str:
    """Counts in words: ``3 fake, 20 real``."""
    return ", ".join(f"{labels[name]} {name}" for name in ANSWERS if labels[name])


def _closing(folder: Path, counts: Counts, judged: int, took_s: float) -> str:
    files = counts.labels.total()
    noun = "file" if files == 1 else "files"
    parts = [f"{files} {noun} in {folder}: {by_label(counts.labels) or 'none judged'}"]
    if counts.failed:
        parts.append(f"{counts.failed} could not be read")
    if counts.duplicates:
        noun = "copy of another" if counts.duplicates == 1 else "copies of others"
        parts.append(f"{counts.duplicates} {noun}")
    if counts.states["removed"]:
        parts.append(f"{counts.states['removed']} removed since")
    rate = judged / took_s if took_s else 0.0
    parts.append(f"{judged} of them now, in {took_s:.1f} s ({rate:.0f}/s)")
    return "; ".join(parts)


def skipped_text(count: int) -> str:
    """How many files were neither pictures nor clips: ``1 other file skipped``."""
    return f"{count} other {'file' if count == 1 else 'files'} skipped"


def again_text(count: int) -> str:
    """How many ways led to folders that were scanned already."""
    ways = "1 link or path leads" if count == 1 else f"{count} links or paths lead"
    return f"{ways} to a folder that was scanned already: it counts once"


def export_line(folder: Path) -> str:
    """The line that writes a job's verdicts to a file."""
    return shlex.join(["mesoscope", "export", str(folder), "-o", "results.csv"])


def resume_line(kept: Ledger) -> str:
    """The line that goes on with this job: as it was typed, without a password."""
    words = sys.argv[1:]
    for at, word in enumerate(words):
        if at and words[at - 1] == "--ledger":
            words[at] = kept.name
        elif word.startswith("--ledger="):
            words[at] = f"--ledger={kept.name}"
    if "--resume" not in words:
        words.append("--resume")
    return shlex.join(["mesoscope", *words])
