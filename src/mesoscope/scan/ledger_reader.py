"""What a job's ledger tells: the job, its files, its counts, its results."""

from __future__ import annotations

import time
from contextlib import contextmanager
from operator import ge
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, extract, func, inspect, literal_column, select

from mesoscope.errors import JobError
from mesoscope.scan import tables
from mesoscope.scan.tables import (
    CLAIMED,
    DONE,
    FAILED,
    PENDING,
    JobCounts,
    Known,
    LedgerRow,
    Result,
    files,
    told,
    verdicts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine, Select

    from mesoscope.types import Json

PAGE = 10_000  # narrow rows read at a time
RESULTS_PAGE = 1_000  # rows with their verdicts


class LedgerReader:
    """The part of a ledger that does not write.

    Args:
        engine: Of :func:`mesoscope.scan.tables.open_engine`.

    Raises:
        OutputError: From any method: the database is gone.
        JobError: From any method: not a ledger, or a damaged one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = engine.url.render_as_string(hide_password=True)
        if engine.dialect.name == "sqlite":
            self.name = engine.url.database or self.name

    @contextmanager
    def _reads(self) -> Iterator[Connection]:
        with told(self.name), self._engine.connect() as connection:
            yield connection.execution_options(**{tables.READS: True})

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def facts(self) -> dict[str, Json]:
        """What the job is about: model, settings; empty where there is no ledger yet.

        Raises:
            JobError: Written by a newer version.
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
        """Seconds since 1970 by the clock that all processes on this ledger share."""
        if self._engine.dialect.name == "sqlite":  # one machine
            return time.time()
        with self._reads() as connection:
            clock = extract("epoch", func.clock_timestamp())
            return float(connection.execute(select(clock)).scalar_one())

    def rows(self, first: bytes, end: bytes) -> Iterator[LedgerRow]:
        """The files from path ``first`` up to before ``end``, in order, page by page."""
        # By bare names: the types of the columns would cost more than reading them.
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
            first = page[-1][0] + b"\0"  # the next path there can be

    def _check(self, page: Sequence[Any], first: bytes) -> None:
        """A damaged page may hold values of any type, in any order: reading on would never end."""
        kinds = (bytes, int, int, str, int)
        for column, kind in zip(zip(*page, strict=True), kinds, strict=False):
            if not set(map(type, column)) <= {kind, bool}:
                raise JobError(tables.damaged(self.name, "a row has values of another type"))
        paths = [row[0] for row in page]
        if paths and (paths[0] < first or any(map(ge, paths, paths[1:]))):
            raise JobError(tables.damaged(self.name, "its rows are not in order"))

    def known(self, digests: Sequence[bytes]) -> dict[bytes, Known]:
        """What was judged of some contents, by SHA-256; the first path of each."""
        query = (
            select(files.c.sha256, files.c.path, verdicts.c.verdict)
            .join(verdicts, verdicts.c.path == files.c.path)
            # Of any state: a file that is gone, too, still says what its content was.
            .where(files.c.sha256.in_(digests))
            .order_by(files.c.duplicate_of.is_not(None), files.c.path)
        )
        found: dict[bytes, Known] = {}
        with self._reads() as connection:
            for digest, path, verdict in connection.execute(query):
                found.setdefault(digest, Known(path, verdict))
        return found

    def seen(self) -> dict[str, float]:
        """When each process was last heard of, by the clock of :meth:`now`.

        0 for one that holds claims and is in no table, whose name is empty where there is none.
        """
        owners = select(files.c.owner).where(tables.is_in(CLAIMED)).distinct()
        with self._reads() as connection:
            rows = connection.execute(select(tables.workers)).all()
            found = {_name(owner): 0.0 for owner in connection.scalars(owners)}
        # A time that is none was never written by a process that lives.
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
        """Files that are not judged yet."""
        counts = [
            select(func.count()).select_from(files).where(tables.is_in(state))
            for state in (PENDING, CLAIMED)
        ]
        with self._reads() as connection:
            return sum(connection.execute(count).scalar_one() for count in counts)

    def results(self) -> Iterator[Result]:
        """The verdicts of all files that are still there, in the order of their paths."""
        query = (
            select(
                files.c.path, files.c.size_bytes, files.c.mtime_ns, files.c.sha256,
                files.c.duplicate_of, verdicts.c.verdict,
            )
            .outerjoin(verdicts, verdicts.c.path == files.c.path)
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
        """Whether a row is what is written of a judged file.

        Raises:
            JobError: It is damaged.
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
