"""Budgets of decoding: memory, shared by all threads of the process; pixels and time of a clip."""

from __future__ import annotations

import contextlib
import threading
from time import monotonic, thread_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL_BYTES = 64 << 20  # smaller pictures never wait: photographs up to nine megapixels
BUDGET_BYTES = 1 << 30
JPEG_PIXELS = 4_000_000_000  # of all scans of a JPEG; photographs have up to a dozen scans
# Decoded pixels per clip, and per selected frame: 1,500 frames of full HD, one minute.
CLIP_PIXELS, CLIP_PIXELS_EACH = 20_000_000_000, 3_000_000_000
# Seconds of decoding alike, for codecs that are slow per pixel. Ordinary clips end well within them
# on a slow machine, as the frames that are read must not depend on the machine.
CLIP_S, CLIP_S_EACH = 60.0, 5.0


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


class ClipBudget:
    """Pixels and time that decoding one clip may take.

    Args:
        frames: Number of selected frames.
        threads: Number of decoder threads. The time of a single one is processor time, which does
            not depend on what else the machine does; that of several is the clock's.

    Attributes:
        exceeded: Why decoding has to end, as a part of a sentence; empty within the budget.
    """

    def __init__(self, frames: int, threads: int = 1) -> None:
        self.exceeded = ""
        self._pixels = CLIP_PIXELS + CLIP_PIXELS_EACH * frames
        self._left_s = CLIP_S + CLIP_S_EACH * frames
        self._clock = thread_time if threads == 1 else monotonic
        self._started = self._clock()

    def take(self, pixels: int) -> bool:
        """Subtract a decoded frame; return whether the budget is exceeded."""
        self._pixels -= pixels
        if self._pixels < 0:
            self.exceeded = "take too long to reach, as key pictures are too far apart"
        return self.late()

    def late(self) -> bool:
        """Return whether the budget is exceeded now."""
        if not self.exceeded and self._clock() - self._started > self._left_s:
            self.exceeded = "take too long to decode"
        return bool(self.exceeded)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time of the block, which may end in another thread."""
        self._left_s -= self._clock() - self._started
        try:
            yield
        finally:
            self._started = self._clock()
