"""The micro-batcher by itself."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.server.batching import MicroBatcher, QueueClosed, QueueFull


class Gate:
    """Work that waits until it may go on."""

    def __init__(self):
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.batches = []

    def __call__(self, items):
        self.batches.append(list(items))
        self.entered.release()
        self.open.wait(60)
        return [item * 10 for item in items]


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.open.set()


def test_what_arrives_while_threads_are_busy_is_one_batch(gate):
    batcher = MicroBatcher(gate, threads=1, most=8, window_s=0)
    first = batcher.submit([1])
    gate.entered.acquire()
    rest = [future for n in range(2, 7) for future in batcher.submit([n])]
    gate.open.set()
    assert [f.result(60) for f in first + rest] == [10, 20, 30, 40, 50, 60]
    batcher.close()
    assert gate.batches == [[1], [2, 3, 4, 5, 6]]


def test_nobody_waits_for_a_batch_to_fill():
    batcher = MicroBatcher(list, threads=2, most=100, window_s=0.001)
    assert batcher.submit([7])[0].result(60) == 7
    batcher.close()


def test_a_trickle_is_answered_item_by_item():
    """Each answer is there before the next item comes, though a batch holds a hundred."""
    sizes = []

    def work(items):
        sizes.append(len(items))
        return [item * 10 for item in items]

    batcher = MicroBatcher(work, threads=2, most=100, window_s=0.002)
    assert [batcher.submit([n])[0].result(60) for n in range(20)] == [n * 10 for n in range(20)]
    batcher.close()
    assert sizes == [1] * 20


def test_callers_at_the_same_time_have_their_own_answers_and_errors():
    def work(items):
        if any(number == 5 for _, number in items):
            raise ValueError(*[caller for caller, number in items if number == 5])
        return [(caller, number * 10) for caller, number in items]

    batcher = MicroBatcher(work, threads=3, most=4, window_s=0.001, waiting=10_000)
    found = {}

    def call(caller):
        futures = [f for n in range(10) for f in batcher.submit([(caller, n)])]
        found[caller] = [f.exception(60) or f.result(60) for f in futures]

    callers = [threading.Thread(target=call, args=(name,)) for name in range(8)]
    for one in callers:
        one.start()
    for one in callers:
        one.join(60)
    batcher.close()
    for caller, answers in found.items():
        assert answers[:5] + answers[6:] == [(caller, n * 10) for n in range(10) if n != 5]
        assert answers[5].args == (caller,)
    assert len(found) == 8


def test_heavy_items_are_batches_by_themselves(gate):
    batcher = MicroBatcher(gate, threads=1, most=8, heavy=10, window_s=0)
    batcher.submit([0])
    gate.entered.acquire()
    batcher.submit([1, 2, 3, 4], weights=[6, 5, 50, 1])
    gate.open.set()
    batcher.close()
    assert gate.batches == [[0], [1], [2], [3], [4]]


def test_a_full_queue_takes_all_of_a_request_or_none(gate):
    batcher = MicroBatcher(gate, threads=1, window_s=0, waiting=3)
    batcher.submit([0])
    gate.entered.acquire()
    batcher.submit([1, 2])
    with pytest.raises(QueueFull):
        batcher.submit([3, 4])
    batcher.submit([3])
    assert batcher.waiting == 3
    gate.open.set()
    batcher.close()
    assert sorted(n for batch in gate.batches for n in batch) == [0, 1, 2, 3]


def test_patient_items_come_last_and_do_not_fill_the_queue(gate):
    batcher = MicroBatcher(gate, threads=1, window_s=0, waiting=1)
    batcher.submit([0])
    gate.entered.acquire()
    batcher.submit(list(range(100, 104)), patient=True)
    batcher.submit([1])
    gate.open.set()
    batcher.close()
    assert gate.batches == [[0], [1], [100, 101, 102, 103]]


def test_an_error_stays_with_its_item():
    def work(items):
        if "bad" in items:
            raise ValueError(items)
        return items

    batcher = MicroBatcher(work, threads=1, most=8, window_s=0.05)
    futures = batcher.submit(["a", "bad", "b"])
    assert [futures[n].result(60) for n in (0, 2)] == ["a", "b"]
    with pytest.raises(ValueError, match="bad"):
        futures[1].result(60)
    batcher.close()


def test_an_error_midway_leaves_what_was_answered():
    def work(items):
        for item in items:
            if item == 2:
                raise KeyError(item)
            yield item

    batcher = MicroBatcher(work, threads=1, most=8, window_s=0.05)
    futures = batcher.submit([0, 1, 2, 3])
    assert [futures[n].result(60) for n in (0, 1, 3)] == [0, 1, 3]
    assert isinstance(futures[2].exception(60), KeyError)
    batcher.close()


def test_too_few_answers_are_an_error_and_end_no_thread():
    batcher = MicroBatcher(lambda items: items[1:], threads=1, window_s=0)
    assert isinstance(batcher.submit([1])[0].exception(60), ValueError)
    assert isinstance(batcher.submit([1])[0].exception(60), ValueError)
    batcher.close()


def test_cancelled_items_are_left_out(gate):
    batcher = MicroBatcher(gate, threads=1, window_s=0)
    batcher.submit([0])
    gate.entered.acquire()
    one, two = batcher.submit([1, 2])
    assert one.cancel()
    gate.open.set()
    assert two.result(60) == 20
    batcher.close()
    assert gate.batches == [[0], [2]]


def test_closing_finishes_what_was_taken_and_takes_no_more(gate):
    batcher = MicroBatcher(gate, threads=2, most=1, window_s=10)
    futures = batcher.submit([1, 2, 3, 4])
    gate.open.set()
    batcher.close()
    assert [future.result(0) for future in futures] == [10, 20, 30, 40]
    with pytest.raises(QueueClosed):
        batcher.submit([5])


@given(
    st.lists(st.lists(st.integers(), min_size=1, max_size=5), max_size=12),
    st.integers(1, 3), st.integers(1, 6),
)  # fmt: skip
def test_every_item_has_its_own_answer(requests, threads, most):
    batcher = MicroBatcher(lambda items: [n + 1 for n in items], threads=threads, most=most)
    futures = [(items, batcher.submit(items, patient=len(items) % 2 == 0)) for items in requests]
    batcher.close()
    assert all([f.result(0) for f in of] == [n + 1 for n in items] for items, of in futures)
    assert batcher.items == sum(map(len, requests))
    assert batcher.waiting == 0
