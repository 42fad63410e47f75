"""A ledger in PostgreSQL: a schema for each job, and connections that end when a machine does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, func, select
from sqlalchemy.schema import CreateSchema

from mesoscope.errors import JobError, MissingExtra

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["create_tables", "open_postgresql"]

_IN_URL = "schema"  # of a ledger's URL: names the job's schema; ours alone, no driver sees it
IDLE_S = 60  # a transaction without a statement for so long is rolled back, and its locks are free
# A machine that lost its power, or the network between, says nothing: without these a connection
# waits for hours. libpq's own names; a ledger's URL may give others.
_CONNECT = {
    "connect_timeout": 30,  # s
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # ms
}
_KEEPALIVES = {  # the same on the server's side
    "tcp_keepalives_idle": 30,
    "tcp_keepalives_interval": 10,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# Servers before version 12 lack one of these settings.
_SET = """
SELECT set_config(pg_settings.name, given.value, false)
FROM unnest(%s::text[], %s::text[]) AS given (name, value) JOIN pg_settings USING (name)
"""
_BEGINNING = 0x6D65736F  # key of the lock that one process at a time makes tables under


def open_postgresql(url: URL) -> Engine:
    """Create an engine, without connecting.

    Args:
        url: Of the database; with ``schema=NAME`` in its query, of that schema in it.

    Raises:
        JobError: A schema of a name that is none.
        MissingExtra: The driver is not installed.
    """
    schema = _schema(url)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "psycopg", extra="postgres") from error

    @event.listens_for(engine, "do_connect")
    def with_timeouts(_dialect: object, _record: object, _args: object, given: Any) -> None:  # noqa: ANN401
        given.pop(_IN_URL, None)
        for name, value in _CONNECT.items():
            given.setdefault(name, value)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:  # noqa: ANN401
        settings = {"idle_in_transaction_session_timeout": f"{IDLE_S}s", **_KEEPALIVES}
        if schema is not None:
            settings["search_path"] = f'"{schema}"'
        connection.autocommit = True
        connection.execute(_SET, (list(settings), [str(value) for value in settings.values()]))
        connection.autocommit = False

    return engine


def create_tables(connection: Connection, metadata: MetaData) -> None:
    """Create the tables that are missing, and in PostgreSQL the schema of the ledger's URL.

    One process at a time does so, and the others wait for the end of its transaction.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_BEGINNING)))
        schema = _schema(connection.engine.url)
        if schema is not None:
            connection.execute(CreateSchema(schema, if_not_exists=True))
    metadata.create_all(connection)


def _schema(url: URL) -> str | None:
    """Return the schema that a URL names.

    Raises:
        JobError: Not one name of letters, digits and underscores.
    """
    name = url.query.get(_IN_URL)
    if name is None:
        return None
    if not isinstance(name, str) or not re.fullmatch(r"(?!pg_)[a-z_][a-z0-9_]{0,62}", name):
        shown = name if isinstance(name, str) else " and ".join(name)
        raise JobError(
            f"`ledger`: schema={shown}: not the name of a job: give up to 63 lower-case letters, "
            "digits and underscores, no digit first, and not pg_…"
        )
    return name
