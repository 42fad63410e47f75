"""Find duplicates: equal files, and nearly equal pictures, mirrored ones too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts

    Hashes = NDArray[np.uint64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


NEAR_BITS = 7  # of 64: the most that four bands with one flipped bit each are sure to find
_BANDS, _BAND_BITS = 4, 16
_AT_ONCE = 1 << 21  # candidates in memory
# Where more hashes than this share a band, as those of thousands of copies do, each is compared
# with the first few of each kind: every copy is still found, with few pairs.
_CROWD, _OF_A_KIND = 256, 16

_ONES = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)
_ORDER = np.random.default_rng(0).permutation(64).astype(np.uint64)
_TURNS = np.array([0, *(1 << bit for bit in range(_BAND_BITS))], np.uint64)


def distance(a: Hashes, b: Hashes) -> NDArray[np.uint8]:
    """Return the Hamming distance of 64-bit hashes."""
    differ = np.ascontiguousarray(a ^ b)
    halves = differ.view(np.uint16).reshape(*differ.shape, 4)
    total: NDArray[np.uint8] = _ONES[halves].sum(axis=-1, dtype=np.uint8)
    return total


def near_pairs(
    first: Hashes, second: Hashes, *, kinds: Ints | None = None
) -> Iterator[tuple[Ints, Ints]]:
    """Find all pairs of hashes within :data:`NEAR_BITS` bits.

    Hashes are cut into four bands of 16 bits. Of two that differ in seven bits, one band differs in
    at most one bit. So looking up each band and its 16 neighbours finds every such pair with few
    comparisons (multi-index hashing: Norouzi, Punjani & Fleet 2012, section 3).

    Args:
        first: ``(n,)``.
        second: ``(m,)``.
        kinds: ``(m,)``, kinds of the second hashes. If given, a crowd of hashes that share a band
            is represented by a few of each kind, so that thousands of copies are not all paired.

    Yields:
        Indices into ``first`` and ``second``, in chunks. A pair may come more than once.
    """
    # Neighbouring frequencies are correlated, so the bits are interleaved: bands are alike.
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
    """Return indices in the order of their keys; of crowds, the first few of each kind."""
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
    """Yield every index of ranges, with the range's number, in chunks."""
    rows = np.flatnonzero(counts)
    ends = np.cumsum(counts[rows])
    start = 0
    while start < len(rows):
        done = ends[start - 1] if start else 0
        # At least one range, however long it is.
        stop = max(start + 1, int(np.searchsorted(ends, done + _AT_ONCE, side="right")))
        some = rows[start:stop]
        many = counts[some]
        offsets = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        yield np.repeat(some, many), np.repeat(begins[some], many) + offsets
        start = stop


