"""How far a job is: what is seen of it as it runs, and what it has come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.scan.tables import JobCounts
    from mesoscope.types import Verdict

__all__ = ["JobInterrupted", "JobSummary", "JobWatcher"]


@dataclass(frozen=True, slots=True)
class JobSummary:
    """What a job has come to.

    Attributes:
        folder: The job folder.
        ledger: The ledger's place, without a password.
        counts: Of all files of the job, those of earlier runs among them.
        judged: Verdicts of this run.
        elapsed_s: That this run took.
        skipped: Files in the folders that are neither pictures nor clips.
        again: Further ways to folders that were scanned, such as links.
    """

    folder: Path
    ledger: str
    counts: JobCounts
    judged: int
    elapsed_s: float
    skipped: int = 0
    again: int = 0


class JobInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a job; what was judged is in its folder, and another scan goes on.

    Attributes:
        summary: What the job has come to.
    """

    def __init__(self, summary: JobSummary) -> None:
        super().__init__()
        self.summary = summary


class JobWatcher:
    """What may be seen of a job as it runs. Does nothing: override what is wanted."""

    def begun(self) -> None:
        """The ledger is open."""

    def listed(self) -> None:
        """One more file was found."""

    def planned(self, total: int) -> None:
        """All files are found, and so many are to be judged."""

    def told(self, verdict: Verdict) -> None:
        """A verdict is in hand."""

    def waits(self) -> None:
        """Nothing is left but what another scan is at."""
