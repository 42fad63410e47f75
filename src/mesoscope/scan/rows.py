"""The rows that go into a ledger and come out of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

PENDING, CLAIMED, DONE, FAILED, REMOVED = "pending", "claimed", "done", "failed", "removed"
STATES = frozenset((PENDING, CLAIMED, DONE, FAILED, REMOVED))


class Row(NamedTuple):
    """What a walk is compared with."""

    path: bytes
    size_bytes: int
    mtime_ns: int
    state: str
    opened: bool  # its content is known


class Claim(NamedTuple):
    """A file that this process is to scan."""

    path: bytes
    sha256: bytes | None  # of what was judged before, if anything was


class Known(NamedTuple):
    """A content that was judged: under which path, and the verdict as JSON."""

    path: bytes
    verdict: str


class Outcome(NamedTuple):
    """What became of a claimed file.

    Attributes:
        path: As on disk.
        state: ``done``, ``failed`` or ``removed``.
        size_bytes: When it was read.
        mtime_ns: When it was read.
        sha256: Of its content; ``None`` where it could not be read.
        label: The verdict's.
        p_fake: The verdict's.
        verdict: The verdict as JSON; ``None`` for a file that had gone.
        duplicate_of: The path of the same content that was judged.
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
    """A judged file as it leaves the ledger."""

    path: bytes
    size_bytes: int
    mtime_ns: int
    sha256: bytes | None
    duplicate_of: bytes | None
    verdict: str


@dataclass(slots=True)
class Counts:
    """How far a job is.

    Attributes:
        states: Files by state.
        labels: Of the judged ones; ``none`` where there is no label.
        duplicates: Files with the content of another.
    """

    states: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    @property
    def left(self) -> int:
        """Files not yet judged."""
        return self.states[PENDING] + self.states[CLAIMED]

    @property
    def failed(self) -> int:
        """Files that could not be read."""
        return self.states[FAILED]
