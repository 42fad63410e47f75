"""Near hashes among many: all that a comparison of each with each finds, and nothing else."""

import numpy as np
import pytest

from mesoscope.data.audit import repeats
from mesoscope.data.audit.repeats import NEAR_BITS, distance, near_pairs


def turned(values, bits, rng):
    """Each value with so many bits turned, chosen anew for each."""
    out = values.copy()
    for row, count in enumerate(bits):
        for bit in rng.choice(64, count, replace=False):
            out[row] ^= np.uint64(1) << np.uint64(bit)
    return out


def found_in(first, second):
    return {
        (int(i), int(j)) for a, b in near_pairs(first, second) for i, j in zip(a, b, strict=True)
    }


def test_distance_counts_bits() -> None:
    a = np.array([0, 0, 2**64 - 1], np.uint64)
    b = np.array([0, 2**63 + 1, 0], np.uint64)
    assert distance(a, b).tolist() == [0, 2, 64]


def test_all_pairs_within_the_bound_are_found_and_no_others() -> None:
    rng = np.random.default_rng(5)
    first = rng.integers(0, 2**64, 400, np.uint64)
    second = turned(first, rng.integers(0, 12, 400), rng)
    apart = distance(first[:, None], second[None])
    expected = {(int(i), int(j)) for i, j in np.argwhere(apart <= NEAR_BITS)}
    assert len(expected) > 200
    assert found_in(first, second) == expected


@pytest.mark.parametrize("at_once", [1, 7, 1 << 21])
def test_many_alike_come_in_bounded_pieces(monkeypatch, at_once) -> None:
    monkeypatch.setattr(repeats, "_AT_ONCE", at_once)
    alike = np.full(30, 12345, np.uint64)
    assert found_in(alike, alike) == {(i, j) for i in range(30) for j in range(30)}
    sizes = [len(a) for a, _ in near_pairs(alike, alike)]
    assert max(sizes) <= max(at_once, 30)


def test_nothing_among_nothing() -> None:
    none = np.empty(0, np.uint64)
    assert found_in(none, none) == set()
