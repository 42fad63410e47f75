"""Splits by group: shares, the same everywhere, official ones kept."""

import math
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.data.layouts.item import Item
from mesoscope.data.split import assign_splits
from mesoscope.errors import OptionError


def item(name, label=0, group=None, split=None, person="", donor=""):
    return Item(
        paths=(Path(f"{name}.png"),), label=label, name=name, method="swap" if label else "",
        group=group or name, split=split, person=person, donor=donor,
    )  # fmt: skip


def pairs(count, ahead=""):
    """A real and a fake in each group."""
    return [item(f"{ahead}{n}/{y}", y, f"{ahead}{n}") for n in range(count) for y in (0, 1)]


def where(assigned):
    return {i.name: i.split for i in assigned.items}


def test_shares_are_about_those_asked_for_and_classes_alike():
    assigned = assign_splits(pairs(2000), shares=(0.7, 0.2, 0.1))
    count = Counter(i.split for i in assigned.items)
    assert count["train"] / 4000 == pytest.approx(0.7, abs=0.03)
    assert count["validation"] / 4000 == pytest.approx(0.2, abs=0.03)
    for split in count:
        labels = Counter(i.label for i in assigned.items if i.split == split)
        assert labels[0] == labels[1]


def test_only_the_ratios_of_shares_count():
    items = pairs(50)
    assert where(assign_splits(items, shares=(8, 1, 1))) == where(assign_splits(items))


