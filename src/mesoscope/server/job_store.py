"""Jobs in the database: taken on, worked on, put back, finished."""

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
    """The jobs of one place, which is a data folder, and all that callers ask of jobs.

    Args:
        store: The database.
        place: The jobs whose uploads lie here are worked on here.
    """

    def __init__(self, store: Store, place: str) -> None:
        self._store = store
        self._place = place

    def add(self, job_id: str, key: str | None, name: str) -> None:
        """Take a job on."""
        with self._store.writes() as connection:
            connection.execute(
                insert(jobs).values(
                    id=job_id, key=key, place=self._place, name=name, state="queued",
                    done=0, failed=0, fake=0, tries=0, created=time.time(),
                )
            )  # fmt: skip

    def get(self, job_id: str, key: str | None) -> Row[Any] | None:
        """A caller's job."""
        mine = jobs.c.key.is_(None) if key is None else jobs.c.key == key
        with self._store.reads() as connection:
            return connection.execute(select(jobs).where(jobs.c.id == job_id, mine)).first()

    def page(self, key: str | None, *, before: int | None, limit: int) -> Sequence[Row[Any]]:
        """A caller's jobs, the latest first."""
        query = select(jobs).where(jobs.c.key.is_(None) if key is None else jobs.c.key == key)
        if before is not None:
            query = query.where(jobs.c.n < before)
        with self._store.reads() as connection:
            return connection.execute(query.order_by(jobs.c.n.desc()).limit(limit)).all()

    def count_open(self, key: str | None) -> int:
        """A caller's jobs that are not finished."""
        mine = jobs.c.key.is_(None) if key is None else jobs.c.key == key
        query = select(func.count()).where(jobs.c.state.in_(OPEN), mine)
        with self._store.reads() as connection:
            return connection.scalar(query) or 0

    def put_all_back(self) -> None:
        """Put back what was being worked on here: the process that did so is no more."""
        mine = (jobs.c.place == self._place, jobs.c.state == "running")
        with self._store.writes() as connection:
            connection.execute(update(jobs).where(*mine).values(state="queued"))

    def take(self) -> Row[Any] | None:
        """The oldest job that waits here; it runs from now on.

        Callers take turns: who has no job running comes first.
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
        with self._store.writes() as connection:
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

    def put_back(self, job_id: str) -> None:
        """Let a job wait again; that it was begun in vain is not its fault."""
        with self._store.writes() as connection:
            connection.execute(
                update(jobs).where(jobs.c.id == job_id, jobs.c.state == "running")
                .values(state="queued", tries=jobs.c.tries - 1)
            )  # fmt: skip

    def begin(self, job_id: str, total: int) -> None:
        """Write down how many files a job has, and count anew what is judged of them."""
        of = results.c.job == job_id
        with self._store.writes() as connection:
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
        """End a job that is open; ``False`` where it has ended already."""
        with self._store.writes() as connection:
            changed = connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state.in_(OPEN))
                .values(state=state, error_code=code, error_message=message, finished=time.time())
            )
        return bool(changed.rowcount)

    def may_go_on(self, job_id: str) -> bool:
        """Whether a job is still wanted: not cancelled, its key not revoked."""
        with self._store.reads() as connection:
            row = connection.execute(
                select(jobs.c.state, keys.c.revoked)
                .outerjoin(keys, keys.c.id == jobs.c.key)
                .where(jobs.c.id == job_id)
            ).first()
        return row is not None and row.state not in FINISHED and row.revoked is None

    def is_revoked(self, job_id: str) -> bool:
        """Whether the key that a job was sent with is revoked."""
        with self._store.reads() as connection:
            query = select(keys.c.revoked).join(jobs, jobs.c.key == keys.c.id)
            return connection.scalar(query.where(jobs.c.id == job_id)) is not None

    def open_ids(self) -> set[str]:
        """Jobs of this place that are not finished."""
        query = select(jobs.c.id).where(jobs.c.place == self._place, jobs.c.state.in_(OPEN))
        with self._store.reads() as connection:
            return set(connection.scalars(query))
