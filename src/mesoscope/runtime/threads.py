"""Work done ahead of its use, by threads, in order and in bounded memory."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")


def map_ordered(
    work: Callable[[T], R], items: Iterable[T], *, threads: int, depth: int = 64
) -> Iterator[R]:
    """Results of ``work`` in the items' order, at most ``depth`` of them ahead of the reader.

    OpenCV and ONNX Runtime let go of Python's lock, so threads decode and score side by side
    without the copies that worker processes would cost. Closing the iterator early drops what was
    not begun and does not wait for what was: an iterator that was let go may be collected in one of
    its own threads, which cannot wait for itself.

    Args:
        work: Called once an item, in several threads at once. What it raises is raised here, at
            its item's turn.
        items: Read only as far ahead as needed.
        threads: How many work.
        depth: Bounds the memory: so many results wait at most.
    """
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads)
    wait = True
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except GeneratorExit:
        wait = False
        raise
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class SharedLock:
    """A lock that many threads hold together, or one alone.

    Whoever asks to hold it alone waits until the others are done; nobody begins in between.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holders = 0
        self._asked_alone = 0
        self._alone = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold it together with others."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._alone or self._asked_alone))
            self._holders += 1
        try:
            yield
        finally:
            with self._changed:
                self._holders -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it while nobody else does."""
        with self._changed:
            self._asked_alone += 1
            try:
                self._changed.wait_for(lambda: not (self._alone or self._holders))
            finally:
                self._asked_alone -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
