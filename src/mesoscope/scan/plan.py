"""Plan a scan: compare a walk with the ledger, in constant memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesoscope.errors import SourceMissing
from mesoscope.media.walk import Listed, Unreadable, walk_files
from mesoscope.scan.tables import CLAIMED, DONE, FAILED, PENDING, REMOVED, STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mesoscope.scan.ledger import Ledger
    from mesoscope.scan.tables import LedgerRow

BATCH = 10_000  # changes per transaction


@dataclass(slots=True)
class PlanSummary:
    """Counts of a plan.

    Attributes:
        listed: Number of pictures and clips.
        new: Files that the ledger did not have.
        changed: Files to scan again.
        removed: Files of the ledger that are missing.
        skipped: Files of other kinds.
        again: Further paths to walked folders, such as links.
    """

    listed: int = 0
    new: int = 0
    changed: int = 0
    removed: int = 0
    skipped: int = 0
    again: int = 0


class Planner:
    """Compares folders with the ledger and records the files to scan.

    Both are sorted by the paths' bytes, so one merge pass separates new, changed and removed files,
    and neither is held in memory.

    Args:
        ledger: Ledger of the job.
        unreadable: Called with paths that cannot be walked into, to record them.
        leave_out: A folder to ignore: the job's own.
        ready: Whether a new or changed file may be scanned yet; ``None`` accepts all.
        retry: Plan again files that could not be opened.
        listed: Called after each file.
    """

    def __init__(
        self,
        ledger: Ledger,
        unreadable: Callable[[list[Unreadable]], None],
        *,
        leave_out: str | None = None,
        ready: Callable[[Listed], bool] | None = None,
        retry: bool = True,
        listed: Callable[[], None] | None = None,
    ) -> None:
        self.planned = PlanSummary()
        self._ledger = ledger
        self._report_unreadable = unreadable
        self._leave_out = None if leave_out is None else os.fsencode(leave_out) + b"/"
        self._ready = ready
        self._retry = retry
        self._listed = listed
        self._visited: set[tuple[int, int]] = set()
        self._new: list[Listed] = []
        self._changed: list[LedgerRow] = []
        self._removed: list[bytes] = []
        self._unreadable: list[Unreadable] = []

    def compare(self, paths: Iterable[str]) -> PlanSummary:
        """Walk files and folders, and plan what to scan.

        Rows under other folders are kept, and so are those under a temporarily unreadable folder,
        such as a disconnected drive.

        Args:
            paths: Absolute paths, none within another, from :func:`without_nested`.

        Raises:
            OutputError: The ledger is not writable.
        """
        for path in paths:
            folder = os.path.isdir(path)  # noqa: PTH112 - names that are not UTF-8 stay strings
            self._compare_one(path, folder)
            if folder:  # was not readable before, such as a reconnected drive
                key = os.fsencode(path)
                for row in self._ledger.rows(key, key + b"\0"):
                    self._remove(row, None)
        self._flush()
        return self.planned

    def _compare_one(self, path: str, folder: bool) -> None:
        key = os.fsencode(path)
        below = os.path.join(key, b"")  # noqa: PTH118
        end = below[:-1] + b"0"  # "0" follows "/"
        rows = self._ledger.rows(below, end) if folder else self._ledger.rows(key, key + b"\0")
        kept: bytes | None = None  # prefix of an unreadable folder
        row = next(rows, None)
        for found in self._walk(path):
            if isinstance(found, Listed):
                here = found.raw
                if row is not None and row == (*found, DONE, True):  # the usual case
                    self._count()
                    row = next(rows, None)
                    continue
            else:
                here = os.fsencode(found.path) + b"/" * found.folder
            if self._leave_out is not None and here.startswith(self._leave_out):
                continue
            while row is not None and row.path < here:
                self._remove(row, kept)
                row = next(rows, None)
            if isinstance(found, Unreadable) and found.folder:
                kept = here
            same = row if row is not None and row.path == here else None
            if same is not None:
                row = next(rows, None)
            self._note(found, same, named=here == key)
        while row is not None:
            self._remove(row, kept)
            row = next(rows, None)

    def _note(self, found: Listed | Unreadable, row: LedgerRow | None, *, named: bool) -> None:
        if isinstance(found, Unreadable):
            vanished = isinstance(found.error, SourceMissing) and not os.path.islink(found.path)  # noqa: PTH114
            if vanished and not named:  # between listing and turn
                if row is not None:
                    self._remove(row, None)
            elif row is None or row.state != FAILED:
                self._unreadable.append(found)
            return
        self._count()
        if row is None:
            if self._ready is None or self._ready(found):
                self.planned.new += 1
                self._new.append(found)
        elif row.state not in (PENDING, CLAIMED) and self._is_due(row, found):
            self.planned.changed += 1
            self._changed.append(row)
        if len(self._new) + len(self._changed) >= BATCH:
            self._flush()

    def _count(self) -> None:
        self.planned.listed += 1
        if self._listed is not None:
            self._listed()

    def _is_due(self, row: LedgerRow, found: Listed) -> bool:
        changed = (row.size_bytes, row.mtime_ns) != (found.size_bytes, found.mtime_ns)
        if row.state not in STATES:
            return True  # written by no version of mesoscope, or damaged
        if row.opened and not changed:
            return row.state == REMOVED
        if not row.opened and row.state == FAILED and not changed:
            return self._retry
        return self._ready is None or self._ready(found)

    def _remove(self, row: LedgerRow, kept: bytes | None) -> None:
        if row.state not in (REMOVED, CLAIMED) and not (kept and row.path.startswith(kept)):
            self.planned.removed += 1
            self._removed.append(row.path)
            if len(self._removed) >= BATCH:
                self._flush()

    def _walk(self, path: str) -> Iterator[Listed | Unreadable]:
        return walk_files([path], skipped=self._skip, visited=self._visited, again=self._again)

    def _again(self, path: str) -> None:
        if self._leave_out is None or not os.fsencode(path).startswith(self._leave_out):
            self.planned.again += 1

    def _skip(self, path: str) -> None:
        if self._leave_out is None or not os.fsencode(path).startswith(self._leave_out):
            self.planned.skipped += 1

    def _flush(self) -> None:
        # Removed ones first: a path may be in both lists if the folder changed during the walk.
        if self._new or self._changed or self._removed:
            self._ledger.plan(removed=self._removed, new=self._new, changed=self._changed)
        if self._unreadable:
            self._report_unreadable(self._unreadable)
        self._new, self._changed, self._removed, self._unreadable = [], [], [], []


def without_nested(paths: Iterable[str]) -> list[str]:
    """Return absolute paths sorted by bytes, without those that lie within another."""
    absolute = {os.path.join(os.path.abspath(path), "") for path in paths}  # noqa: PTH100, PTH118
    kept: list[str] = []
    for path in sorted(absolute, key=os.fsencode):  # folders, with a slash, before files
        if not kept or not path.startswith(kept[-1]):
            kept.append(path)
    return [path.rstrip(os.sep) or os.sep for path in kept]
