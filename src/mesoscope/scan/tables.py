"""The ledger's tables and rows, and opening of its database: SQLite or PostgreSQL."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    literal_column,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from mesoscope.errors import JobError, MesoscopeError, OutputError
from mesoscope.scan.postgresql import open_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator


PENDING, CLAIMED, DONE, FAILED, REMOVED = "pending", "claimed", "done", "failed", "removed"
STATES = frozenset((PENDING, CLAIMED, DONE, FAILED, REMOVED))


class LedgerRow(NamedTuple):
    """The columns that a walk is compared with."""

    path: bytes
    size_bytes: int
    mtime_ns: int
    state: str
    opened: bool  # whether its content is known


class Claim(NamedTuple):
    """A file claimed by this process."""

    path: bytes
    sha256: bytes | None  # of the content judged before, if any


class KnownContent(NamedTuple):
    """A judged content: its path, and the verdict as JSON."""

    path: bytes
    verdict: str


class Outcome(NamedTuple):
    """Result of a claimed file.

    Attributes:
        path: Path as bytes on disk.
        state: ``done``, ``failed`` or ``removed``.
        size_bytes: Size when it was read.
        mtime_ns: Modification time when it was read.
        sha256: Digest of its content; ``None`` if it was not readable.
        label: Label of the verdict.
        p_fake: Score of the verdict.
        verdict: The verdict as JSON; ``None`` for a missing file.
        duplicate_of: Path of the judged file with the same content.
    """

    path: bytes
    state: str
    size_bytes: int = 0
    mtime_ns: int = 0
    sha256: bytes | None = None
    label: str | None = None
    p_fake: float | None = None
    verdict: str | None = None
    duplicate_of: bytes | None = None


class Result(NamedTuple):
    """A judged file of the ledger."""

    path: bytes
    size_bytes: int
    mtime_ns: int
    sha256: bytes | None
    duplicate_of: bytes | None
    verdict: str


@dataclass(slots=True)
class JobCounts:
    """Counts of a job's files.

    Attributes:
        states: Files by state.
        labels: Judged files by label; ``none`` without a label.
        duplicates: Number of files with the content of another.
    """

    states: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    @property
    def left(self) -> int:
        """Number of files without a verdict."""
        return self.states[PENDING] + self.states[CLAIMED]

    @property
    def failed(self) -> int:
        """Number of unreadable files."""
        return self.states[FAILED]


VERSION = 1  # schema version; ledgers of a higher one are refused
BUSY_S = 60.0  # longest wait for SQLite's single write lock
# SQLite errors of an intact ledger in an unsuitable environment.
_PASSING = ("locked", "busy", "disk is full", "readonly", "read-only", "unable to open", "disk I/O",
            "interrupted")  # fmt: skip
# PostgreSQL's of a lost connection, a state of the transaction such as a standby's, a rollback,
# a lack of resources, an operator, the system, and a missing permission.
_PASSING_STATES = ("08", "25", "40", "53", "57", "58", "42501")
READS = "mesoscope_reads"  # option of a read-only connection

metadata = MetaData()

job = Table(
    "mesoscope_job",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

# Paths are bytes, as on disk: a name need not be UTF-8, and bytes have one order in every
# database, that of the walk. This table is narrow, as a resumed job reads all of it; verdicts, of a
# kilobyte and more, are kept apart.
files = Table(
    "mesoscope_files",
    metadata,
    Column("path", LargeBinary, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("owner", String(120)),
    Column("sha256", LargeBinary),
    Column("label", String(12)),
    Column("p_fake", Float),
    Column("duplicate_of", LargeBinary),
    sqlite_with_rowid=False,
)


def state_is(state: str) -> ColumnElement[bool]:
    """Build a state condition in the form that the partial indexes below match."""
    return files.c.state == literal_column(f"'{state}'")


# Few of a million files are open, and only those are in these indexes.
Index(
    "mesoscope_files_pending", files.c.path,
    sqlite_where=state_is(PENDING), postgresql_where=state_is(PENDING),
)  # fmt: skip
Index(
    "mesoscope_files_claimed", files.c.owner,
    sqlite_where=state_is(CLAIMED), postgresql_where=state_is(CLAIMED),
)  # fmt: skip
Index("mesoscope_files_sha256", files.c.sha256)

verdicts = Table(
    "mesoscope_verdicts",
    metadata,
    Column("path", LargeBinary, primary_key=True),
    Column("verdict", Text, nullable=False),
)

workers = Table(
    "mesoscope_workers",
    metadata,
    Column("owner", String(120), primary_key=True),
    Column("seen_at", Float, nullable=False),
)


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Build an insert that supports conflict clauses."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def open_engine(url: str | URL, *, read_only: bool = False) -> Engine:
    """Create an engine, without connecting.

    Args:
        url: An SQLAlchemy URL of an SQLite file or a PostgreSQL database; ``?schema=NAME`` at its
            end takes a schema of that database, so that it holds several jobs.
        read_only: Never write, to support read-only folders.

    Raises:
        JobError: The URL is not valid, or of another database.
        MissingExtra: PostgreSQL's driver is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise JobError(
            "`ledger`: not a database URL: write postgresql+psycopg://user@host/database or "
            "sqlite:////folder/ledger.sqlite"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise JobError(f"{url}: a ledger must outlive its process: name a file")
        if read_only:
            return create_engine(parsed, creator=partial(_open_read_only, parsed.database))
        engine = create_engine(parsed, connect_args={"timeout": BUSY_S})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if backend != "postgresql":
        raise JobError(
            f"{parsed.render_as_string()}: a ledger is kept in SQLite or PostgreSQL, not in "
            f"{backend}"
        )
    return open_postgresql(parsed)


