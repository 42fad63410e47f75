"""Jobs in the database: accepted, running, requeued, finished."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from mesoscope.server.store import FINISHED, OPEN
from mesoscope.server.tables import jobs, keys, results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from mesoscope.server.store import Store


class JobStore:
    """The jobs of one data folder, and the queries of callers.

    Args:
        store: The database.
        place: Name of the data folder; only jobs uploaded to it run here.
    """

    def __init__(self, store: Store, place: str) -> None:
        self._store = store
        self._place = place

    def add(self, job_id: str, key: str | None, name: str) -> None:
        """Accept a job."""
        with self._store.write_transaction() as connection:
            connection.execute(
                insert(jobs).values(
                    id=job_id, key=key, place=self._place, name=name, state="queued",
                    done=0, failed=0, fake=0, tries=0, created=time.time(),
                )
            )  # fmt: skip

    def get(self, job_id: str, key: str | None) -> Row[Any] | None:
        """Return a caller's job."""
        mine = jobs.c.key.is_(None) if key is None else jobs.c.key == key
        with self._store.read_transaction() as connection:
            return connection.execute(select(jobs).where(jobs.c.id == job_id, mine)).first()

    def page(self, key: str | None, *, before: int | None, limit: int) -> Sequence[Row[Any]]:
        """Return a caller's jobs, the latest first."""
        query = select(jobs).where(jobs.c.key.is_(None) if key is None else jobs.c.key == key)
        if before is not None:
            query = query.where(jobs.c.n < before)
        with self._store.read_transaction() as connection:
            return connection.execute(query.order_by(jobs.c.n.desc()).limit(limit)).all()

    def count_open(self, key: str | None) -> int:
        """Return the number of a caller's unfinished jobs."""
        mine = jobs.c.key.is_(None) if key is None else jobs.c.key == key
        query = select(func.count()).where(jobs.c.state.in_(OPEN), mine)
        with self._store.read_transaction() as connection:
            return connection.scalar(query) or 0

    def requeue_all(self) -> None:
        """Requeue the jobs of a process that has ended."""
        mine = (jobs.c.place == self._place, jobs.c.state == "running")
        with self._store.write_transaction() as connection:
            connection.execute(update(jobs).where(*mine).values(state="queued"))

    def claim_next(self) -> Row[Any] | None:
        """Return the oldest waiting job of this folder, and mark it as running.

        Callers alternate: those without a running job come first.
        """
        mine = jobs.c.place == self._place
        running = jobs.alias()
        at_work = (
            select(func.count())
            .where(
                running.c.place == self._place, running.c.state == "running",
                func.coalesce(running.c.key, "") == func.coalesce(jobs.c.key, ""),
            )
            .scalar_subquery()
        )  # fmt: skip
        with self._store.write_transaction() as connection:
            row = connection.execute(
                select(jobs).where(mine, jobs.c.state == "queued").order_by(at_work, jobs.c.n)
                .limit(1)
                .with_for_update(skip_locked=True, of=jobs)
            ).first()  # fmt: skip
            if row is not None:
                connection.execute(
                    update(jobs)
                    .where(jobs.c.id == row.id)
                    .values(state="running", tries=jobs.c.tries + 1)
                )
        return row

    def requeue(self, job_id: str) -> None:
        """Requeue a job, without counting the try."""
        with self._store.write_transaction() as connection:
            connection.execute(
                update(jobs).where(jobs.c.id == job_id, jobs.c.state == "running")
                .values(state="queued", tries=jobs.c.tries - 1)
            )  # fmt: skip

    def begin(self, job_id: str, total: int) -> None:
        """Record a job's number of files, and count again the judged ones."""
        of = results.c.job == job_id
        with self._store.write_transaction() as connection:
            rows = connection.execute(select(results.c.label, results.c.verdict).where(of))
            done = failed = fake = 0
            for row in rows:
                done += 1
                failed += '"error":null' not in row.verdict
                fake += row.label == "fake"
            connection.execute(
                update(jobs).where(jobs.c.id == job_id)
                .values(total=total, done=done, failed=failed, fake=fake)
            )  # fmt: skip

    def finish(
        self, job_id: str, state: str, *, code: str | None = None, message: str | None = None
    ) -> bool:
        """Finish an open job; ``False`` if it has ended already."""
        with self._store.write_transaction() as connection:
            changed = connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state.in_(OPEN))
                .values(state=state, error_code=code, error_message=message, finished=time.time())
            )
        return bool(changed.rowcount)

    def may_continue(self, job_id: str) -> bool:
        """Whether a job is neither cancelled nor its key revoked."""
        with self._store.read_transaction() as connection:
            row = connection.execute(
                select(jobs.c.state, keys.c.revoked)
                .outerjoin(keys, keys.c.id == jobs.c.key)
                .where(jobs.c.id == job_id)
            ).first()
        return row is not None and row.state not in FINISHED and row.revoked is None

    def is_revoked(self, job_id: str) -> bool:
        """Whether a job's key is revoked."""
        with self._store.read_transaction() as connection:
            query = select(keys.c.revoked).join(jobs, jobs.c.key == keys.c.id)
            return connection.scalar(query.where(jobs.c.id == job_id)) is not None

    def open_ids(self) -> set[str]:
        """Return the unfinished jobs of this folder."""
        query = select(jobs.c.id).where(jobs.c.place == self._place, jobs.c.state.in_(OPEN))
        with self._store.read_transaction() as connection:
            return set(connection.scalars(query))
