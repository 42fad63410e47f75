"""The processes that share a ledger: liveness, and release of stale claims."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mesoscope.errors import JobError, MesoscopeError, OutputError
from mesoscope.errors.failures import cause

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

LEASE_S = 60.0  # a process not seen for so long has lost its claims
HEARTBEAT_S = 10.0


class WorkerRegistry(Protocol):
    """The part of a ledger that manages processes."""

    def heartbeat(self, owner: str) -> None:
        """Record that a process is alive."""
        ...

    def seen(self) -> Mapping[str, float]:
        """Return when each was last seen; 0 for an owner of claims that was never entered."""
        ...

    def now(self) -> float:
        """Return the time by the same clock."""
        ...

    def release(self, owner: str) -> None:
        """Remove a process and free its claims."""
        ...


class Worker:
    """This process as a worker on the ledger; a context manager.

    It holds a lock on its own file in the job folder and updates its time in the ledger every few
    seconds. The operating system releases the lock when the process dies, so workers that share the
    folder take over at once. Workers on other machines, which share only the database, wait until
    it was not seen for :data:`LEASE_S` seconds.

    Args:
        ledger: The ledger to enter.
        folder: The job folder.
    """

    def __init__(self, ledger: WorkerRegistry, folder: Path) -> None:
        self.owner = f"{socket.gethostname()[:80]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._ledger = ledger
        self._folder = folder / "workers"
        self._lock: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._heartbeat, daemon=True)

    def __enter__(self) -> Self:
        if self._folder.is_symlink():  # of somebody else's job: writes would go elsewhere
            raise JobError(f"{self._folder}: a link: take it away, a folder is made in its place")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._path(self.owner), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(f"{self._folder}: cannot be written: {cause(error)}") from error
        _try_lock(self._lock)
        self._ledger.heartbeat(self.owner)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        # On a full disk or without the database, the lock file stays and is free: it
        # shows the next scan that these claims are stale.
        with contextlib.suppress(MesoscopeError, OSError):
            self._ledger.release(self.owner)
            self._path(self.owner).unlink()
        if self._lock is not None:
            os.close(self._lock)

    def reap(self) -> list[str]:
        """Free the claims of processes that died, or were never entered.

        This process is entered again if others took it for dead, for example after a suspension.

        Returns:
            The names of these processes.
        """
        now = self._ledger.now()
        dead = [
            owner
            for owner, seen_at in self._ledger.seen().items()
            if owner != self.owner and (now - seen_at > LEASE_S or self._has_died(owner))
        ]
        for owner in dead:
            self._ledger.release(owner)
            with contextlib.suppress(OSError, ValueError):
                self._path(owner).unlink()
        self._ledger.heartbeat(self.owner)
        return dead

    def _has_died(self, owner: str) -> bool:
        """Whether its lock is free; ``False`` if unknown."""
        try:
            lock = os.open(self._path(owner), os.O_RDWR)
        except (OSError, ValueError):  # of another machine
            return False
        try:
            return _try_lock(lock)
        finally:
            os.close(lock)

    def _path(self, owner: str) -> Path:
        if Path(owner).name != owner:  # no name may lead out of the folder
            raise ValueError(owner)
        return self._folder / f"{owner}.lock"

    def _heartbeat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            # An error here will also occur in the next commit, which reports it.
            with contextlib.suppress(MesoscopeError):
                self._ledger.heartbeat(self.owner)


def _try_lock(descriptor: int) -> bool:
    """Lock a file without waiting; ``False`` if it is held or the system has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows: only the lease counts
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
