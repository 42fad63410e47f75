"""The parts of a running service, opened and closed in order."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL

from mesoscope.errors import JobError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.runtime.threads import cores
from mesoscope.server.batching import MicroBatcher
from mesoscope.server.checking import CheckItem, CheckResult, UploadChecker, compact
from mesoscope.server.job_store import JobStore
from mesoscope.server.jobs import Jobs
from mesoscope.server.keys import KeyRing, RateLimiter
from mesoscope.server.middleware import Log, Telemetry
from mesoscope.server.spool import KeptFiles, UploadSpool, private_folder
from mesoscope.server.store import DatabaseUnreachable, Recorder, ResultRow, Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from sqlalchemy import Row

    from mesoscope.server.settings import ServiceSettings

LEDGER = "service.sqlite"
SWEEP_S = 600.0
DAY_S = 86_400.0


def ledger_url(data: Path, url: str | None) -> str | URL:
    """Return the given database URL, else a file in the data folder."""
    return URL.create("sqlite", database=str(data / LEDGER)) if url is None else url


class Service:
    """The state behind the routes.

    Args:
        settings: The settings.
        log: The log; standard error by default.
        environment: Environment of report processes; ``None`` for that of this process.

    Raises:
        ModelError: The model does not exist.
        OutputError: The data folder is not writable, or the database is not available.
        JobError: Another service uses the data folder, or the database URL is not valid.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        log: Log | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = settings
        self.environment = environment
        self.log = log or Log(names=settings.log_names)
        self.telemetry = Telemetry()
        self.in_progress = 0
        self.listeners = 0
        self.stopping = False
        self.rates = RateLimiter()
        data = private_folder(settings.data)
        self._lock = _lock_folder(data)
        self.place = _place(data)
        self.checker = UploadChecker(settings.model, settings.options, self._log_failure)
        self.store = Store(ledger_url(data, settings.ledger))
        if settings.ledger is None:
            (data / LEDGER).chmod(0o600)
        self.keys = KeyRing(self.store) if settings.keys else None
        self.spool = UploadSpool(data / "spool", settings.limits.spool_bytes)
        self.kept = KeptFiles(data / "kept", self.place, settings.keep_days)
        self.recorder = Recorder(self.store)
        self.batcher: MicroBatcher[CheckItem, CheckResult] = MicroBatcher(
            self.checker.check_many,
            threads=settings.options.jobs or cores(),
            window_s=settings.window_s,
            waiting=settings.limits.waiting,
        )
        self.job_store = JobStore(self.store, self.place)
        self.jobs = Jobs(
            data / "jobs", self.job_store, self.batcher,
            record=self._record_of_job, judged=self.store.judged, limits=settings.limits,
            keep=self.kept.wanted, log=self.log.write,
        )  # fmt: skip
        self._ended = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_periodically, daemon=True)
        telemetry = self.telemetry
        telemetry.watch("mesoscope_waiting", "Files that wait", lambda: self.batcher.waiting)
        telemetry.watch("mesoscope_batches", "Batches judged", lambda: self.batcher.batches)
        telemetry.watch("mesoscope_batched", "Files in them", lambda: self.batcher.items)
        telemetry.in_progress.set_function(lambda: self.in_progress)

    def _log_failure(self, event: str, fields: dict[str, object]) -> None:
        self.log.write(event, fields, "error")

    def open(self) -> None:
        """Start: keys, pending jobs, retention."""
        if self.keys is not None:
            self.keys.open()
        self.jobs.open()
        self._sweeper.start()
        self.log.write("ready", {"model": self.checker.plain.model_id, "ledger": self.store.name})

    def close(self) -> None:
        """Finish accepted work, requeue jobs, and close everything."""
        self.stopping = True
        self._ended.set()
        self.jobs.close()
        self.batcher.close()
        self.recorder.close()
        if self.keys is not None:
            self.keys.close()
        self.store.close()
        if self._lock is not None:
            os.close(self._lock)
        self.log.write("stopped", {})

    def record(self, item: CheckItem, answer: CheckResult, key: str | None) -> Future[None] | None:
        """Commit the result of a check; ``None`` if results are not kept."""
        if not self.settings.keep_results_days:
            return None
        return self.recorder.submit(self._row(item, answer, key))

    def count(self, answer: CheckResult) -> None:
        """Count a verdict."""
        self.telemetry.verdicts.labels(answer.verdict.label or "none").inc()

    def _record_of_job(
        self,
        item: CheckItem,
        answer: CheckResult,
        job: Row[Any],
        seq: int,
    ) -> Future[None]:
        self.count(answer)
        row = self._row(item, answer, job.key, job=job.id, seq=seq)
        return self.recorder.submit(row)

    def _row(
        self,
        item: CheckItem,
        answer: CheckResult,
        key: str | None,
        *,
        job: str | None = None,
        seq: int | None = None,
    ) -> ResultRow:
        verdict = answer.verdict
        kept = None
        if answer.data is not None and verdict.error is None:
            with contextlib.suppress(OSError):  # the verdict is kept without it
                kept = self.kept.add(item.id, answer.data)
        provenance = answer.provenance
        return ResultRow(
            id=item.id, key=key, name=verdict.source, kind=verdict.kind, label=verdict.label,
            p_fake=verdict.p_fake, model=verdict.model, sha256=answer.sha256, place=self.place,
            verdict=answer.text, failed=verdict.error is not None, kept=kept, job=job,
            seq=seq, provenance=None if provenance is None else compact(provenance).decode(),
            created=time.time(),
        )  # fmt: skip

    def _sweep_periodically(self) -> None:
        while True:
            with contextlib.suppress(DatabaseUnreachable, OSError):
                self.sweep()
            if self._ended.wait(SWEEP_S):
                return

    def sweep(self) -> None:
        """Delete what exceeds its retention, and the uploads of ended jobs."""
        self.jobs.sweep()
        now = time.time()
        days = self.settings.keep_results_days
        whole = False
        while not whole:
            files, whole = self.store.expire(
                self.place,
                kept_before=now - DAY_S * self.settings.keep_days,
                before=now - DAY_S * days,
                # Results of jobs must be fetched, so they are kept for a day at least.
                jobs_before=now - DAY_S * max(days, 1.0),
            )
            for kept in files:
                self.kept.remove(kept)


def _lock_folder(data: Path) -> int | None:
    """Lock the data folder; the operating system releases the lock of any ended process.

    Raises:
        JobError: Another process holds the lock.
        OutputError: The folder is not writable.
    """
    try:
        import fcntl
    except ImportError:  # Windows: without a lock
        return None
    try:
        lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OutputError(f"{data}: cannot be written: {cause(error)}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise JobError(
            f"{data}: another service uses this folder: name another with `data`"
        ) from error
    return lock


def _place(data: Path) -> str:
    """Return the name of a data folder, created once."""
    path = data / "place"
    try:
        if not path.exists():
            path.write_text(secrets.token_hex(16), "ascii")
        return path.read_text("ascii").strip()
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {cause(error)}") from error
