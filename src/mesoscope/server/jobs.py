"""Background jobs on clips and archives, resumable after any termination."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from mesoscope.errors import MesoscopeError, SourceError
from mesoscope.server.archives import members
from mesoscope.server.checking import CheckItem, ClipRequest
from mesoscope.server.problems import Problem
from mesoscope.server.spool import private_folder
from mesoscope.server.store import DatabaseUnreachable, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mesoscope.server.archives import Member
    from mesoscope.server.batching import MicroBatcher
    from mesoscope.server.checking import CheckResult
    from mesoscope.server.job_store import JobStore
    from mesoscope.server.settings import Limits
    from mesoscope.server.spool import Upload

    Row = Any
    Record = Callable[[CheckItem, CheckResult, Row, int], Future[None]]

RUNNERS = 2  # parallel jobs: a short one does not wait for a long one
IN_FLIGHT = 8  # files of one job in the queue
POLL_S = 1.0  # interval of checks for cancellation
RETRY_S = 2.0  # retry interval after a database error
UPLOAD = "upload"
TRIES = 5  # starts without a new result, after which a job is considered to end the process


class Stopped(Exception):  # noqa: N818 - not an error
    """The service stops, or the job was cancelled."""


class Jobs:
    """Accepts and runs jobs.

    A job is accepted when its upload is on disk and its row is committed. A file's result is
    committed before the job continues, so after a restart only files without one are judged.

    Args:
        folder: Folder of the jobs' uploads.
        store: Table of jobs.
        batcher: Judges pictures, after those of checks.
        record: Commits a result.
        judged: Returns the indices of a job's files with results.
        limits: Limits of archives and clips.
        log: Called with each log line.
    """

    def __init__(
        self,
        folder: Path,
        store: JobStore,
        batcher: MicroBatcher[CheckItem, CheckResult],
        *,
        record: Record,
        judged: Callable[[str], set[int]],
        limits: Limits,
        provenance: bool = True,
        keep: bool = False,
        log: Callable[[str, dict[str, object]], None],
    ) -> None:
        self._folder = private_folder(folder)
        self._store = store
        self._batcher = batcher
        self._record = record
        self._judged = judged
        self._limits = limits
        self._provenance = provenance
        self._keep = keep
        self._log = log
        self._stopping = threading.Event()
        self._arrived = threading.Condition()
        self._clip_turn = threading.Lock()
        self._in_use: set[str] = set()  # jobs whose folders are being written or read
        self._threads = [
            threading.Thread(target=self._run, name=f"job-{n}", daemon=True) for n in range(RUNNERS)
        ]

    def open(self) -> None:
        """Requeue the jobs of a killed process, remove leftovers, and start."""
        self._store.requeue_all()
        self.sweep()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop; running jobs finish their current files and are requeued."""
        self._stopping.set()
        with self._arrived:
            self._arrived.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def add(self, upload: Upload, key: str | None) -> str:
        """Accept a job whose upload is safely on disk.

        Raises:
            Problem: The upload is neither a clip nor a ZIP archive of pictures, or exceeds the
                limits.
            DatabaseUnreachable: The database is not available; the job was not accepted.
            OSError: The upload cannot be moved to its place.
        """
        if upload.path is None:
            raise Problem("request.invalid", "there is no file in the request")
        if upload.is_zip:
            with members(upload.path, self._limits):
                pass  # archives that cannot be listed are refused now
        elif upload.kind is None:
            raise Problem(
                "source.unreadable",
                f"{upload.name}: neither picture, clip nor ZIP archive, whatever its name says",
                status=415,
            )
        job_id = new_id()
        with self._using(job_id):
            folder = private_folder(self._folder / job_id)
            try:
                upload.path.replace(folder / UPLOAD)
                self._store.add(job_id, key, upload.name)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        with self._arrived:
            self._arrived.notify()
        return job_id

    def cancel(self, job_id: str) -> bool:
        """Cancel an unfinished job; ``False`` if it has ended already.

        The upload goes at once, or after the current file of a running job.
        """
        cancelled = self._store.finish(job_id, "cancelled")
        if cancelled:
            with contextlib.suppress(DatabaseUnreachable, OSError):  # a later sweep removes it
                self.sweep()
        return cancelled

    @contextlib.contextmanager
    def _using(self, job_id: str) -> Iterator[None]:
        """Keep :meth:`sweep` from removing the folder of a job."""
        self._in_use.add(job_id)
        try:
            yield
        finally:
            self._in_use.discard(job_id)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                job = self._store.claim_next()
            except DatabaseUnreachable as error:
                self._log("the database is away", {"error": str(error)})
                self._stopping.wait(RETRY_S)
                continue
            if job is None:
                with self._arrived:
                    if not self._stopping.is_set():
                        self._arrived.wait(POLL_S)
                continue
            with self._using(job.id):
                self._work(job)
            with contextlib.suppress(DatabaseUnreachable, OSError):  # a later sweep removes it
                self.sweep()

    def _work(self, job: Row) -> None:
        state, code, message = "done", None, None
        try:
            self._do(job)
        except Stopped:
            if not self._is_revoked(job.id):
                self._requeue(job.id)
                return
            state, code = "cancelled", "key.invalid"
            message = "the key that this job was sent with was revoked"
        except DatabaseUnreachable as error:
            self._log("the database is away", {"job": job.id, "error": str(error)})
            self._stopping.wait(RETRY_S)
            self._requeue(job.id)
            return
        except Problem as problem:
            state, code, message = "failed", problem.code, problem.detail
        except Exception as error:  # noqa: BLE001 - one failing job does not end the others
            code = error.code if isinstance(error, MesoscopeError) else "service.failed"
            state, message = "failed", "the job could not be worked on"
            self._log("a job failed", {"job": job.id, "error": f"{type(error).__name__}: {error}"})
        self._repeat(lambda: self._store.finish(job.id, state, code=code, message=message))

    def _is_revoked(self, job_id: str) -> bool:
        with contextlib.suppress(DatabaseUnreachable):
            return self._store.is_revoked(job_id)
        return False

    def _requeue(self, job_id: str) -> None:
        """Requeue a job; a cancelled one stays cancelled."""
        self._repeat(lambda: self._store.requeue(job_id))

    def _repeat(self, write: Callable[[], object]) -> None:
        """Write until the database is reached, or the service stops.

        The next start requeues a job that could not be written.
        """
        while True:
            try:
                write()
            except DatabaseUnreachable:
                if self._stopping.wait(RETRY_S):
                    return
            else:
                return

    def sweep(self) -> None:
        """Remove the uploads of jobs that have ended, but for those in use.

        Raises:
            DatabaseUnreachable: The database is not available.
        """
        folders = list(self._folder.iterdir())
        in_use = set(self._in_use)  # before the query: a job that is added later is not listed
        wanted = self._store.open_ids() | in_use
        for folder in folders:
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)

    def _do(self, job: Row) -> None:
        if job.tries >= TRIES:
            raise Problem(
                "service.failed",
                "the service ended each time that it worked on this job, so it is left: tell its "
                "makers, and send the files one by one",
            )
        path = self._folder / job.id / UPLOAD
        if not path.is_file():
            raise Problem("storage.full", "the upload of this job is gone: send it again")
        with path.open("rb") as file:
            is_zip = file.read(4) in (b"PK\3\4", b"PK\5\6")
        with contextlib.ExitStack() as stack:
            files: Sequence[Member | ClipRequest] = (
                stack.enter_context(members(path, self._limits))
                if is_zip
                else [ClipRequest(path, job.name)]
            )
            self._judge(job, files)

    def _judge(self, job: Row, files: Sequence[Member | ClipRequest]) -> None:
        self._store.begin(job.id, len(files))
        done = self._judged(job.id)
        self._log("a job begins", {"job": job.id, "files": len(files), "done": len(done)})
        looked = 0.0
        flight: list[tuple[CheckItem, Future[CheckResult], int]] = []
        written: list[Future[None]] = []
        for seq, file in enumerate(files):
            if seq in done:
                continue
            if time.monotonic() - looked > POLL_S:
                looked = time.monotonic()
                if self._stopping.is_set() or not self._store.may_continue(job.id):
                    self._land(job, flight, written, 0)
                    raise Stopped
            if isinstance(file, ClipRequest) or file.is_clip:
                self._land(job, flight, written, 0)
                self._judge_clip(job, file, seq)
            else:
                item = self._item(file)
                (future,) = self._batcher.submit([item], weights=[file.size], patient=True)
                flight.append((item, future, seq))
            self._land(job, flight, written, IN_FLIGHT)
        self._land(job, flight, written, 0)
        if not self._store.may_continue(job.id):
            raise Stopped

    def _item(self, file: Member | ClipRequest) -> CheckItem:
        return CheckItem(file, new_id(), provenance=self._provenance, whole=self._keep)

    def _judge_clip(self, job: Row, file: Member | ClipRequest, seq: int) -> None:
        """Judge a clip; one at a time, so that other threads stay free for checks."""
        with self._clip_turn, contextlib.ExitStack() as stack:
            clip = (
                file
                if isinstance(file, ClipRequest)
                else stack.enter_context(self._unpacked(job, file, seq))
            )
            item = self._item(clip)
            (future,) = self._batcher.submit([item], patient=True)
            self._record(item, future.result(), job, seq).result()

    @contextlib.contextmanager
    def _unpacked(self, job: Row, member: Member, seq: int) -> Iterator[Member | ClipRequest]:
        """Unpack a clip of an archive to a file; unchanged if that fails."""
        path = self._folder / job.id / f"member-{seq}"
        try:
            with path.open("wb") as file:
                for block in member.blocks():
                    file.write(block)
        except SourceError:
            yield member
        else:
            yield ClipRequest(path, member.name)
        finally:
            path.unlink(missing_ok=True)

    def _land(
        self,
        job: Row,
        flight: list[tuple[CheckItem, Future[CheckResult], int]],
        written: list[Future[None]],
        most: int,
    ) -> None:
        """Record the results of the first files, until at most this number is in flight."""
        while len(flight) > most:
            item, future, seq = flight.pop(0)
            written.append(self._record(item, future.result(), job, seq))
        while len(written) > most:
            written.pop(0).result()
