"""API keys: creation, hashing, constant-time comparison, and rate limits."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from mesoscope.errors import OptionError
from mesoscope.server.problems import Problem
from mesoscope.server.store import DatabaseUnreachable
from mesoscope.server.tables import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from mesoscope.server.store import Store

PREFIX = "meso"
RENEW_S = 2.0  # delay until a new or revoked key takes effect
STALE_S = 60.0  # keys stay valid so long without the database
BURST_S = 10.0  # seconds' worth of requests that may come at once


@dataclass(frozen=True, slots=True)
class Key:
    """An API key.

    Attributes:
        id: Its public part.
        name: Its owner.
        digest: SHA-256 of the whole key. Keys have 256 random bits, so a slow hash is not needed.
        rate: Requests per minute; ``None`` for the service's default.
    """

    id: str
    name: str
    digest: bytes
    rate: int | None


def add_key(store: Store, name: str, rate: int | None = None) -> str:
    """Create a key and return it; only its digest is stored.

    Raises:
        OptionError: The name is empty, too long or not printable.
        DatabaseUnreachable: The database is not available.
    """
    if not name.strip() or not name.isprintable() or len(name) > 100:
        raise OptionError(f"{name!r}: a key needs a printable name of at most 100 characters")
    public, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    text = f"{PREFIX}_{public}_{secret}"
    with store.write_transaction() as connection:
        connection.execute(
            insert(keys).values(
                id=public, name=name.strip(), digest=_digest(text), rate=rate, created=time.time()
            )
        )
    return text


def list_keys(store: Store) -> Sequence[Row[Any]]:
    """Return all keys, the oldest first; revoked ones too."""
    with store.read_transaction() as connection:
        return connection.execute(select(keys).order_by(keys.c.created)).all()


def revoke_key(store: Store, key_id: str) -> None:
    """Revoke a key.

    Raises:
        OptionError: The key does not exist, or is revoked already.
    """
    with store.write_transaction() as connection:
        done = connection.execute(
            update(keys).where(keys.c.id == key_id, keys.c.revoked.is_(None))
            .values(revoked=time.time())
        )  # fmt: skip
        if not done.rowcount:
            raise OptionError(
                f"{key_id}: no key of that id is in force: see them with mesoscope keys list"
            )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


class KeyRing:
    """The valid keys, cached in memory and refreshed every few seconds.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, Key] = {}
        self._renewed = -STALE_S
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)

    def open(self) -> None:
        """Read the keys, and refresh them until :meth:`close`."""
        self._renew()
        self._thread.start()

    def close(self) -> None:
        """Stop refreshing."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def find(self, authorization: str | None) -> Key:
        """Return the key of an ``Authorization`` header.

        Raises:
            Problem: The key is missing or not valid, or the database has been away for long.
        """
        if authorization is None:
            raise Problem("key.missing", "send a key: Authorization: Bearer meso_…")
        scheme, _, text = authorization.partition(" ")
        text = text.strip()
        if time.monotonic() - self._renewed > STALE_S:
            raise Problem(
                "ledger.unreachable", "keys cannot be checked now: try again", retry_after_s=10
            )
        public = text.split("_", 2)[1] if text.count("_") >= 2 else ""
        key = self._keys.get(public)
        # An unknown key takes as much time as a known one.
        right = hmac.compare_digest(_digest(text), b"\0" * 32 if key is None else key.digest)
        if key is None or not right or scheme.lower() != "bearer":
            raise Problem("key.invalid", "this key is not in force: ask for another")
        return key

    def _run(self) -> None:
        while not self._ended.wait(RENEW_S):
            self._renew()

    def _renew(self) -> None:
        try:
            rows = list_keys(self._store)
        except DatabaseUnreachable:
            return  # retried soon; cached keys stay valid for a while
        self._keys = {
            row.id: Key(row.id, row.name, bytes(row.digest), row.rate)
            for row in rows
            if row.revoked is None
        }
        self._renewed = time.monotonic()


class RateLimiter:
    """Rate limits by caller: token buckets with a short burst."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}

    def spend(self, who: str, per_minute: int, cost: int = 1) -> None:
        """Take tokens for a request.

        Args:
            who: The caller.
            per_minute: Rate of the caller; 0 = no limit.
            cost: Number of files of this request.

        Raises:
            Problem: The bucket is empty; it has the time until the next token.
        """
        if not per_minute:
            return
        a_second = per_minute / 60
        most = max(1.0, a_second * BURST_S)
        now = time.monotonic()
        held, at = self._buckets.get(who, (most, now))
        held = min(most, held + (now - at) * a_second)
        needed = min(float(cost), most)
        if held < needed:
            self._buckets[who] = (held, now)
            wait_s = max(1, int((needed - held) / a_second + 0.999))
            raise Problem(
                "rate.limited",
                f"this key may send {per_minute} files a minute: try again in {wait_s} s",
                retry_after_s=wait_s,
            )
        self._buckets[who] = (held - cost, now)  # a large request goes into debt
