"""The same picture twice: the same file, or nearly the same picture, mirrored ones too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.audit.hashes import near_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

# Measured on 400 faces of six sets, each changed, and on millions of pairs of strangers
# (benchmarks/audit_measured.py): of copies saved again at quality 30, halved or made brighter, all
# are found, of those with 2 % of two sides cut off six in seven; of strangers a pair in a million.
LEAST_LIKE = 0.965  # correlation of two thumbnails
_PAIR = np.dtype(
    [("first", np.int64), ("second", np.int64), ("mirrored", bool), ("likeness", np.float32)]
)
BLANK_SPREAD = 4.0  # grey values; below it a hash is that of noise


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of pictures that are nearly the same but not the same file.

    Attributes:
        first: ``(p,)``, rows of the facts.
        second: ``(p,)``, rows beyond ``first``.
        mirrored: ``(p,)``: one is like the other's mirror image.
        likeness: ``(p,)``, correlation of the thumbnails.
    """

    first: Ints
    second: Ints
    mirrored: Bools
    likeness: NDArray[np.float32]

    def where(self, mask: Bools) -> Pairs:
        """Those of a mask ``(p,)``."""
        return Pairs(self.first[mask], self.second[mask], self.mirrored[mask], self.likeness[mask])

    def __len__(self) -> int:
        return len(self.first)


def same_files(facts: Facts) -> list[Ints]:
    """Rows whose files are the same to the last byte, a set of at least two each.

    Files that are no pictures are left out: a page of an error that was saved in place of many is
    no copy of anything.
    """
    rows = np.flatnonzero(facts.sha256.any(axis=1) & facts.readable)
    keys = np.ascontiguousarray(facts.sha256[rows]).view("V32").ravel()
    _, member, counts = np.unique(keys, return_inverse=True, return_counts=True)
    twice = np.flatnonzero(counts[member] > 1)
    order = twice[np.argsort(member[twice], kind="stable")]
    cuts = np.flatnonzero(np.diff(member[order])) + 1
    return [rows[part] for part in np.split(order, cuts)] if len(order) else []


def near_repeats(facts: Facts) -> Pairs:
    """Pictures that look the same, other than those that belong together anyway.

    Left out are pairs of one group, split and label, as the frames of a video are: they are meant
    to be alike. Blank pictures are alike, too, and left out.

    Args:
        facts: Of all pictures.

    Returns:
        Pairs of different files. Of a file that is there several times only the first counts. Of
        hundreds of copies each is paired with a few of every source, split and label, not with all.
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
            # Once each, as one number: numbers are sorted far faster than records.
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
        return Pairs(nothing, nothing, np.empty(0, bool), np.empty(0, np.float32))
    every = np.concatenate(found)
    # Once each: upright before mirrored.
    order = np.lexsort((every["mirrored"], every["second"], every["first"]))
    every = every[order]
    first = np.append(True, (np.diff(every["first"]) != 0) | (np.diff(every["second"]) != 0))[
        : len(every)
    ]
    every = every[first]
    return Pairs(every["first"], every["second"], every["mirrored"], every["likeness"])


def _once(facts: Facts) -> Ints:
    """Readable rows with something in the picture, each file once."""
    if "spread" not in facts.numbers:  # none could be read
        return np.empty(0, np.int64)
    rows = np.flatnonzero(facts.readable & (facts.numbers["spread"] >= BLANK_SPREAD))
    keys = np.ascontiguousarray(facts.sha256[rows]).view("V32").ravel()
    _, first = np.unique(keys, return_index=True)
    return rows[np.sort(first)]


def _apart(facts: Facts, a: Ints, b: Ints) -> Bools:
    """Do they differ in group, split or label."""
    differ: Bools = (
        (facts.groups[a] != facts.groups[b])
        | (facts.splits.codes[a] != facts.splits.codes[b])
        | (facts.labels[a] != facts.labels[b])
    )
    return differ


def _standardised(thumbnails: NDArray[np.uint8]) -> NDArray[np.float16]:
    """``(n, 16, 16)``, each of mean 0 and of length 1; halves take a half of the memory."""
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
