"""A scan on this machine: walk, judge, write, count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from mesoscope.media.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mesoscope.detection.detector import Detector
    from mesoscope.scan.sinks import Sink
    from mesoscope.types import Verdict


@dataclass(slots=True)
class Summary:
    """What a scan has come to so far.

    Attributes:
        labels: Verdicts by label; ``none`` where nothing could be judged.
        failed: Sources that could not be read.
        skipped: Files in folders that are not pictures.
        again: Further ways to folders that were scanned, such as links.
        elapsed_s: Since the start.
    """

    labels: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    skipped: int = 0
    again: int = 0
    elapsed_s: float = 0.0

    @property
    def total(self) -> int:
        """Verdicts given."""
        return self.labels.total()


def scan(
    detector: Detector,
    paths: Iterable[str],
    sinks: Sequence[Sink],
    *,
    watch: Callable[[Verdict, Summary], None] | None = None,
) -> Summary:
    """Judge all pictures under some paths and write each verdict as soon as it is known.

    Memory does not grow with the number of pictures.

    Args:
        detector: Judges.
        paths: Files and folders.
        sinks: Every verdict goes to each.
        watch: Called after each verdict.

    Returns:
        The counts.

    Raises:
        OutputError: A sink could not be written; the lines before are whole.
    """
    started = perf_counter()
    summary = Summary()

    def count_skipped(_path: str) -> None:
        summary.skipped += 1

    def count_again(_path: str) -> None:
        summary.again += 1

    found = walk(paths, skipped=count_skipped, again=count_again)
    for verdict in detector.check_many(found, keep_going=True):
        for sink in sinks:
            sink.write(verdict)
        summary.labels[verdict.label or "none"] += 1
        summary.failed += verdict.error is not None
        summary.elapsed_s = perf_counter() - started
        if watch is not None:
            watch(verdict, summary)
    return summary
