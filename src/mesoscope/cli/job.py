"""What ``scan`` and ``watch`` share over job folders: options, progress, the closing lines."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo
from mesoscope.cli.main import ALARM, DONE, INPUT_FAILED, INTERRUPTED
from mesoscope.cli.rows import HEADER, row
from mesoscope.scan.progress import JobInterrupted, JobWatcher
from mesoscope.types.label import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from tqdm import tqdm
    from typing_extensions import Self

    from mesoscope.detection.detector import Detector
    from mesoscope.scan.progress import JobSummary
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


class Screen(JobWatcher):
    """What one sees of a job: a bar on standard error, and a line a verdict where asked for.

    Args:
        lines: ``table``, ``json`` or ``None``: what goes to standard output.
        begins: Said once the work begins.
        bars: Whether files are counted under a bar.
    """

    def __init__(self, lines: str | None, *, begins: str = "", bars: bool = True) -> None:
        self._labels: Counter[str] = Counter()
        self._lines = lines
        self._begins = begins
        self._bars = bars
        self._bar: tqdm[None] | None = None
        if lines == "table":
            echo(HEADER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def begun(self) -> None:
        """Say so, where there is something to say."""
        if self._begins:
            echo(self._begins, err=True)

    def listed(self) -> None:
        """Count a file that was found."""
        if self._bar is None:
            self._bar = bar(what="listing", unit="files")
        self._bar.update()

    def planned(self, total: int) -> None:
        """Begin the bar of what is to be judged."""
        self._close()
        if self._bars:
            self._bar = bar(total=total, unit="files")

    def told(self, verdict: Verdict) -> None:
        """Count a verdict and show it."""
        self._labels[verdict.label or "none"] += 1
        if self._lines is not None:
            text = row(verdict) if self._lines == "table" else verdict.to_json()
            with contextlib.ExitStack() as stack:
                if self._bar is not None:
                    stack.enter_context(self._bar.external_write_mode())
                echo(text)
                sys.stdout.flush()
        if self._bar is not None:
            self._bar.set_postfix_str(by_label(self._labels), refresh=False)
            self._bar.update()

    def waits(self) -> None:
        """Say that another scan has the last files."""
        if self._bar is not None:
            self._bar.set_postfix_str("another scan is at the last files", refresh=True)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


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
    from mesoscope.scan.into_job import scan_into_job

    with stopped_by_signals():
        try:
            with Screen(lines) as screen:
                done = scan_into_job(
                    detector, paths, folder, ledger=url, resume=resume, watcher=screen
                )
        except JobInterrupted as stopped:
            done = stopped.summary
            echo(_closing(done), err=True)
            echo(f"{done.counts.left} left; go on with: {resume_line(done.ledger)}", err=True)
            return INTERRUPTED
        echo(_closing(done), err=True)
        if done.skipped:
            echo(skipped_text(done.skipped), err=True)
        if done.again:
            echo(again_text(done.again), err=True)
        echo(f"write the verdicts: {export_line(folder)}", err=True)
    if fail_on and done.counts.labels[fail_on]:
        return ALARM
    return INPUT_FAILED if done.counts.failed else DONE


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


def _closing(done: JobSummary) -> str:
    counts = done.counts
    files = counts.labels.total()
    noun = "file" if files == 1 else "files"
    parts = [f"{files} {noun} in {done.folder}: {by_label(counts.labels) or 'none judged'}"]
    if counts.failed:
        parts.append(f"{counts.failed} could not be read")
    if counts.duplicates:
        noun = "copy of another" if counts.duplicates == 1 else "copies of others"
        parts.append(f"{counts.duplicates} {noun}")
    if counts.states["removed"]:
        parts.append(f"{counts.states['removed']} removed since")
    rate = done.judged / done.elapsed_s if done.elapsed_s else 0.0
    parts.append(f"{done.judged} of them now, in {done.elapsed_s:.1f} s ({rate:.0f}/s)")
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


def resume_line(ledger: str) -> str:
    """The line that goes on with a job: as it was typed, without the ledger's password."""
    words = sys.argv[1:]
    for at, word in enumerate(words):
        if at and words[at - 1] == "--ledger":
            words[at] = ledger
        elif word.startswith("--ledger="):
            words[at] = f"--ledger={ledger}"
    if "--resume" not in words:
        words.append("--resume")
    return shlex.join(["mesoscope", *words])
