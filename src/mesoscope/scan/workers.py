"""The processes that share a ledger: who is alive, and whose claims are free again."""

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
    from types import TracebackType

    from typing_extensions import Self

LEASE_S = 60.0  # a process not heard of for so long has lost its claims
BEAT_S = 10.0


class Roster(Protocol):
    """The part of a ledger that knows its processes."""

    def beat(self, owner: str) -> None:
        """Say that a process is alive."""
        ...

    def seen(self) -> Mapping[str, float]:
        """When each was last heard of; 0 for one that has claims and was never entered."""
        ...

    def now(self) -> float:
        """By the same clock."""
        ...

    def release(self, owner: str) -> None:
        """Forget a process and free its claims."""
        ...


class Worker:
    """This process, as others on the ledger see it; a context manager.

    It holds a lock on a file of its own in the job folder and writes the time into the ledger every
    few seconds. The system lets go of the lock when the process dies, however it dies, so those who
    share the folder take over at once. Those on other machines, who share only the database, wait
    until nothing was heard for :data:`LEASE_S` seconds.

    Args:
        ledger: Where it is entered.
        folder: The job folder.
    """

    def __init__(self, ledger: Roster, folder: Path) -> None:
        self.owner = f"{socket.gethostname()[:80]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._ledger = ledger
        self._folder = folder / "workers"
        self._lock: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        if self._folder.is_symlink():  # of somebody else's job: it would have us write elsewhere
            raise JobError(f"{self._folder}: a link: take it away, a folder is made in its place")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._path(self.owner), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(f"{self._folder}: cannot be written: {cause(error)}") from error
        _try_lock(self._lock)
        self._ledger.beat(self.owner)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        # Where the disk is full or the database gone, the lock stays behind, free to be taken: it
        # tells the next scan that these claims are nobody's.
        with contextlib.suppress(MesoscopeError, OSError):
            self._ledger.release(self.owner)
            self._path(self.owner).unlink()
        if self._lock is not None:
            os.close(self._lock)

    def reap(self) -> list[str]:
        """Free the claims of processes that are no more, or were never entered.

        This process is entered anew where others took it for dead: it was stopped for a while.

        Returns:
            Their names.
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
        self._ledger.beat(self.owner)
        return dead

    def _has_died(self, owner: str) -> bool:
        """Whether its lock is free; ``False`` where that cannot be told."""
        try:
            lock = os.open(self._path(owner), os.O_RDWR)
        except (OSError, ValueError):  # of another machine
            return False
        try:
            return _try_lock(lock)
        finally:
            os.close(lock)

    def _path(self, owner: str) -> Path:
        if Path(owner).name != owner:  # nobody's name leads out of the folder
            raise ValueError(owner)
        return self._folder / f"{owner}.lock"

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            # What hinders a beat hinders the next commit, too, and that one says so.
            with contextlib.suppress(MesoscopeError):
                self._ledger.beat(self.owner)


def _try_lock(descriptor: int) -> bool:
    """Lock a file without waiting; ``False`` where another holds it or the system has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows: the lease alone decides
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