def _open_read_only(database: str) -> sqlite3.Connection:
    """Open an SQLite file that is read-only, or in a read-only folder.

    Raises:
        sqlite3.Error: The file cannot be opened.
        JobError: A killed scan left changes in a journal that only a writer can apply.
    """
    raw = os.path.abspath(database)  # noqa: PTH100
    place = "file:" + quote(os.fsencode(raw))
    try:
        connection = sqlite3.connect(f"{place}?mode=ro", uri=True, timeout=BUSY_S)
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.OperationalError:
        log = raw + "-wal"
        if os.path.exists(log) and os.path.getsize(log):  # noqa: PTH110, PTH202
            raise JobError(
                f"{database}: a scan ended in mid-work, and its last changes in {log} cannot be "
                "taken over where nothing can be written: copy the job folder, and use the copy"
            ) from None
        # Without a journal and without writers, it may be read as it is.
        connection = sqlite3.connect(f"{place}?immutable=1", uri=True, timeout=BUSY_S)
    connection.isolation_level = None
    return connection


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says so
    # WAL lets a reader and a writer run together. Some network drives refuse it, and SQLite
    # then keeps its older journal.
    connection.execute("PRAGMA journal_mode=WAL")
    # After a power failure the last commits may be lost, without damage; their files are scanned
    # again. A killed process loses no commit.
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that began by reading cannot wait for another's write, one that began
    # as a writer can.
    reads = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def database_errors(name: str) -> Iterator[None]:
    """Context for database work: errors become one line that names the ledger.

    Raises:
        OutputError: The disk is full, or the database is not available; committed rows stay.
        JobError: This is no ledger, or it is damaged.
    """
    try:
        yield
    except MesoscopeError:
        raise
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = _cause(error)
        if not _is_passing(error, cause):
            raise JobError(damaged(name, cause)) from error
        if "locked" in cause:
            cause += " by another program"
        raise OutputError(
            f"{name}: {cause}: what was written before is safe; see to it, then go on with `resume`"
        ) from error
    except (ValueError, TypeError, OverflowError, KeyError, AttributeError) as error:
        raise JobError(damaged(name, f"it holds a value that is none: {error}")) from error


def damaged(name: str, cause: str) -> str:
    """Return the message for a damaged ledger."""
    return (
        f"{name}: not a ledger, or a damaged one: {cause}: bring back a copy of the job folder, or "
        "begin a new job"
    )


def _is_passing(error: Exception, cause: str) -> bool:
    """Whether the ledger is intact, and the disk, the server or the way to it are not."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        operational = isinstance(original, sqlite3.OperationalError)
        return operational and any(words in cause for words in _PASSING)
    state = getattr(original, "sqlstate", None) or ""
    return isinstance(error, OperationalError) or state.startswith(_PASSING_STATES)


def _cause(error: Exception) -> str:
    original: Any = error.orig if isinstance(error, DBAPIError) else error
    lines = str(original).strip().splitlines()
    return lines[0] if lines else type(original).__name__


def from_json(text: object, name: str, what: str) -> Any:  # noqa: ANN401 - any stored value
    """Parse JSON of the ledger.

    Raises:
        JobError: The text is no JSON.
    """
    try:
        return json.loads(text)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError) as error:
        raise JobError(damaged(name, f"{what} is no JSON")) from error
