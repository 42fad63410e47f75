"""The memory budget of decoding, shared by all threads of the process."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL_BYTES = 64 << 20  # smaller pictures never wait: photographs up to nine megapixels
BUDGET_BYTES = 1 << 30


class DecodingMemory:
    """Lets large pictures wait until memory is free; one above the budget is decoded alone.

    Args:
        budget_bytes: Maximum memory of concurrent decoding.
    """

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self._budget_bytes = budget_bytes
        self._taken_bytes = 0
        self._freed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, size_bytes: int) -> Iterator[None]:
        """Wait for memory and reserve it for the block; not reentrant."""
        if size_bytes < SMALL_BYTES:
            yield
            return
        with self._freed:
            self._freed.wait_for(
                lambda: (
                    not self._taken_bytes or self._taken_bytes + size_bytes <= self._budget_bytes
                )
            )
            self._taken_bytes += size_bytes
        try:
            yield
        finally:
            with self._freed:
                self._taken_bytes -= size_bytes
                self._freed.notify_all()


decoding = DecodingMemory()
