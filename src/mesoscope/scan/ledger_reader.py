"""Read a job's ledger: the job, its files, counts and results."""

from __future__ import annotations

import time
from contextlib import contextmanager
from operator import ge
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, extract, func, inspect, literal_column, select

from mesoscope.errors import JobError
from mesoscope.scan import tables
from mesoscope.scan.tables import (
    CLAIMED,
    DONE,
    FAILED,
    PENDING,
    JobCounts,
    KnownContent,
    LedgerRow,
    Result,
    database_errors,
    files,
    verdicts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine, Select

    from mesoscope.types import Json

PAGE = 10_000  # narrow rows per page
RESULTS_PAGE = 1_000  # rows with verdicts per page


class LedgerReader:
    """The read-only part of a ledger.

    Args:
        engine: Engine from :func:`mesoscope.scan.tables.open_engine`.

    Raises:
        OutputError: From any method: the database is not available.
        JobError: From any method: this is no ledger, or it is damaged.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = engine.url.render_as_string(hide_password=True)
        if engine.dialect.name == "sqlite":
            self.name = engine.url.database or self.name

    @contextmanager
    def _reads(self) -> Iterator[Connection]:
        with database_errors(self.name), self._engine.connect() as connection:
            yield connection.execution_options(**{tables.READS: True})

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def facts(self) -> dict[str, Json]:
        """Return the job's model and options; empty without a ledger.

        Raises:
            JobError: The ledger was written by a newer version.
        """
        with self._reads() as connection:
            if not inspect(connection).has_table(tables.job.name):
                return {}
            found = {
                str(name): tables.from_json(value, self.name, f"the fact {name!r}")
                for name, value in connection.execute(select(tables.job))
            }
        version = found.get("version") if found else tables.VERSION
        if not isinstance(version, int) or version < 1:
            raise JobError(tables.damaged(self.name, f"it has the version {version!r}"))
        if version > tables.VERSION:
            raise JobError(
                f"{self.name}: a ledger of version {version}, and this version of mesoscope reads "
                f"up to {tables.VERSION}: update mesoscope"
            )
        return found

    def now(self) -> float:
        """Return seconds since 1970 by the clock that all processes on this ledger share."""
        if self._engine.dialect.name == "sqlite":  # a single machine
            return time.time()
        with self._reads() as connection:
            clock = extract("epoch", func.clock_timestamp())
            return float(connection.execute(select(clock)).scalar_one())

    def rows(self, first: bytes, end: bytes) -> Iterator[LedgerRow]:
        """Yield the files from path ``first`` up to before ``end``, in order, page by page."""
        # Plain column names: typed columns would cost more than the read.
        query: Select[Any, Any, Any, Any, Any] = (
            select(
                literal_column("path"),
                literal_column("size_bytes"),
                literal_column("mtime_ns"),
                literal_column("state"),
                literal_column("sha256 IS NOT NULL"),
            )
            .select_from(files)
            .where(files.c.path >= bindparam("first"), files.c.path < bindparam("end"))
            .order_by(files.c.path)
            .limit(PAGE)
        )
        while True:
            with self._reads() as connection:
                page = connection.execute(query, {"first": first, "end": end}).all()
            self._check(page, first)
            yield from map(LedgerRow._make, page)
            if len(page) < PAGE:
                return
            first = page[-1][0] + b"\0"  # the next possible path

    def _check(self, page: Sequence[Any], first: bytes) -> None:
        """Check a page: a damaged one may hold any type in any order, and loop for ever."""
        kinds = (bytes, int, int, str, int)
        for column, kind in zip(zip(*page, strict=True), kinds, strict=False):
            if not set(map(type, column)) <= {kind, bool}:
                raise JobError(tables.damaged(self.name, "a row has values of another type"))
        paths = [row[0] for row in page]
        if paths and (paths[0] < first or any(map(ge, paths, paths[1:]))):
            raise JobError(tables.damaged(self.name, "its rows are not in order"))

    def known(self, digests: Sequence[bytes]) -> dict[bytes, KnownContent]:
        """Return the verdicts on some contents, by SHA-256, with the first path of each."""
        query = (
            select(files.c.sha256, files.c.path, verdicts.c.verdict)
            .join(verdicts, verdicts.c.path == files.c.path)
            # Of any state: a missing file still gives the verdict on its content.
            .where(files.c.sha256.in_(digests))
            .order_by(files.c.duplicate_of.is_not(None), files.c.path)
        )
        found: dict[bytes, KnownContent] = {}
        with self._reads() as connection:
            for digest, path, verdict in connection.execute(query):
                found.setdefault(digest, KnownContent(path, verdict))
        return found

    def seen(self) -> dict[str, float]:
        """Return when each process was last seen, by the clock of :meth:`now`.

        0 for the owner of claims that is in no table; its name may be empty.
        """
        owners = select(files.c.owner).where(tables.state_is(CLAIMED)).distinct()
        with self._reads() as connection:
            rows = connection.execute(select(tables.workers)).all()
            found = {_name(owner): 0.0 for owner in connection.scalars(owners)}
        # A live process never writes NULL.
        return found | {
            _name(o): float(at) if isinstance(at, int | float) else 0.0 for o, at in rows
        }

    def counts(self) -> JobCounts:
        """Count files by state and label."""
        copies = func.sum(case((files.c.duplicate_of.is_not(None), 1), else_=0))
        query = select(files.c.state, files.c.label, func.count(), copies).group_by(
            files.c.state, files.c.label
        )
        counts = JobCounts()
        with self._reads() as connection:
            for state, label, count, duplicates in connection.execute(query):
                counts.states[state] += count
                if state in (DONE, FAILED):
                    counts.labels[label or "none"] += count
                    counts.duplicates += int(duplicates)
        return counts

    def open_count(self) -> int:
        """Return the number of files without a verdict."""
        counts = [
            select(func.count()).select_from(files).where(tables.state_is(state))
            for state in (PENDING, CLAIMED)
        ]
        with self._reads() as connection:
            return sum(connection.execute(count).scalar_one() for count in counts)

    def results(self) -> Iterator[Result]:
        """Yield the verdicts of all existing files, in the order of their paths."""
        query = (
            select(
                files.c.path, files.c.size_bytes, files.c.mtime_ns, files.c.sha256,
                files.c.duplicate_of, verdicts.c.verdict,
            )
            # PostgreSQL would merge both tables from their first rows on for every page.
            .outerjoin(
                verdicts,
                and_(verdicts.c.path == files.c.path, verdicts.c.path > bindparam("after")),
            )
            .where(files.c.path > bindparam("after"), files.c.state.in_((DONE, FAILED)))
            .order_by(files.c.path)
            .limit(RESULTS_PAGE)
        )  # fmt: skip
        after = b""
        while True:
            with self._reads() as connection:
                page = connection.execute(query, {"after": after}).all()
            if not page:
                return
            for row in page:
                result = Result._make(row)
                self._check_result(result, after)
                yield result
                after = result.path

    def _check_result(self, result: Result, after: bytes) -> None:
        """Check that a row is a valid judged file.

        Raises:
            JobError: The row is damaged.
        """
        whole = (
            isinstance(result.path, bytes)
            and result.path > after
            and isinstance(result.size_bytes, int)
            and isinstance(result.mtime_ns, int)
            and isinstance(result.sha256, bytes | None)
            and isinstance(result.duplicate_of, bytes | None)
        )
        if not whole:
            raise JobError(tables.damaged(self.name, f"the row of {result.path!r}"))
        if not isinstance(result.verdict, str):
            raise JobError(tables.damaged(self.name, f"{result.path!r} has no verdict"))


def _name(owner: object) -> str:
    return owner if isinstance(owner, str) else ""
