"""Order, bound and errors of work done ahead."""

import threading
import time

import pytest

from mesoscope.runtime.threads import cores, map_ordered


def test_results_keep_the_order_of_the_items():
    def slow_first(n):
        time.sleep(0.02 if n % 5 == 0 else 0)
        return n * n

    assert list(map_ordered(slow_first, range(50), threads=4, depth=8)) == [
        n * n for n in range(50)
    ]


def test_no_more_than_depth_items_are_read_ahead():
    read = []

    def items():
        for n in range(1000):
            read.append(n)
            yield n

    results = map_ordered(lambda n: n, items(), threads=2, depth=5)
    assert next(results) == 0
    assert len(read) <= 7
    results.close()
    assert len(read) <= 7


def test_an_error_comes_at_its_turn():
    def work(n):
        if n == 3:
            raise ValueError("three")
        return n

    results = map_ordered(work, range(10), threads=2, depth=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_closing_ends_the_threads():
    before = set(threading.enumerate())
    results = map_ordered(lambda n: n, range(100), threads=3)
    next(results)
    started = set(threading.enumerate()) - before
    results.close()
    for thread in started:
        thread.join(5)
    assert started
    assert not any(thread.is_alive() for thread in started)


def test_an_iterator_may_be_let_go_by_one_of_its_own_threads():
    """As when Python's collector runs in a thread of an iterator that nobody reads any more."""
    held, let_go, seen = [], threading.Event(), []

    def work(n):
        if n == 1:
            let_go.wait(5)
            try:
                held.pop().close()
            except BaseException as error:
                seen.append(error)
                raise
            seen.append("closed")
        return n

    results = map_ordered(work, range(3), threads=1, depth=1)
    held.append(results)
    assert next(results) == 0
    del results
    let_go.set()
    for _ in range(500):
        if seen:
            break
        time.sleep(0.01)
    assert seen == ["closed"]


def test_cores_is_a_positive_number():
    assert cores() >= 1
