"""The ledger of a job: its files, their claims and verdicts."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, delete, insert, or_, select, update

from mesoscope.errors import JobError
from mesoscope.scan import tables
from mesoscope.scan.ledger_reader import LedgerReader
from mesoscope.scan.postgresql import create_tables
from mesoscope.scan.tables import (
    CLAIMED,
    FAILED,
    PENDING,
    REMOVED,
    Claim,
    LedgerRow,
    Outcome,
    database_errors,
    files,
    upsert,
    verdicts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from mesoscope.types import Json


class Ledger(LedgerReader):
    """A job's ledger.

    Every method is one transaction, or reads page by page, so a process may be killed at any time.
    Several processes may use one ledger.

    Args:
        engine: Engine from :func:`mesoscope.scan.tables.open_engine`.

    Raises:
        OutputError: From any method: the disk is full, or the database is not available.
        JobError: From any method: this is no ledger, or it is damaged.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._entered: set[str] = set()  # processes entered through this object

    @contextmanager
    def _writes(self) -> Iterator[Connection]:
        with database_errors(self.name), self._engine.begin() as connection:
            yield connection

    def begin(self, facts: Mapping[str, Json]) -> None:
        """Create the tables and record the job's model and options.

        Raises:
            JobError: Another process has begun this job in the meantime.
        """
        with self._writes() as connection:
            create_tables(connection, tables.metadata)
            if connection.execute(select(tables.job).limit(1)).first() is not None:
                raise JobError(
                    f"{self.name}: another scan has just begun this job: join it with `resume`"
                )
            rows = {"version": tables.VERSION, **facts}
            connection.execute(
                insert(tables.job),
                [{"name": name, "value": json.dumps(value)} for name, value in rows.items()],
            )

    def plan(
        self,
        *,
        removed: Sequence[bytes] = (),
        new: Sequence[tuple[bytes, int, int]] = (),
        changed: Sequence[LedgerRow] = (),
    ) -> None:
        """Record the result of a walk.

        Rows that another process has claimed or finished since they were read stay.

        Args:
            removed: Paths of missing files.
            new: Path, size and time of files to scan.
            changed: Rows as they were read, of files to scan again.
        """
        with self._writes() as connection:
            if removed:
                connection.execute(
                    update(files)
                    .where(files.c.path == bindparam("p"), files.c.state != CLAIMED)
                    .values(state=REMOVED),
                    [{"p": path} for path in removed],
                )
            if new:
                row = upsert(connection, files)
                connection.execute(
                    row.on_conflict_do_update(
                        index_elements=[files.c.path],
                        set_={"state": PENDING},
                        where=files.c.state == REMOVED,
                    ),
                    [
                        {"path": path, "size_bytes": size, "mtime_ns": mtime, "state": PENDING}
                        for path, size, mtime in new
                    ],
                )
            if changed:
                connection.execute(
                    update(files)
                    .where(
                        files.c.path == bindparam("p"),
                        files.c.state == bindparam("s"),
                        files.c.state != CLAIMED,
                        files.c.size_bytes == bindparam("z"),
                        files.c.mtime_ns == bindparam("m"),
                    )
                    .values(state=PENDING),
                    [
                        {"p": r.path, "s": r.state, "z": r.size_bytes, "m": r.mtime_ns}
                        for r in changed
                    ],
                )

    def claim(self, owner: str, count: int) -> list[Claim]:
        """Claim up to so many open files.

        The process is entered if it was not, as claims need a known owner. A process that was
        entered and then removed has lost its lease, and gets nothing until its next
        :meth:`heartbeat`.
        """
        query = (
            select(files.c.path, files.c.sha256)
            .where(tables.state_is(PENDING))
            .order_by(files.c.path)
            .limit(count)
            .with_for_update(skip_locked=True)
        )
        me = tables.workers.c.owner == owner
        seen_at = self.now()
        with self._writes() as connection:
            entered = select(tables.workers.c.owner).where(me).with_for_update()
            if connection.execute(entered).first() is None:
                if owner in self._entered:
                    return []
                self._enter(connection, owner, seen_at)
            claims = [Claim._make(row) for row in connection.execute(query)]
            if claims:
                taken = connection.execute(
                    update(files)
                    .where(files.c.path.in_([claim.path for claim in claims]))
                    .values(state=CLAIMED, owner=owner)
                )
                if taken.rowcount != len(claims):  # else the same would be claimed for ever
                    raise JobError(tables.damaged(self.name, "its indexes do not fit its rows"))
        return claims

    def finish(self, owner: str, outcomes: Sequence[Outcome]) -> int:
        """Commit outcomes, all or none; those of files claimed by others are dropped.

        Returns:
            The number of rows written.
        """
        paths = [outcome.path for outcome in outcomes]
        mine = and_(files.c.path.in_(paths), files.c.owner == owner, files.c.state == CLAIMED)
        with self._writes() as connection:
            # In order, here and in `release`: two that lock the same rows wait, and never for
            # each other.
            rows = select(files.c.path).where(mine).order_by(files.c.path).with_for_update()
            owned = set(connection.scalars(rows))
            kept = [outcome for outcome in outcomes if outcome.path in owned]
            if kept:
                self._write(connection, kept)
        return len(kept)

    def fail(self, outcomes: Sequence[Outcome]) -> None:
        """Record paths that cannot be walked into; they cannot be claimed."""
        with self._writes() as connection:
            rows = upsert(connection, files).on_conflict_do_nothing()
            connection.execute(
                rows,
                [
                    {"path": o.path, "size_bytes": 0, "mtime_ns": 0, "state": FAILED}
                    for o in outcomes
                ],
            )
            self._write(connection, outcomes)

    def _write(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        values = [
            {"p": o.path, **{k: v for k, v in o._asdict().items() if k not in ("path", "verdict")}}
            for o in outcomes
        ]
        connection.execute(
            update(files).where(files.c.path == bindparam("p")).values(owner=None), values
        )
        given = [{"path": o.path, "verdict": o.verdict} for o in outcomes if o.verdict is not None]
        if given:
            row = upsert(connection, verdicts)
            connection.execute(
                row.on_conflict_do_update(
                    index_elements=[verdicts.c.path], set_={"verdict": row.excluded.verdict}
                ),
                given,
            )

    def heartbeat(self, owner: str) -> None:
        """Record that a process is alive."""
        seen_at = self.now()
        with self._writes() as connection:
            self._enter(connection, owner, seen_at)

    def _enter(self, connection: Connection, owner: str, seen_at: float) -> None:
        row = upsert(connection, tables.workers).values(owner=owner, seen_at=seen_at)
        connection.execute(
            row.on_conflict_do_update(index_elements=["owner"], set_={"seen_at": seen_at})
        )
        self._entered.add(owner)

    def release(self, owner: str) -> None:
        """Remove a process: its unfinished claims are free again.

        Args:
            owner: One of :meth:`seen`; an empty name frees claims without a known process.
        """
        its = files.c.owner == owner
        if not owner:
            entered = select(tables.workers.c.owner)
            its = or_(files.c.owner.is_(None), files.c.owner.not_in(entered))
        claimed = and_(tables.state_is(CLAIMED), its)
        rows = select(files.c.path).where(claimed).order_by(files.c.path).with_for_update()
        with self._writes() as connection:
            connection.execute(rows)
            connection.execute(update(files).where(claimed).values(state=PENDING, owner=None))
            connection.execute(delete(tables.workers).where(tables.workers.c.owner == owner))
