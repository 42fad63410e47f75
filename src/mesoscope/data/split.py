"""Assign splits: the official ones if any, else by group.

The hash of a group's name decides its split, independently of the others. Items that are added
later move none, and machines that hold different parts of a set agree. Groups, and persons where
the set names them, are never divided.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import accumulate
from math import inf
from typing import TYPE_CHECKING

from mesoscope.data.sample import SPLITS
from mesoscope.errors import OptionError
from mesoscope.files.digest import hash_fraction
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mesoscope.data.layouts.item import Item

SHARES = (0.8, 0.1, 0.1)
_FAR = 0.5  # relative deviation of a split's share that is reported


@dataclass(frozen=True, slots=True)
class SplitAssignment:
    """Items with a split each.

    Attributes:
        items: Items in their original order.
        left_out: Items that no split can take without dividing a group or a person.
        notes: Decisions, a sentence each, without full stop.
    """

    items: tuple[Item, ...]
    left_out: tuple[Item, ...]
    notes: tuple[str, ...]


def assign_splits(
    items: Iterable[Item],
    *,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    official: bool = True,
    donors_apart: bool = False,
) -> SplitAssignment:
    """Assign a split to each item.

    Official splits are kept. A missing validation split is taken from the train split by group.
    Items without an official split are placed by group, and left out where their group lies in an
    official split that they are not in.

    A split that lacks a class gets the nearest group of that class, so that small sets are usable;
    only then a group's split depends on the others.

    Args:
        items: Items of one set.
        shares: Shares of groups for train, validation and test; only their ratios matter.
        seed: Seed of the hash.
        official: Keep the set's own splits.
        donors_apart: Also leave out fakes whose donor is in another split.

    Returns:
        The items with splits, the items left out, and notes.

    Raises:
        OptionError: Shares are negative, not finite, all zero, or not three.
    """
    if len(shares) != len(SPLITS) or min(shares) < 0 or not 0 < sum(shares) < inf:
        raise OptionError(f"shares {tuple(shares)}: give three for {', '.join(SPLITS)}, such as "
                          f"{SHARES}")  # fmt: skip
    items = tuple(items)
    notes: list[str] = []
    fixed = {item.group for item in items if official and item.split}
    have = {item.split for item in items if item.group in fixed}
    carves = "train" in have and "validation" not in have and shares[1] > 0
    free = [item for item in items if item.group not in fixed]
    carved = [item for item in items if carves and item.split == "train"]
    place = _placed(free, shares, seed, notes)
    carve = _placed(carved, (*shares[:2], 0.0), seed, notes)
    if carved:
        notes.append("validation is taken out of train by group, as the set has none")
    placed = []
    left_out = []
    for item in items:
        if item.group not in fixed:
            placed.append(replace(item, split=place[_key(item)]))
        elif item.split is None:
            left_out.append(item)
        else:
            split = carve[_key(item)] if carves and item.split == "train" else item.split
            placed.append(replace(item, split=split))
    if left_out:
        notes.append(
            f"{len(left_out):,} items are left out: their groups stand in official splits that "
            "they are not in"
        )
    placed, crossing = _by_donor(placed, donors_apart=donors_apart)
    if crossing:
        apart = "are left out" if donors_apart else "stay (donors_apart leaves them out)"
        notes.append(f"{len(crossing):,} fakes wear the face of a person of another split: {apart}")
        left_out += crossing if donors_apart else []
    _note_persons(placed, notes)
    return SplitAssignment(tuple(placed), tuple(left_out), tuple(notes))


def _key(item: Item) -> str:
    """Return the unit of placement: a person holds whole groups."""
    return item.person or item.group


def _placed(
    items: Sequence[Item], shares: Sequence[float], seed: int, notes: list[str]
) -> dict[str, str]:
    """Return the split of each key."""
    classes: dict[str, set[int]] = defaultdict(set)
    for item in items:
        classes[_key(item)].add(item.label)
    hashes = {key: hash_fraction(f"{seed}\0{key}") for key in classes}
    ends = [end / sum(shares) for end in accumulate(shares)]
    wanted = [split for split, share in zip(SPLITS, shares, strict=True) if share > 0]
    starts = dict(zip(SPLITS, (0.0, *ends), strict=False))
    # The last wanted split takes the rounding remainder.
    splits = {
        key: next((s for s, end in zip(SPLITS, ends, strict=True) if value < end), wanted[-1])
        for key, value in hashes.items()
    }
    for label, name in enumerate(CLASSES):
        keys = sorted(key for key, labels in classes.items() if label in labels)
        if len(keys) < len(wanted):
            if keys:
                notes.append(
                    f"groups of {name} to place are too few for {len(wanted)} splits: {len(keys)}"
                )
            continue
        for split in wanted:
            count = Counter(splits[key] for key in keys)
            if count[split]:
                continue
            movable = [key for key in keys if count[splits[key]] > 1]
            nearest = min(movable, key=lambda k: (abs(hashes[k] - starts[split]), k))
            splits[nearest] = split
            notes.append(f"{nearest} is moved into {split}, which else held nothing {name}")
    _note_shares(Counter(splits.values()), dict(zip(SPLITS, shares, strict=True)), notes)
    return splits


def _note_shares(count: Counter[str], shares: dict[str, float], notes: list[str]) -> None:
    """Report shares far from the requested ones: the hash ignores the number of groups."""
    whole = count.total()
    for split, share in shares.items():
        expected = share / sum(shares.values()) * whole
        if abs(count[split] - expected) > max(_FAR * expected, 1):
            counts = ", ".join(f"{count[s]} in {s}" for s in SPLITS if shares[s] > 0)
            notes.append(f"{whole} groups fell far from the shares, {counts}: try another seed")
            return


def _by_donor(items: list[Item], *, donors_apart: bool) -> tuple[list[Item], list[Item]]:
    """Separate the fakes whose donor is in another split."""
    seen: dict[str, set[str | None]] = defaultdict(set)
    for item in items:
        if item.person:
            seen[item.person].add(item.split)
    crossing = [item for item in items if item.donor and seen[item.donor] - {item.split}]
    if not donors_apart:
        return items, crossing
    names = {item.name for item in crossing}
    return [item for item in items if item.name not in names], crossing


def _note_persons(items: Iterable[Item], notes: list[str]) -> None:
    seen: dict[str, set[str | None]] = defaultdict(set)
    for item in items:
        if item.person:
            seen[item.person].add(item.split)
    torn = sum(1 for splits in seen.values() if len(splits) > 1)
    if torn:
        notes.append(
            f"{torn:,} of {len(seen):,} persons stand in more than one split, as the official list "
            "has it: splits by group keep them apart"
        )
