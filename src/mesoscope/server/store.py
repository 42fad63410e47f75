"""The service's database; every method is one transaction."""

from __future__ import annotations

import secrets
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mesoscope.errors import JobError, OutputError
from mesoscope.scan.postgresql import create_tables
from mesoscope.scan.tables import READS, open_engine, upsert
from mesoscope.server import tables
from mesoscope.server.batching import MicroBatcher
from mesoscope.server.tables import feedback, jobs, results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from sqlalchemy import Connection, Engine, Row, Select
    from sqlalchemy.engine import URL

OPEN = ("queued", "running")
FINISHED = ("done", "cancelled", "failed")
_EXPIRED = 500  # rows deleted in one transaction


class DatabaseUnreachable(OutputError):  # noqa: N818 - named like mesoscope.errors
    """The database is not available; committed rows stay."""

    code = "ledger.unreachable"


def new_id() -> str:
    """Return an unguessable identifier."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A result to insert: the columns of :data:`tables.results`."""

    id: str
    key: str | None
    name: str
    kind: str
    label: str | None
    p_fake: float | None
    model: str
    sha256: str
    place: str
    verdict: str
    provenance: str | None
    created: float
    failed: bool
    kept: str | None = None
    job: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of results; ``None`` accepts all.

    Attributes:
        label: ``fake``, ``real``, ``inconclusive``, or ``none`` for those without a label.
        kind: ``image`` or ``clip``.
        name: Part of the file's name, ignoring case.
        job: Id of a job.
        sha256: Digest of a file.
        since: Judged at this time or later, in seconds since 1970.
        until: Judged before this time.
        says: Label of the feedback.
    """

    label: str | None = None
    kind: str | None = None
    name: str | None = None
    job: str | None = None
    sha256: str | None = None
    since: float | None = None
    until: float | None = None
    says: str | None = None


class Store:
    """The tables of a service.

    Args:
        url: URL for :func:`mesoscope.scan.tables.open_engine`.

    Raises:
        DatabaseUnreachable: From any method: the database is not available.
        JobError: The URL is not valid, or the tables are of a newer version.
        MissingExtra: PostgreSQL's driver is not installed.
    """

    def __init__(self, url: str | URL) -> None:
        self.engine: Engine = open_engine(url)
        self.name = self.engine.url.render_as_string()
        with self.write_transaction() as connection:
            create_tables(connection, tables.metadata)
            found = connection.scalar(
                select(tables.facts.c.value).where(tables.facts.c.name == "version")
            )
            if found is None:
                row = {"name": "version", "value": str(tables.VERSION)}
                connection.execute(
                    upsert(connection, tables.facts).values(row).on_conflict_do_nothing()
                )
            elif int(found) > tables.VERSION:
                raise JobError(f"{self.name}: of a newer mesoscope: update this one")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def write_transaction(self) -> Iterator[Connection]:
        """Open a transaction for writing."""
        with _reached(self.name), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read_transaction(self) -> Iterator[Connection]:
        """Open a transaction for reading."""
        with _reached(self.name), self.engine.connect() as connection:
            yield connection.execution_options(**{READS: True})

    def check_connection(self) -> None:
        """Run a query to check the connection."""
        with self.read_transaction() as connection:
            connection.execute(select(1))

    # Results

    def record(self, rows: Sequence[ResultRow]) -> None:
        """Insert results, and count those of jobs; existing ones stay."""
        with self.write_transaction() as connection:
            counts: dict[str, list[int]] = {}
            plain = []
            for row in rows:
                values = {k: v for k, v in asdict(row).items() if k != "failed"}
                if row.job is None:
                    plain.append(values)
                    continue
                statement = upsert(connection, results).values(values).on_conflict_do_nothing()
                if connection.execute(statement.returning(results.c.n)).first() is not None:
                    count = counts.setdefault(row.job, [0, 0, 0])
                    count[0] += 1
                    count[1] += row.failed
                    count[2] += row.label == "fake"
            if plain:
                connection.execute(insert(results), plain)
            for job, (done, failed, fake) in counts.items():
                connection.execute(
                    update(jobs).where(jobs.c.id == job)
                    .values(
                        done=jobs.c.done + done, failed=jobs.c.failed + failed,
                        fake=jobs.c.fake + fake, tries=0,
                    )
                )  # fmt: skip

    def result(self, result_id: str, key: str | None) -> Row[Any] | None:
        """Return a caller's result with its feedback."""
        with self.read_transaction() as connection:
            return connection.execute(
                _with_feedback().where(results.c.id == result_id, _of(results.c.key, key))
            ).first()

    def page(
        self, key: str | None, filters: Filters, *, before: int | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Return a caller's results, the latest first, before a position."""
        query = _with_feedback().where(_of(results.c.key, key), *_conditions(filters))
        if before is not None:
            query = query.where(results.c.n < before)
        with self.read_transaction() as connection:
            return connection.execute(query.order_by(results.c.n.desc()).limit(limit)).all()

    def job_results(self, job: str, *, after: int, limit: int) -> Sequence[Row[Any]]:
        """Return results of a job in the order of its files."""
        query = _with_feedback().where(results.c.job == job, results.c.seq > after)
        with self.read_transaction() as connection:
            return connection.execute(query.order_by(results.c.seq).limit(limit)).all()

    def judged(self, job: str) -> set[int]:
        """Return the indices of a job's judged files."""
        with self.read_transaction() as connection:
            return set(connection.scalars(select(results.c.seq).where(results.c.job == job)))

    def forget(self, result_id: str, key: str | None) -> tuple[str, str | None] | None:
        """Delete a caller's result; return folder and name of its kept file."""
        mine = (results.c.id == result_id, _of(results.c.key, key))
        with self.write_transaction() as connection:
            row = connection.execute(select(results.c.place, results.c.kept).where(*mine)).first()
            if row is None:
                return None
            connection.execute(delete(feedback).where(feedback.c.result == result_id))
            connection.execute(delete(results).where(*mine))
        return row.place, row.kept

    def expire(
        self, place: str, *, kept_before: float, before: float, jobs_before: float
    ) -> tuple[list[str], bool]:
        """Delete expired results; return the kept files to remove, and whether all are done.

        Args:
            place: Folder of the kept files to return.
            kept_before: Expiry of kept files, by their results' time.
            before: Expiry of results of checks, in any folder.
            jobs_before: Expiry of jobs and their results.
        """
        with self.write_transaction() as connection:
            old = select(results.c.id, results.c.kept).where(
                results.c.kept.is_not(None), results.c.place == place,
                results.c.created < kept_before,
            ).limit(_EXPIRED)  # fmt: skip
            files = connection.execute(old).all()
            if files:
                connection.execute(
                    update(results).where(results.c.id.in_([r.id for r in files])).values(kept=None)
                )
            gone = connection.scalars(
                select(results.c.id)
                .where(
                    results.c.kept.is_(None),
                    or_(
                        and_(results.c.job.is_(None), results.c.created < before),
                        results.c.created < jobs_before,
                    ),
                )
                .limit(_EXPIRED)
            ).all()
            if gone:
                connection.execute(delete(feedback).where(feedback.c.result.in_(gone)))
                connection.execute(delete(results).where(results.c.id.in_(gone)))
            connection.execute(
                delete(jobs).where(jobs.c.finished < jobs_before, jobs.c.state.in_(FINISHED))
            )
        return [row.kept for row in files], max(len(files), len(gone)) < _EXPIRED

    # Feedback

    def add_feedback(self, result_id: str, says: str, note: str) -> None:
        """Store feedback on a result; it replaces earlier feedback."""
        values = {"result": result_id, "says": says, "note": note, "created": time.time()}
        with self.write_transaction() as connection:
            row = upsert(connection, feedback).values(values)
            connection.execute(
                row.on_conflict_do_update(
                    index_elements=["result"],
                    set_={k: v for k, v in values.items() if k != "result"},
                )
            )

    def with_feedback(self, key: str | None) -> Sequence[Row[Any]]:
        """Return a caller's results with feedback, the oldest first."""
        query = _with_feedback().where(_of(results.c.key, key), feedback.c.says.is_not(None))
        with self.read_transaction() as connection:
            return connection.execute(query.order_by(results.c.n)).all()


class Recorder:
    """Inserts results in as few transactions as the database needs.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batcher: MicroBatcher[ResultRow, None] = MicroBatcher(
            self._write, threads=1, most=256, window_s=0.002, waiting=100_000
        )

    def submit(self, row: ResultRow) -> Future[None]:
        """Return a future that completes at the commit, or holds its error."""
        (future,) = self._batcher.submit([row])
        return future

    def close(self) -> None:
        """Write the rest."""
        self._batcher.close()

    def _write(self, rows: Sequence[ResultRow]) -> list[None]:
        self._store.record(rows)
        return [None] * len(rows)


def _with_feedback() -> Select[Any]:
    return select(results, feedback.c.says, feedback.c.note).outerjoin(
        feedback, feedback.c.result == results.c.id
    )


def _of(column: Any, key: str | None) -> Any:  # noqa: ANN401 - the type of SQLAlchemy
    return column.is_(None) if key is None else column == key


def _conditions(filters: Filters) -> list[Any]:
    found: list[Any] = []
    if filters.label is not None:
        none = filters.label == "none"
        found.append(results.c.label.is_(None) if none else results.c.label == filters.label)
    for column, value in (
        (results.c.kind, filters.kind), (results.c.job, filters.job),
        (results.c.sha256, filters.sha256), (feedback.c.says, filters.says),
    ):  # fmt: skip
        if value is not None:
            found.append(column == value)
    if filters.name:
        found.append(results.c.name.icontains(filters.name, autoescape=True))
    if filters.since is not None:
        found.append(results.c.created >= filters.since)
    if filters.until is not None:
        found.append(results.c.created < filters.until)
    return found


@contextmanager
def _reached(name: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        first = cause.splitlines()[0] if cause else type(error).__name__
        raise DatabaseUnreachable(f"{name}: {first}") from error