@given(st.lists(st.integers(0, 400), unique=True, min_size=60, max_size=120), st.integers(0, 5))
def test_added_items_move_none(numbers, seed):
    """Neither do their order, nor what else is there."""
    items = [i for n in numbers for i in (item(f"r{n}", 0, f"g{n}"), item(f"f{n}", 1, f"g{n}"))]
    before = assign_splits(items[: len(items) // 2], seed=seed, shares=(1, 1, 1))
    after = where(assign_splits(reversed(items), seed=seed, shares=(1, 1, 1)))
    assert all(after[i.name] == i.split for i in before.items)


def test_another_seed_draws_other_splits():
    items = pairs(100)
    assert where(assign_splits(items, seed=1)) != where(assign_splits(items, seed=2))


def test_the_order_of_items_is_kept():
    items = pairs(20)
    assert [i.name for i in assign_splits(items).items] == [i.name for i in items]


def test_the_hash_is_the_same_on_every_machine():
    assigned = assign_splits(pairs(8, "video-"), shares=(1, 1, 1))
    assert [i.split for i in assigned.items if not i.label] == [
        "test", "validation", "validation", "validation", "train", "test", "validation",
        "validation",
    ]  # fmt: skip


def test_a_person_holds_groups_together():
    items = [item(f"{n}", n % 2, person=f"p{n // 6}") for n in range(120)]
    splits = defaultdict(set)
    for i in assign_splits(items).items:
        splits[i.person].add(i.split)
    assert all(len(found) == 1 for found in splits.values())


def test_a_small_set_has_both_classes_in_every_split():
    assigned = assign_splits(
        [item(f"r{n}") for n in range(3)] + [item(f"f{n}", 1) for n in range(3)]
    )
    assert {(i.split, i.label) for i in assigned.items} == {
        (split, label) for split in ("train", "validation", "test") for label in (0, 1)
    }
    assert any("is moved into" in note for note in assigned.notes)


def test_too_few_groups_are_told():
    assigned = assign_splits([item("r"), item("f", 1)])
    assert "groups of real to place are too few for 3 splits: 1" in assigned.notes
    assert len(assigned.items) == 2


def test_groups_that_fall_far_from_the_shares_are_told():
    few = pairs(12, "clip")
    notes = assign_splits(few, shares=(0.5, 0.25, 0.25), seed=2).notes
    count = Counter(
        i.split for i in assign_splits(few, shares=(0.5, 0.25, 0.25), seed=2).items if i.label
    )
    assert (
        f"12 groups fell far from the shares, {count['train']} in train, "
        f"{count['validation']} in validation, {count['test']} in test: try another seed"
    ) in notes
    assert not any("far from" in n for n in assign_splits(pairs(600)).notes)


def test_a_split_of_no_share_stays_empty():
    splits = Counter(i.split for i in assign_splits(pairs(60), shares=(0.5, 0.5, 0)).items)
    assert set(splits) == {"train", "validation"}


@pytest.mark.parametrize(
    "shares",
    [(1, 1), (0.5, 0.6, -0.1), (0, 0, 0), (1, 1, 1, 1), (math.inf, 1, 1), (1, math.nan, 1)],
)
def test_shares_that_are_none(shares):
    with pytest.raises(OptionError, match="give three for train, validation, test"):
        assign_splits(pairs(3), shares=shares)


def test_official_splits_stay_and_others_are_placed():
    official = [
        item(f"{split}{n}/{y}", y, f"{split}{n}", split)
        for split in ("train", "validation", "test") for n in range(3) for y in (0, 1)
    ]  # fmt: skip
    assigned = assign_splits([*official, *pairs(40, "more")])
    placed = where(assigned)
    assert all(placed[i.name] == i.split for i in official)
    assert {placed[i.name] for i in pairs(40, "more")} == {"train", "validation", "test"}
    assert assigned.left_out == ()


def test_official_splits_may_be_drawn_anew():
    items = [item(f"{n}/{y}", y, f"{n}", "train") for n in range(60) for y in (0, 1)]
    assigned = assign_splits(items, official=False)
    assert {i.split for i in assigned.items} == {"train", "validation", "test"}


def test_a_missing_validation_is_taken_out_of_train():
    items = [item(f"a{n}/{y}", y, f"a{n}", "train") for n in range(60) for y in (0, 1)]
    items += [item(f"b{n}/{y}", y, f"b{n}", "test") for n in range(20) for y in (0, 1)]
    assigned = assign_splits(items, shares=(0.5, 0.5, 0.1))
    placed = where(assigned)
    assert {placed[i.name] for i in items if i.split == "train"} == {"train", "validation"}
    assert {placed[i.name] for i in items if i.split == "test"} == {"test"}
    assert "validation is taken out of train by group, as the set has none" in assigned.notes


def test_without_a_share_of_validation_train_stays_whole():
    items = [item(f"a{n}/{y}", y, f"a{n}", "train") for n in range(9) for y in (0, 1)]
    assigned = assign_splits(items, shares=(0.9, 0, 0.1))
    assert {i.split for i in assigned.items} == {"train"}


def test_what_shares_a_group_with_an_official_split_is_left_out():
    items = [*pairs(5), item("listed", 1, "0", "test"), item("other", 1, "free")]
    assigned = assign_splits(items)
    assert {i.name for i in assigned.left_out} == {"0/0", "0/1"}
    assert where(assigned)["listed"] == "test"
    assert any(note.startswith("2 items are left out") for note in assigned.notes)


def test_donors_of_other_splits_are_told_or_left_out():
    items = [item(f"r{p}", 0, person=f"p{p}") for p in range(30)]
    items += [
        item(f"f{p}.{d}", 1, f"r{p}", person=f"p{p}", donor=f"p{d}")
        for p in range(30) for d in range(30) if p != d
    ]  # fmt: skip
    stays = assign_splits(items, shares=(1, 1, 1))
    assert len(stays.items) == len(items)
    assert any("(donors_apart leaves them out)" in note for note in stays.notes)
    apart = assign_splits(items, shares=(1, 1, 1), donors_apart=True)
    splits = {i.person: i.split for i in apart.items}
    assert all(splits[i.donor] == i.split for i in apart.items if i.donor)
    assert len(apart.items) + len(apart.left_out) == len(items)
    assert apart.left_out
