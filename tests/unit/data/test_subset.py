"""A part of a data set: seeded, bounded, fair to sources, classes and groups."""

from collections import Counter
from pathlib import Path

import pytest

from mesoscope.data.sample import Sample, split_of, subset, subset_of_splits
from mesoscope.errors import DatasetError


def plain(number, label, group, source="s", split="test"):
    return Sample(f"{number}.png", label, source, group, split)


def test_the_draw_is_seeded_and_bounded_and_takes_groups_in_turn():
    pool = [plain(i, i % 2, f"g{i // 8}", "ab"[i % 3 > 0]) for i in range(240)]
    drawn = subset(pool, limit=7, seed=1)
    assert drawn == subset(pool, limit=7, seed=1)
    assert drawn != subset(pool, limit=7, seed=2)
    assert Counter((s.source, s.label) for s in drawn) == dict.fromkeys(
        [("a", 0), ("a", 1), ("b", 0), ("b", 1)], 7
    )
    for source, label in (("a", 0), ("b", 1)):
        groups = [s.group for s in drawn if (s.source, s.label) == (source, label)]
        assert len(set(groups)) == 7  # each from another video, as there are enough
    assert sorted(subset(pool, limit=0), key=pool.index) == pool


def test_the_beginning_of_the_draw_stands_for_the_whole():
    pool = [plain(i, int(i >= 60), f"g{i}") for i in range(80)]  # 60 real, 20 fake
    drawn = subset(pool, limit=0)
    for n in (20, 40, 60):
        assert sum(s.label for s in drawn[:n]) == pytest.approx(n / 4, abs=1)


def test_each_split_has_its_own_draw_and_the_order_stays():
    pool = [plain(i, i % 2, f"g{i}", split="train" if i % 3 else "test") for i in range(60)]
    drawn = subset_of_splits(pool, limit=4, seed=3)
    assert drawn == sorted(drawn, key=pool.index)
    assert Counter((s.split, s.label) for s in drawn) == dict.fromkeys(
        [("train", 0), ("train", 1), ("test", 0), ("test", 1)], 4
    )
    assert subset_of_splits(pool, limit=0) == pool


def test_a_split_takes_what_has_none():
    splits = ["train", "test", "", "test"]
    pool = [plain(i, 0, str(i), split=split) for i, split in enumerate(splits)]
    assert split_of(pool, "test", []) == [pool[1], pool[2], pool[3]]
    assert split_of(pool, "all", []) == pool
    with pytest.raises(DatasetError, match=r"no pictures in validation: there are train \(1\)"):
        split_of(pool[:1], "validation", [Path("set")])