# Measured on 400 faces of six sets, each changed, and on 388,000 unrelated pairs
# (results/audit_measured.csv): of copies saved again at quality 30, halved or made brighter, all
# but one are found, of those with 2 % of two sides cut off seven in eight; of unrelated pairs three
# are taken for copies.
LEAST_LIKE = 0.965  # correlation of two thumbnails
_PAIR = np.dtype(
    [("first", np.int64), ("second", np.int64), ("mirrored", bool), ("likeness", np.float32)]
)
BLANK_SPREAD = 4.0  # grey values; below it a hash is noise


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Pairs of pictures that are nearly equal but not the same file.

    Attributes:
        first: ``(p,)``, rows of the facts.
        second: ``(p,)``, rows greater than ``first``.
        mirrored: ``(p,)``: whether one resembles the other's mirror image.
        likeness: ``(p,)``, correlation of the thumbnails.
    """

    first: Ints
    second: Ints
    mirrored: Bools
    likeness: NDArray[np.float32]

    def where(self, mask: Bools) -> NearPairs:
        """Select pairs by a mask ``(p,)``."""
        return NearPairs(
            self.first[mask], self.second[mask], self.mirrored[mask], self.likeness[mask]
        )

    def __len__(self) -> int:
        return len(self.first)


def same_files(facts: Facts) -> list[Ints]:
    """Return sets of at least two rows with identical files.

    Files that are no pictures are ignored, such as an error page saved in place of many.
    """
    rows = np.flatnonzero(facts.sha256.any(axis=1) & facts.readable)
    keys = np.ascontiguousarray(facts.sha256[rows]).view("V32").ravel()
    _, member, counts = np.unique(keys, return_inverse=True, return_counts=True)
    twice = np.flatnonzero(counts[member] > 1)
    order = twice[np.argsort(member[twice], kind="stable")]
    cuts = np.flatnonzero(np.diff(member[order])) + 1
    return [rows[part] for part in np.split(order, cuts)] if len(order) else []


def near_repeats(facts: Facts) -> NearPairs:
    """Find similar pictures, except those that are similar by design.

    Pairs of one group, split and label, such as frames of a video, are ignored, and so are blank
    pictures.

    Args:
        facts: Facts of all pictures.

    Returns:
        Pairs of different files. Of identical files only the first counts. Each of hundreds of
        copies is paired with a few of every source, split and label, not with all.
    """
    rows = _once(facts)
    shapes = _standardised(facts.thumbnails[rows])
    kinds = (
        facts.sources.codes[rows].astype(np.int64) * len(facts.splits.values)
        + facts.splits.codes[rows]
    ) * 2 + facts.labels[rows]
    found = []
    for mirrored in (False, True):
        other = facts.hashes[rows, int(mirrored)]
        for one, two in near_pairs(facts.hashes[rows, 0], other, kinds=kinds):
            # Deduplicated as single integers, which sort much faster than records.
            pair = np.unique(np.minimum(one, two) * len(rows) + np.maximum(one, two))
            a, b = np.divmod(pair, len(rows))
            a, b = a[a != b], b[a != b]
            apart = _apart(facts, rows[a], rows[b])
            a, b = a[apart], b[apart]
            like = _likeness(shapes, a, b, mirrored=mirrored)
            close = like >= LEAST_LIKE
            part = np.empty(int(close.sum()), _PAIR)
            part["first"], part["second"] = rows[a[close]], rows[b[close]]
            part["mirrored"], part["likeness"] = mirrored, like[close]
            found.append(part)
    if not found:
        nothing = np.empty(0, np.int64)
        return NearPairs(nothing, nothing, np.empty(0, bool), np.empty(0, np.float32))
    every = np.concatenate(found)
    # Deduplicated: upright before mirrored.
    order = np.lexsort((every["mirrored"], every["second"], every["first"]))
    every = every[order]
    first = np.append(True, (np.diff(every["first"]) != 0) | (np.diff(every["second"]) != 0))[
        : len(every)
    ]
    every = every[first]
    return NearPairs(every["first"], every["second"], every["mirrored"], every["likeness"])


def _once(facts: Facts) -> Ints:
    """Return readable rows with some contrast, one per file."""
    if "spread" not in facts.numbers:  # none could be read
        return np.empty(0, np.int64)
    rows = np.flatnonzero(facts.readable & (facts.numbers["spread"] >= BLANK_SPREAD))
    keys = np.ascontiguousarray(facts.sha256[rows]).view("V32").ravel()
    _, first = np.unique(keys, return_index=True)
    return rows[np.sort(first)]


def _apart(facts: Facts, a: Ints, b: Ints) -> Bools:
    """Whether two rows differ in group, split or label."""
    differ: Bools = (
        (facts.groups[a] != facts.groups[b])
        | (facts.splits.codes[a] != facts.splits.codes[b])
        | (facts.labels[a] != facts.labels[b])
    )
    return differ


def _standardised(thumbnails: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Normalise ``(n, 16, 16)`` to mean 0 and norm 1, in half precision to save memory."""
    shapes = np.empty(thumbnails.shape, np.float16)
    for start in range(0, len(thumbnails), 8192):
        part = thumbnails[start : start + 8192].astype(np.float32)
        part -= part.mean(axis=(1, 2), keepdims=True)
        length = np.sqrt((part**2).sum(axis=(1, 2), keepdims=True))
        shapes[start : start + 8192] = part / np.maximum(length, 1e-6)
    return shapes


def _likeness(
    shapes: NDArray[np.float16], a: Ints, b: Ints, *, mirrored: bool
) -> NDArray[np.float32]:
    like = np.empty(len(a), np.float32)
    for start in range(0, len(a), 8192):
        of = slice(start, start + 8192)
        ours = shapes[a[of]].astype(np.float32)
        theirs = shapes[b[of]].astype(np.float32)
        theirs = theirs[:, :, ::-1] if mirrored else theirs
        like[of] = np.einsum("nij,nij->n", ours, theirs)
    return like
