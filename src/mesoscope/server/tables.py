"""The service's tables, in SQLite or PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION = 1  # schema version; databases of a higher one are refused

metadata = MetaData()
_number = BigInteger().with_variant(Integer, "sqlite")  # SQLite increments only this type

facts = Table(
    "mesoscope_service",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

keys = Table(
    "mesoscope_service_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("rate", Integer),
    Column("created", Float, nullable=False),
    Column("revoked", Float),
)

jobs = Table(
    "mesoscope_service_jobs",
    metadata,
    Column("n", _number, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("key", String(16)),
    Column("place", String(32), nullable=False),  # the data folder of its upload
    Column("name", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("total", Integer),
    Column("done", Integer, nullable=False, default=0),
    Column("failed", Integer, nullable=False, default=0),
    Column("fake", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0),  # starts without a new result
    Column("error_code", String(40)),
    Column("error_message", Text),
    Column("created", Float, nullable=False),
    Column("finished", Float),
)
Index("mesoscope_service_jobs_open", jobs.c.place, jobs.c.state)

results = Table(
    "mesoscope_service_results",
    metadata,
    Column("n", _number, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("key", String(16)),
    Column("job", String(32)),
    Column("seq", Integer),
    Column("created", Float, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("label", String(12)),
    Column("p_fake", Float),
    Column("model", String(200), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("kept", String(200)),  # its file below the data folder of ``place``
    Column("place", String(32), nullable=False),
    Column("verdict", Text, nullable=False),
    Column("provenance", Text),
    UniqueConstraint("job", "seq"),
)
Index("mesoscope_service_results_key", results.c.key, results.c.n)
Index("mesoscope_service_results_created", results.c.created)

feedback = Table(
    "mesoscope_service_feedback",
    metadata,
    Column("result", String(32), primary_key=True),
    Column("says", String(8), nullable=False),
    Column("note", Text, nullable=False),
    Column("created", Float, nullable=False),
)
