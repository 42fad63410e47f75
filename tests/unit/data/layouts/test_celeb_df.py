"""Celeb-DF: a list that is the other way round, without header, and takes recordings apart."""

import pytest

from mesoscope.data.layouts.recognise import read_set
from mesoscope.data.split import assign_splits
from mesoscope.errors import DatasetError


def by_name(reading):
    return {item.name: item for item in reading.items}


def test_the_folder_tells_the_label_and_the_list_the_split(tmp_path, trees):
    items = by_name(read_set(trees.celeb_df(tmp_path)))
    assert (items["YouTube-real/00170"].label, items["YouTube-real/00170"].split) == (0, "test")
    fake = items["Celeb-synthesis/id1_id0_0000"]
    assert (fake.label, fake.split, fake.method) == (1, "test", "Celeb-synthesis")
    assert (fake.group, fake.person, fake.donor) == ("id1_0000", "id1", "id0")
    assert fake.original == "Celeb-real/id1_0000"
    assert items["Celeb-real/id2_0000"].split == "train"


def test_the_first_line_is_no_header(tmp_path, trees):
    """A known reader elsewhere drops it, and trains on a clip of the test list."""
    items = read_set(trees.celeb_df(tmp_path)).items
    assert sorted(i.name for i in items if i.split == "test") == [
        "Celeb-real/id1_0000", "Celeb-synthesis/id0_id1_0001", "Celeb-synthesis/id1_id0_0000",
        "YouTube-real/00170", "YouTube-real/00208",
    ]  # fmt: skip


def test_what_shares_a_recording_with_the_list_is_not_trained_on(tmp_path, trees):
    """id0_id1_0001 is listed; id0_0001 and id0_id16_0001, of one recording with it, are not."""
    reading = read_set(trees.celeb_df(tmp_path))
    items = by_name(reading)
    assert items["Celeb-synthesis/id0_id1_0001"].split == "test"
    assert items["Celeb-synthesis/id0_id16_0001"].split is None
    assert items["Celeb-real/id0_0001"].split is None
    assert items["Celeb-real/id0_0000"].split == "train"
    assert any(n.startswith("2 of train share a group with test") for n in reading.notes)
    assigned = assign_splits(reading.items)
    assert {i.name for i in assigned.left_out} == {
        "Celeb-synthesis/id0_id16_0001", "Celeb-real/id0_0001",
    }  # fmt: skip
    assert any("persons stand in more than one split" in n for n in assigned.notes)


def test_validation_is_taken_out_of_train_by_person(tmp_path, trees):
    reading = read_set(trees.celeb_df(tmp_path))
    assigned = assign_splits(reading.items, shares=(0.5, 0.5, 0))
    test = {i.name for i in reading.items if i.split == "test"}
    assert {i.name for i in assigned.items if i.split == "test"} == test
    persons = {
        split: {i.person or i.group for i in assigned.items if i.split == split}
        for split in ("train", "validation")
    }
    assert persons["train"]
    assert persons["validation"]
    assert not persons["train"] & persons["validation"]


def test_splits_made_anew_keep_persons_and_donors_apart(tmp_path, trees):
    items = read_set(trees.celeb_df(tmp_path)).items
    assigned = assign_splits(items, official=False, donors_apart=True, shares=(0.5, 0.25, 0.25))
    where = {}
    for item in assigned.items:
        for person in filter(None, (item.person, item.donor)):
            assert where.setdefault(person, item.split) == item.split
    assert any("wear the face of a person of another split" in n for n in assigned.notes)
    assert all(item.donor for item in assigned.left_out)


@pytest.mark.parametrize("folder", ["YouTube-real", "Youtube-real", "youtube-real"])
@pytest.mark.parametrize("inner", ["", "videos"])
def test_youtube_in_any_case_and_videos_between(tmp_path, trees, folder, inner):
    reading = read_set(trees.celeb_df(tmp_path, youtube=folder, inner=inner))
    assert sum(i.split == "test" for i in reading.items) == 5
    assert by_name(reading)[f"{folder}/00170"].split == "test"


def test_folders_of_frames(tmp_path, trees):
    item = by_name(read_set(trees.celeb_df(tmp_path, frames=3)))["Celeb-real/id1_0000"]
    assert (item.split, item.is_clip, len(item.paths)) == ("test", False, 3)


def test_lists_of_windows_and_paths_with_videos_between(tmp_path, trees):
    root = trees.celeb_df(tmp_path)
    (root / "List_of_testing_videos.txt").write_bytes(
        b"\xef\xbb\xbf1 Celeb-DF-v2/Celeb-real/videos/id1_0000.mp4\r\n\r\n"
        b"0 Celeb-synthesis\\id1_id0_0000.mp4\r\n"
    )
    assert {i.name for i in read_set(root).items if i.split == "test"} == {
        "Celeb-real/id1_0000", "Celeb-synthesis/id1_id0_0000",
    }  # fmt: skip


def test_without_the_list_there_is_no_split(tmp_path, trees):
    reading = read_set(trees.celeb_df(tmp_path, testing=False))
    assert {i.split for i in reading.items} == {None}
    assert any(n.startswith("List_of_testing_videos.txt is not here") for n in reading.notes)


@pytest.mark.parametrize(
    ("version", "title", "expected"),
    [(1, "Celeb-DF v1", [158, 250, 795]), (2, "Celeb-DF v2", [590, 300, 5639])],
)
def test_versions(tmp_path, trees, version, title, expected):
    reading = read_set(trees.celeb_df(tmp_path, version=version))
    assert reading.title == title
    assert [c.expected for c in reading.counts] == expected
    assert [c.found for c in reading.counts] == [12, 3, 12]


def test_the_version_of_a_renamed_folder_is_told_by_its_list(tmp_path, trees):
    root = trees.celeb_df(tmp_path).rename(tmp_path / "celeb")
    assert read_set(root).title == "Celeb-DF v1"
    lines = "".join(f"0 Celeb-synthesis/id9_id8_{n:04}.mp4\n" for n in range(518))
    (root / "List_of_testing_videos.txt").write_text(lines + "1 YouTube-real/00170.mp4\n")
    reading = read_set(root)
    assert reading.title == "Celeb-DF v2"
    assert "518 of the 519 clips of the test list are not here" in reading.notes


def test_a_list_turned_round_is_told_and_the_folder_believed(tmp_path, trees):
    root = trees.celeb_df(tmp_path)
    (root / "List_of_testing_videos.txt").write_text(
        "0 YouTube-real/00170.mp4\n1 Celeb-synthesis/id1_id0_0000.mp4\n"
    )
    reading = read_set(root)
    assert by_name(reading)["YouTube-real/00170"].label == 0
    assert by_name(reading)["Celeb-synthesis/id1_id0_0000"].label == 1
    assert any("gives 2 clips another label than its folder" in n for n in reading.notes)


@pytest.mark.parametrize("text", ["", "\n\n", "real YouTube-real/00170.mp4\n", "1 00170.mp4\n"])
def test_damaged_lists_are_refused(tmp_path, trees, text):
    root = trees.celeb_df(tmp_path)
    (root / "List_of_testing_videos.txt").write_text(text)
    with pytest.raises(DatasetError, match=r"List_of_testing_videos\.txt(, line 1)?: "):
        read_set(root)


def test_names_of_another_folder_are_told(tmp_path, trees):
    root = trees.celeb_df(tmp_path)
    (root / "Celeb-real/id1_id0_0000.mp4").touch()
    reading = read_set(root)
    assert [c.found for c in reading.counts] == [12, 3, 12]
    assert any("not named as clips of Celeb-real" in n for n in reading.notes)
