"""A micro-batcher: items that arrive together are processed together, by several threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")
R = TypeVar("R")


class QueueFull(Exception):  # noqa: N818 - as in queue.Full
    """The queue has no room."""


class QueueClosed(Exception):  # noqa: N818
    """The batcher is closed."""


class _Waiting(Generic[T, R]):
    __slots__ = ("future", "item", "since", "weight")

    def __init__(self, item: T, weight: int, since: float) -> None:
        self.item = item
        self.weight = weight
        self.since = since
        self.future: Future[R] = Future()


class MicroBatcher(Generic[T, R]):
    """Batches items that arrive within a few milliseconds, and processes them in threads.

    A free thread takes the waiting items: at most ``most`` items, at most ``heavy`` in total
    weight, and at most its share if other threads are free, too. It waits for more only until the
    oldest item has waited ``window_s``, so no item waits for a full batch. Results are set on
    futures immediately. A batch that raises is retried item by item, so an error stays with its
    item.

    Args:
        work: Called with items in a thread; yields one result per item, in order.
        threads: Number of batches in parallel.
        most: Largest number of items in a batch.
        heavy: Largest total weight of a batch; a heavier item is a batch by itself.
        window_s: Longest wait of the oldest item for others.
        waiting: Largest number of waiting items.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Iterable[R]],
        *,
        threads: int,
        most: int = 8,
        heavy: int = 4 << 20,
        window_s: float = 0.002,
        waiting: int = 64,
    ) -> None:
        self._work = work
        self._most = most
        self._heavy = heavy
        self._window_s = window_s
        self._room = waiting
        self._urgent: deque[_Waiting[T, R]] = deque()
        self._patient: deque[_Waiting[T, R]] = deque()
        lock = threading.Lock()
        self._arrived = threading.Condition(lock)  # idle threads wait here,
        self._filled = threading.Condition(lock)  # except one, which watches the window
        self._watched = False
        self._idle = 0
        self._closed = False
        self.batches = 0  # taken so far
        self.items = 0  # number of items in them
        self._threads = [
            threading.Thread(target=self._run, name=f"batch-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Number of waiting items."""
        return len(self._urgent) + len(self._patient)

    @property
    def full(self) -> bool:
        """Whether the next item would be refused."""
        return len(self._urgent) >= self._room

    def submit(
        self, items: Sequence[T], *, weights: Sequence[int] | None = None, patient: bool = False
    ) -> list[Future[R]]:
        """Submit items, all or none.

        Args:
            items: Items of one caller; they may be processed in several batches.
            weights: Weight of each, such as its bytes.
            patient: Process them when nothing else waits, without counting against the queue.

        Returns:
            A future per item, in order. A future cancelled before its turn is skipped.

        Raises:
            QueueFull: There is no room for all of them.
            QueueClosed: :meth:`close` was called.
        """
        since = time.monotonic()
        made = [
            _Waiting[T, R](item, 0 if weights is None else weights[n], since)
            for n, item in enumerate(items)
        ]
        with self._arrived:
            if self._closed:
                raise QueueClosed
            # A request larger than the queue is accepted when nothing else waits.
            if not patient and self._urgent and len(self._urgent) + len(made) > self._room:
                raise QueueFull
            queue = self._patient if patient else self._urgent
            queue.extend(made)
            # The watching thread wakes by itself: waking it for each item would cost more
            # than batching saves.
            if not self._watched:
                self._arrived.notify()
            elif len(queue) >= self._most * self._idle:
                self._filled.notify()
        return [one.future for one in made]

    def close(self) -> None:
        """Refuse new items, finish accepted ones, and return."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()
            self._filled.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while batch := self._take():
            self._do(batch)

    def _take(self) -> list[_Waiting[T, R]]:
        """Return the next batch; empty when closed and drained."""
        with self._arrived:
            self._idle += 1
            try:
                while True:
                    queue = self._urgent or self._patient
                    if not queue:
                        if self._closed:
                            return []
                        self._arrived.wait()
                        continue
                    left_s = queue[0].since + self._window_s - time.monotonic()
                    if self._closed or left_s <= 0 or len(queue) >= self._most * self._idle:
                        return self._next_batch(queue)
                    if self._watched:
                        self._arrived.wait()
                    else:
                        self._watched = True
                        self._filled.wait(left_s)
                        self._watched = False
            finally:
                self._idle -= 1

    def _next_batch(self, queue: deque[_Waiting[T, R]]) -> list[_Waiting[T, R]]:
        share = min(self._most, -(-len(queue) // self._idle))
        batch: list[_Waiting[T, R]] = []
        weight = 0
        while queue and len(batch) < share:
            if batch and weight + queue[0].weight > self._heavy:
                break
            one = queue.popleft()
            weight += one.weight
            batch.append(one)
        if queue or self._urgent or self._patient:
            self._arrived.notify()  # for the rest
        self.batches += 1
        self.items += len(batch)
        return batch

    def _do(self, batch: Sequence[_Waiting[T, R]]) -> None:
        wanted = [one for one in batch if one.future.set_running_or_notify_cancel()]
        if not wanted:
            return
        done = 0
        try:
            answers = self._work([one.item for one in wanted])
            for one, answer in zip(wanted, answers, strict=True):
                one.future.set_result(answer)
                done += 1
        except Exception as error:  # noqa: BLE001 - any error is passed to the item's future
            if len(wanted) == 1 and not done:
                wanted[0].future.set_exception(error)
                return
            for one in wanted[done:]:
                self._alone(one)

    def _alone(self, one: _Waiting[T, R]) -> None:
        try:
            (answer,) = self._work([one.item])
        except Exception as error:  # noqa: BLE001
            one.future.set_exception(error)
        else:
            one.future.set_result(answer)
