"""Progress and summary of a job."""

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
    """Counts of a job.

    Attributes:
        folder: The job folder.
        ledger: Location of the ledger, without a password.
        counts: Counts of all files of the job, including earlier runs.
        judged: Verdicts of this run.
        elapsed_s: Duration of this run.
        skipped: Files in the folders that are neither pictures nor clips.
        again: Further paths to scanned folders, such as links.
    """

    folder: Path
    ledger: str
    counts: JobCounts
    judged: int
    elapsed_s: float
    skipped: int = 0
    again: int = 0


class JobInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a job; its verdicts are kept, and another scan resumes it.

    Attributes:
        summary: Counts of the job.
    """

    def __init__(self, summary: JobSummary) -> None:
        super().__init__()
        self.summary = summary


class JobWatcher:
    """Receives progress of a job. The methods do nothing: override what is needed."""

    def opened(self) -> None:
        """The ledger is open."""

    def listed(self) -> None:
        """One more file was listed."""

    def planned(self, total: int) -> None:
        """All files are listed; ``total`` of them are to be judged."""

    def judged(self, verdict: Verdict) -> None:
        """A verdict was made."""

    def waiting(self) -> None:
        """Only files claimed by another scan are left."""
