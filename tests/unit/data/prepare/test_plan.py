"""What is planned: splits, limits, masks of pairs, and no two items at one place."""

from dataclasses import replace
from pathlib import Path

import pytest

from mesoscope.data.layouts.item import Item
from mesoscope.data.prepare.plan import (
    PrepareOptions,
    _refuse_duplicate_names,
    limited,
    make_plan,
    with_masks,
)
from mesoscope.data.prepare.work import ItemJob, place_of, spread
from mesoscope.errors import DatasetError


def item(name, **changes):
    told = {
        "paths": (Path(f"{name}.mp4"),), "label": 0, "name": name, "method": "", "group": name,
        "split": "train", "is_clip": True,
    }  # fmt: skip
    return Item(**(told | changes))


def pairs(count):
    reals = [item(f"real/{n}", group=f"g{n}") for n in range(count)]
    fakes = [
        item(
            f"{m}/{n}",
            label=1,
            method=m,
            group=f"g{n}",
            mask=Path(f"{m}/{n}.png"),
            original=f"real/{n}",
        )
        for m in ("A", "B")
        for n in range(count)
    ]
    return reals + fakes


def test_a_limit_keeps_the_same_groups_of_every_method():
    taken = limited(pairs(20), 5, seed=3)
    groups = [
        {i.group for i in taken if (i.label, i.method) == key}
        for key in ((0, ""), (1, "A"), (1, "B"))
    ]
    assert [len(found) for found in groups] == [5, 5, 5]
    assert groups[0] == groups[1] == groups[2]
    assert limited(pairs(20), 5, seed=3) == taken
    assert {i.group for i in limited(pairs(20), 5, seed=4)} != groups[0]
    assert limited(pairs(20), 99, seed=0) == tuple(pairs(20))


def test_a_real_clip_gets_the_mask_of_a_forgery_made_from_it():
    alone = item("real/alone")
    planned = with_masks([*pairs(2), alone])
    jobs = {job.item.name: job.mask for job in planned}
    others = {job.item.name: job.other for job in planned}
    assert others["real/1"] == Path("A/1.mp4")
    assert others["A/1"] == others["B/1"] == Path("real/1.mp4")
    assert others["real/alone"] is None
    assert jobs["real/1"] == Path("A/1.png")
    assert jobs["B/1"] == Path("B/1.png")
    assert jobs["real/alone"] is None


def test_items_that_would_meet_in_one_file_are_refused():
    with pytest.raises(DatasetError, match="same files"):
        _refuse_duplicate_names(
            [ItemJob(item("a"), "train", None), ItemJob(item("a"), "test", None)]
        )


def test_places_tell_class_and_split_alone():
    options = PrepareOptions()
    places = {
        place_of(ItemJob(i, "train", None), place, 0, options)
        for i in pairs(5)
        for place in range(3)
    }
    assert len(places) == 45
    text = " ".join(places)
    assert not [word for word in ("A", "B/", "g1", "mp4") if word in text]
    picture = replace(item("x/y", is_clip=False), label=1)
    first = place_of(ItemJob(picture, "test", None), 0, 0, options)
    assert first.startswith("test/fake/")
    assert "-" not in first
    every = PrepareOptions(all_faces=True, format="jpg")
    two = {place_of(ItemJob(picture, "test", None), 0, n, every) for n in range(2)}
    assert len(two) == 2
    assert all(path.endswith(".jpg") for path in two)


@pytest.mark.parametrize(
    ("count", "frames", "numbers"),
    [(3, 8, [0, 1, 2]), (8, 4, [1, 3, 5, 7]), (300, 3, [50, 150, 250]), (9, 1, [4])],
)
def test_frames_of_a_folder_are_spread(count, frames, numbers):
    assert spread(count, frames) == numbers


def test_a_set_is_planned_without_opening_a_clip(make_ffpp):
    root = make_ffpp()
    for path in root.rglob("*.mp4"):
        path.write_bytes(b"")
    plan = make_plan(root.parent, options=PrepareOptions(frames=4))
    assert plan.reading.layout == "ffpp"
    assert plan.root == root
    assert plan.counted() == {
        (split, label, method): 2
        for split in ("train", "validation", "test")
        for label, method in ((0, ""), (1, "Deepfakes"))
    }
    assert plan.at_most == 48
    assert "FaceForensics terms" in plan.terms
    masks = {job.item.name.rpartition("/")[2]: job.mask for job in plan.jobs}
    assert masks["000"] == masks["000_001"] != masks["001"]
    with pytest.raises(DatasetError, match="did you mean uadfv"):
        make_plan(root, layout="uadf", options=PrepareOptions())


def test_splits_are_drawn_by_group(make_ffpp):
    options = PrepareOptions(split="group", shares=(0.5, 0.5, 0), seed=1)
    plan = make_plan(make_ffpp(), options=options)
    splits = {}
    for job in plan.jobs:
        splits.setdefault(job.item.group, set()).add(job.split)
    assert len(splits) == 3
    assert all(len(found) == 1 for found in splits.values())
    assert {job.split for job in plan.jobs} == {"train", "validation"}
