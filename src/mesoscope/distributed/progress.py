"""Progress and summary of a job in parts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesoscope.scan.parts import Part

__all__ = ["PartsInterrupted", "PartsSummary", "PartsWatcher"]


@dataclass(slots=True)
class PartsSummary:
    """Counts of a job in parts.

    Attributes:
        place: Its folder or URL.
        shards: Whether the sources are tar files, whose pictures have verdicts.
        sources: So many were listed.
        done: So many of them are judged.
        labels: Verdicts by label; ``none`` without a label.
        failed: Sources that were not readable.
        judged: Verdicts of this run.
        elapsed_s: Duration of this run.
        core_s: Seconds of all runs' tasks that are done, times the cores that worked on them.
        skipped: Files that are neither pictures nor clips.
        again: Further paths to walked folders, such as links.
    """

    place: str
    shards: bool = False
    sources: int = 0
    done: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    judged: int = 0
    elapsed_s: float = 0.0
    core_s: float = 0.0
    skipped: int = 0
    again: int = 0

    @property
    def left(self) -> int:
        """Number of sources that are not judged."""
        return self.sources - self.done

    def add(self, part: Part) -> None:
        """Count a part."""
        self.done += part.sources
        self.labels += part.labels
        self.failed += part.failed
        self.core_s += part.core_s


class PartsInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a scan; its parts are kept, and another scan resumes it.

    Attributes:
        summary: Counts of the job.
    """

    def __init__(self, summary: PartsSummary) -> None:
        super().__init__()
        self.summary = summary


class PartsWatcher:
    """Receives progress of a scan. The methods do nothing: override what is needed."""

    def listed(self) -> None:
        """One more source was listed."""

    def planned(self, total: int) -> None:
        """All sources are listed; ``total`` of them are to be judged."""

    def judged(self, part: Part) -> None:
        """A part was written."""
