"""Run a job: claim files from the ledger, judge them, and commit verdicts in batches."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import OrderedDict, deque
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING

from mesoscope.errors import JobError, MesoscopeError, SourceNoMemory
from mesoscope.runtime.threads import map_ordered
from mesoscope.scan.plan import Planner
from mesoscope.scan.reading import Content, has_changed, read
from mesoscope.scan.tables import DONE, FAILED, REMOVED, KnownContent, Outcome, damaged
from mesoscope.types import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mesoscope.detection.detector import Detector
    from mesoscope.media.image import FileBytes
    from mesoscope.media.walk import Listed, Unreadable
    from mesoscope.scan.ledger import Ledger
    from mesoscope.scan.plan import PlanSummary
    from mesoscope.scan.tables import Claim
    from mesoscope.scan.workers import Worker

CLAIM = 64  # files per claim
COMMIT_ROWS = 64  # verdicts per commit
COMMIT_S = 1.0  # or after so long
READERS = 4  # threads that read and hash ahead
LOOKED_UP = 64  # hashes per look-up
HELD = 256  # copies waiting for the verdict on the first
RECENT = 256  # recent contents remembered, at least: more than are judged during a look-up
WAIT_S = 0.5
IDLE_ROUNDS = 3  # rounds in which this process alone works on a job and gets nothing


class Job:
    """Scans the files of a ledger; several processes may share one.

    Args:
        detector: The detector.
        ledger: Ledger of the job.
        worker: This process, already entered.
        folder: The job folder, which is never scanned itself.
        on_verdict: Called with each verdict; the ledger has it within a second.
    """

    def __init__(
        self,
        detector: Detector,
        ledger: Ledger,
        worker: Worker,
        folder: Path,
        *,
        on_verdict: Callable[[Verdict], None] | None = None,
    ) -> None:
        self.repeated = 0  # duplicates in this process
        self._done = 0
        self._first: bytes | None = None  # first path of the latest claims, and its repeats
        self._same = 0
        self._detector = detector
        self._ledger = ledger
        self._worker = worker
        self._folder = os.path.abspath(folder)  # noqa: PTH100 - as the paths in the ledger
        self._on_verdict = on_verdict
        self._flight: deque[Content] = deque()  # given to the detector, without a verdict yet
        self._held = 0
        self._dry = False
        self._copies: dict[bytes, list[Content]] = {}  # of contents in flight
        self._remembered = max(RECENT, 2 * detector.options.batch_size)
        self._recent: OrderedDict[bytes, KnownContent] = OrderedDict()
        self._finished: list[Outcome] = []
        self._committed_at = time.monotonic()

    def plan(
        self,
        paths: Iterable[str],
        *,
        ready: Callable[[Listed], bool] | None = None,
        retry: bool = True,
        listed: Callable[[], None] | None = None,
    ) -> PlanSummary:
        """Compare the folders with the ledger; see :class:`mesoscope.scan.plan.Planner`.

        Args:
            paths: Paths from :func:`mesoscope.scan.plan.without_nested`.
            ready: Whether a new or changed file may be scanned yet.
            retry: Plan again files that could not be opened.
            listed: Called after each file.
        """
        self._worker.reap()
        planner = Planner(
            self._ledger,
            self._report_unreadable,
            leave_out=self._folder,
            ready=ready,
            retry=retry,
            listed=listed,
        )
        return planner.compare(paths)

    def run(self, *, wait: bool = True, waits: Callable[[], None] | None = None) -> None:
        """Scan until nothing is left, including claims that other processes lost.

        Finished verdicts are committed whatever ends the run, an interrupt included.

        Args:
            wait: ``False`` does not wait for claims of other processes.
            waits: Called regularly while others finish the last files.

        Raises:
            OutputError: The ledger is not writable; committed verdicts stay.
        """
        idle = 0
        while True:
            done = self._done
            self._scan_claimed()
            if not wait or not self._ledger.open_count():
                return
            alone = not self._ledger.seen().keys() - {self._worker.owner, ""}
            idle = idle + 1 if alone and done == self._done else 0
            if idle > IDLE_ROUNDS:  # a damaged index would mean waiting for ever
                raise JobError(
                    damaged(self._ledger.name, "files in it can be neither claimed nor freed")
                )
            if waits is not None:
                waits()
            time.sleep(WAIT_S)
            self._worker.reap()

    def _scan_claimed(self) -> None:
        """Scan until nothing can be claimed."""
        self._committed_at = time.monotonic()
        self._dry = False
        groups = self._groups()
        try:
            while not self._dry:
                sources = self._sources(groups)
                for verdict in self._detector.check_many(sources, keep_going=True):
                    self._judged(self._flight.popleft(), verdict)
        finally:
            self._commit()
            self._flight.clear()
            self._copies.clear()
            self._held = 0

    def _groups(self) -> Iterator[list[Content]]:
        """Yield claimed files, read ahead, in groups."""
        owner = self._worker.owner
        claims = chain.from_iterable(iter(partial(self._claim, owner), []))
        contents = map_ordered(read, claims, threads=READERS, depth=2 * READERS)
        while group := list(islice(contents, LOOKED_UP)):
            yield group

    def _claim(self, owner: str) -> list[Claim]:
        """Claim more files; a damaged ledger may return the same ones repeatedly."""
        claims = self._ledger.claim(owner, CLAIM)
        first = claims[0].path if claims else None
        self._same = self._same + 1 if claims and first == self._first else 0
        self._first = first
        if self._same > IDLE_ROUNDS:
            raise JobError(damaged(self._ledger.name, "its indexes do not fit its rows"))
        return claims

    def _sources(self, groups: Iterator[list[Content]]) -> Iterator[str | FileBytes]:
        """Yield the sources for the detector, which reads them in this thread.

        Files of known content, and missing files, are finished here. Copies of a content in flight
        are held back; if they become many, iteration ends, so that the detector finishes.
        """
        for group in groups:
            digests = [content.sha256 for content in group if content.sha256 is not None]
            known = self._ledger.known(digests) if digests else {}
            for content in group:
                digest = content.sha256
                first = None
                if digest is not None:
                    first = self._recent.get(digest) or stored_verdict(known.get(digest))
                if content.gone:
                    self._write(Outcome(content.claim.path, REMOVED))
                elif digest is not None and digest in self._copies:
                    self._copies[digest].append(content._replace(source=""))
                    self._held += 1
                elif first is not None:
                    self._repeat(content, first)
                else:
                    if digest is not None:
                        self._copies[digest] = []
                    self._flight.append(content._replace(source=""))
                    yield content.source
            if self._held >= HELD:
                return
        self._dry = True

    def _judged(self, content: Content, verdict: Verdict) -> None:
        digest = content.sha256
        content, verdict = without_stale_hash(content, verdict)
        known = KnownContent(content.claim.path, self._finish(content, verdict, None))
        if digest is None:
            return
        if content.sha256 is not None:
            self._recent[digest] = known
            if len(self._recent) > self._remembered:
                self._recent.popitem(last=False)
        for copy in self._copies.pop(digest):
            self._held -= 1
            if content.sha256 is not None:
                self._repeat(copy, known)
            else:  # its first was not judged unchanged: the next run judges both
                self._repeat(copy._replace(sha256=None), known)

    def _repeat(self, content: Content, known: KnownContent) -> None:
        """Give a file the existing verdict on its content."""
        verdict = renamed(Verdict.from_json(known.verdict), os.fsdecode(content.claim.path))
        first = known.path if known.path != content.claim.path else None
        self.repeated += first is not None
        self._finish(content, verdict, first)

    def _finish(self, content: Content, verdict: Verdict, first: bytes | None) -> str:
        """Report a verdict and queue it for commit; return its JSON."""
        text = verdict.to_json()
        if self._on_verdict is not None:
            self._on_verdict(verdict)
        self._write(
            Outcome(
                path=content.claim.path,
                state=DONE if verdict.error is None else FAILED,
                size_bytes=content.size_bytes,
                mtime_ns=content.mtime_ns,
                sha256=content.sha256,
                label=verdict.label,
                p_fake=verdict.p_fake,
                verdict=text,
                duplicate_of=first,
            )
        )
        return text

    def _write(self, outcome: Outcome) -> None:
        self._done += 1
        self._finished.append(outcome)
        late = time.monotonic() - self._committed_at >= COMMIT_S
        if len(self._finished) >= COMMIT_ROWS or late:
            self._commit()

    def _commit(self) -> None:
        if self._finished:
            self._ledger.finish(self._worker.owner, self._finished)
        self._finished = []
        self._committed_at = time.monotonic()

    def _report_unreadable(self, places: list[Unreadable]) -> None:
        verdicts = list(self._detector.check_many(places, keep_going=True))
        self._ledger.fail(
            [
                Outcome(os.fsencode(p.path) + b"/" * p.folder, FAILED, verdict=v.to_json())
                for p, v in zip(places, verdicts, strict=True)
            ]
        )
        for verdict in verdicts:
            if self._on_verdict is not None:
                self._on_verdict(verdict)


def without_stale_hash(content: Content, verdict: Verdict) -> tuple[Content, Verdict]:
    """Return the row of a judged file, without its hash if that is not reliable.

    A file that changed or vanished while it was read, or ran out of memory, is marked so; the next
    run judges it again.
    """
    if verdict.error is not None and verdict.error["code"] == SourceNoMemory.code:
        return content._replace(sha256=None), verdict
    if not has_changed(content):
        return content, verdict
    said = "the file changed or vanished while it was read; the next run scans it again"
    error = verdict.error
    if error is not None:
        error = {**error, "message": f"{error['message']}; {said}"}
    noted = dataclasses.replace(verdict, error=error, notes=(*verdict.notes, said))
    return content._replace(sha256=None), noted


def stored_verdict(known: KnownContent | None) -> KnownContent | None:
    """Return a verdict of the ledger if it is valid; otherwise its content is judged again."""
    if known is None:
        return None
    try:
        Verdict.from_json(known.verdict)
    except (MesoscopeError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return known


def renamed(verdict: Verdict, path: str) -> Verdict:
    """Return the verdict under another file's path."""
    error = verdict.error
    if error is not None:
        error = {**error, "message": error["message"].replace(verdict.source, path, 1)}
    return dataclasses.replace(verdict, source=path, error=error)
