"""Progress, exit codes and messages of job folders, for scan and watch."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.main import ALARM, DONE, INPUT_FAILED, INTERRUPTED
from mesoscope.cli.printing import HEADER, echo, plural, row
from mesoscope.cli.progress import bar
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


def job_folder(out: str | None) -> Path | None:
    """Return the job folder in ``--out``: it ends in a slash, is a folder, or has no suffix."""
    if out is None or not (out.endswith("/") or Path(out).is_dir() or not Path(out).suffix):
        return None
    return Path(out)


class ScanBar:
    """Bars on standard error: of the files that are listed, then of those that are judged."""

    def __init__(self, unit: str = "files") -> None:
        self._unit = unit
        self._labels: Counter[str] = Counter()
        self._bar: tqdm[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def listed(self) -> None:
        """Count a listed file."""
        if self._bar is None:
            self._bar = bar(what="listing", unit=self._unit)
        self._bar.update()

    def planned(self, total: int) -> None:
        """Start the bar of the files to judge."""
        self.__exit__()
        self._bar = bar(total=total, unit=self._unit)

    def count(self, labels: Counter[str], units: int | None = None) -> None:
        """Count verdicts; of files by themselves, else of so many units."""
        self._labels += labels
        if self._bar is not None:
            self._bar.set_postfix_str(by_label(self._labels), refresh=False)
            self._bar.update(labels.total() if units is None else units)


class Screen(ScanBar, JobWatcher):
    """Shows a job: a bar on standard error, and verdicts on standard output.

    Args:
        lines: Format of the verdicts: ``table``, ``json`` or ``None`` for none.
        message: Message to print when the work begins.
    """

    def __init__(self, lines: str | None, *, message: str = "") -> None:
        super().__init__()
        self._lines = lines
        self._message = message
        if lines == "table":
            echo(HEADER)

    def opened(self) -> None:
        """Print the message."""
        if self._message:
            echo(self._message, err=True)

    def judged(self, verdict: Verdict) -> None:
        """Count and print a verdict."""
        if self._lines is not None:
            with contextlib.ExitStack() as stack:
                if self._bar is not None:
                    stack.enter_context(self._bar.external_write_mode())
                if self._lines == "table":
                    echo(row(verdict))
                else:
                    click.echo(verdict.to_json())
                sys.stdout.flush()
        self.count(Counter([verdict.label or "none"]))

    def waiting(self) -> None:
        """Show that another scan holds the last files."""
        if self._bar is not None:
            self._bar.set_postfix_str("waiting for another scan to finish", refresh=True)


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
    """Scan into a new or resumed job folder and return the exit code."""
    from mesoscope.scan.into_job import scan_into_job

    with stopped_by_signals():
        try:
            with Screen(lines) as screen:
                done = scan_into_job(
                    detector, paths, folder, ledger=url, resume=resume, watcher=screen
                )
        except JobInterrupted as interrupt:
            done = interrupt.summary
            echo(_summary(done), err=True)
            echo(f"{done.counts.left} left; resume with: {resume_line(done.ledger)}", err=True)
            return INTERRUPTED
        echo(_summary(done), err=True)
        if done.skipped:
            echo(skipped_text(done.skipped), err=True)
        if done.again:
            echo(again_text(done.again), err=True)
        export = shlex.join(["mesoscope", "export", str(folder), "-o", "results.csv"])
        echo(f"write the verdicts to a file: {export}", err=True)
    if fail_on and done.counts.labels[fail_on]:
        return ALARM
    return INPUT_FAILED if done.counts.failed else DONE


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C in the ``with`` block."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def by_label(labels: Counter[str]) -> str:
    """Return counts in words: ``3 fake, 20 real``."""
    return ", ".join(f"{labels[name]} {name}" for name in ANSWERS if labels[name])


def _summary(done: JobSummary) -> str:
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
    """Return the count of files that are neither pictures nor clips: ``1 other file skipped``."""
    return f"{plural(count, 'other file')} skipped"


def again_text(count: int) -> str:
    """Return the count of links and paths to folders that were already scanned."""
    if count == 1:
        return "1 link or path leads to a folder that was already scanned: it counts once"
    return f"{count} links or paths lead to folders that were already scanned: they count once"


def resume_line(ledger: str) -> str:
    """Return the command that resumes the job: as typed, without the password of the ledger."""
    words = sys.argv[1:]
    for at, word in enumerate(words):
        if at and words[at - 1] == "--ledger":
            words[at] = ledger
        elif word.startswith("--ledger="):
            words[at] = f"--ledger={ledger}"
    if "--resume" not in words:
        words.append("--resume")
    return shlex.join(["mesoscope", *words])
