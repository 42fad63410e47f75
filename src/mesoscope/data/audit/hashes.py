"""Which perceptual hashes are near each other, among a million of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]
    Ints = NDArray[np.int64]

NEAR_BITS = 7  # of 64: the most that four bands with one turned bit each are sure to find
_BANDS, _BAND_BITS = 4, 16
_AT_ONCE = 1 << 21  # candidates in memory
# Where more hashes than this share a band, as those of thousands of copies do, each is compared
# with the first few of each kind: all copies are found still, and their pairs stay few.
_CROWD, _OF_A_KIND = 256, 16

_ONES = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)
_ORDER = np.random.default_rng(0).permutation(64).astype(np.uint64)
_TURNS = np.array([0, *(1 << bit for bit in range(_BAND_BITS))], np.uint64)


def distance(a: Hashes, b: Hashes) -> NDArray[np.uint8]:
    """How many of 64 bits differ."""
    differ = np.ascontiguousarray(a ^ b)
    halves = differ.view(np.uint16).reshape(*differ.shape, 4)
    total: NDArray[np.uint8] = _ONES[halves].sum(axis=-1, dtype=np.uint8)
    return total


def near_pairs(
    first: Hashes, second: Hashes, *, kinds: Ints | None = None
) -> Iterator[tuple[Ints, Ints]]:
    """All pairs of hashes that differ in :data:`NEAR_BITS` bits at most.

    Hashes are cut into four bands of 16 bits. Of two that differ in seven bits, one band differs in
    one bit at most, so looking up each band and its 16 neighbours finds every such pair, and few
    others are compared (multi-index hashing: Norouzi, Punjani & Fleet 2012, section 3).

    Args:
        first: ``(n,)``.
        second: ``(m,)``.
        kinds: ``(m,)``, what the second ones are. With it, of a crowd of hashes that share a band
            a few of each kind stand for all, so that thousands of copies are not all paired.

    Yields:
        Places in ``first`` and in ``second``, some at a time. A pair may come more than once.
    """
    # Neighbouring frequencies go together, so the bits are dealt out: bands are all alike then.
    bands = list(zip(_bands(first), _bands(second), strict=True))
    for ours, theirs in bands:
        order = np.argsort(theirs, kind="stable") if kinds is None else _thinned(theirs, kinds)
        sorted_keys = theirs[order]
        for turn in _TURNS:
            keys = ours ^ turn
            begins = np.searchsorted(sorted_keys, keys, side="left")
            counts = np.searchsorted(sorted_keys, keys, side="right") - begins
            for a, places in _expanded(begins, counts):
                b = order[places]
                near = distance(first[a], second[b]) <= NEAR_BITS
                if near.any():
                    yield a[near], b[near]


def _thinned(keys: Hashes, kinds: Ints) -> Ints:
    """Places in the order of their keys; of crowds, the first few of each kind."""
    order = np.lexsort((kinds, keys))
    keys, kinds = keys[order], kinds[order]
    place = np.arange(len(order))
    turns = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    crowd = np.bincount(np.cumsum(turns) - 1)[np.cumsum(turns) - 1] if len(keys) else place
    turns[1:] |= kinds[1:] != kinds[:-1]
    within = place - np.maximum.accumulate(np.where(turns, place, 0))
    return order[(crowd <= _CROWD) | (within < _OF_A_KIND)]


def _bands(hashes: Hashes) -> list[Hashes]:
    found = []
    for band in range(_BANDS):
        keys = np.zeros(len(hashes), np.uint64)
        for place, bit in enumerate(_ORDER[band * _BAND_BITS : (band + 1) * _BAND_BITS]):
            keys |= (hashes >> bit & np.uint64(1)) << np.uint64(place)
        found.append(keys)
    return found


def _expanded(begins: Ints, counts: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Every place of ranges, with the range's own number, so many at a time."""
    rows = np.flatnonzero(counts)
    ends = np.cumsum(counts[rows])
    start = 0
    while start < len(rows):
        done = ends[start - 1] if start else 0
        # One range at least, however long it is.
        stop = max(start + 1, int(np.searchsorted(ends, done + _AT_ONCE, side="right")))
        some = rows[start:stop]
        many = counts[some]
        offsets = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        yield np.repeat(some, many), np.repeat(begins[some], many) + offsets
        start = stop
