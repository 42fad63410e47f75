"""Plain folders of reals and fakes, and the project's own layout."""

import os

import pytest

from mesoscope.data.layouts.recognise import read_set
from mesoscope.errors import DatasetError


def test_without_splits(tmp_path, trees):
    reading = read_set(trees.plain(tmp_path, splits=(), suffix="mp4"))
    assert {i.split for i in reading.items} == {None}
    assert all(i.is_clip for i in reading.items)
    assert [(c.what, c.found) for c in reading.counts] == [("real", 4), ("fake", 4)]


def test_splits_by_any_of_their_names(tmp_path, trees):
    reading = read_set(trees.plain(tmp_path, splits=("Train", "valid", "test")))
    assert [(c.what, c.found) for c in reading.counts] == [
        ("real, train", 4), ("fake, train", 4), ("real, validation", 4),
        ("fake, validation", 4), ("real, test", 4), ("fake, test", 4),
    ]  # fmt: skip


def test_namesakes_of_both_classes_stay_together_and_splits_apart(tmp_path, trees):
    groups = {i.name: i.group for i in read_set(trees.plain(tmp_path)).items}
    assert groups["train/real/001"] == groups["train/fake/001"]
    assert groups["train/real/001"] != groups["val/real/001"]


def test_a_folder_below_a_class_is_one_group(tmp_path, trees):
    root = trees.plain(tmp_path, splits=())
    for label in ("real", "fake"):
        for n in range(3):
            path = root / label / "clip 7" / f"{n}.png"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    reading = read_set(root)
    frames = [i for i in reading.items if "clip 7" in i.name]
    assert len(frames) == 6
    assert {i.group for i in frames} == {"clip 7/"}
    assert any(n.startswith("6 files lie in folders below their class") for n in reading.notes)


def test_two_files_of_one_stem_have_two_names(tmp_path, trees):
    root = trees.plain(tmp_path, splits=())
    (root / "real/001.png").touch()
    names = [i.name for i in read_set(root).items]
    assert "real/001" in names
    assert "real/001.png" in names


def test_a_manifest_of_clips_says_labels_groups_splits_and_sources(tmp_path):
    (tmp_path / "show").mkdir()
    for name in ("show/a.mp4", "show/b.MOV", "c.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "manifest.csv").write_text(
        "path,label,source,group,split\nshow/a.mp4,fake,swaps,speaker,train\n"
        "show/b.MOV,real,news,speaker,train\nc.jpg,real,,,\n"
    )
    reading = read_set(tmp_path)
    assert reading.layout == "plain"
    assert [(i.name, i.label, i.is_clip, i.source, i.group, i.split) for i in reading.items] == [
        ("show/a", 1, True, "swaps", "speaker", "train"),
        ("show/b", 0, True, "news", "speaker", "train"),
        ("c", 0, False, tmp_path.name, "c.jpg", None),
    ]
    assert reading.items[0].method == "swaps"


def test_odd_names(tmp_path, trees):
    root = trees.plain(tmp_path, splits=())
    odd = ["a b,c.jpg", "quote\"'.jpg", "new\nline.jpg", "ümläut 人.jpg", "-rf.jpg", "no.dots.jpg"]
    for name in odd:
        (root / "real" / name).touch()
    names = {i.name for i in read_set(root).items}
    assert {f"real/{name.removesuffix('.jpg')}" for name in odd} <= names


def test_a_name_that_is_no_utf8_is_told(tmp_path, trees):
    root = trees.plain(tmp_path, splits=())
    (root / "real" / os.fsdecode(b"\xff\xfe.jpg")).touch()
    reading = read_set(root)
    assert len(reading.items) == 8
    assert any("names are not UTF-8" in n and r"\udcff" in n for n in reading.notes)
    for note in reading.notes:
        note.encode()


def test_a_manifest_says_all(tmp_path):
    (tmp_path / "pictures").mkdir()
    rows = [
        "path,label,source,group,split,sha256",
        "pictures/a.jpg,real,cam,v1,train,",
        "pictures/b.jpg,fake,swap,v1,train,",
    ]
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    items = read_set(tmp_path).items
    assert [(i.name, i.label, i.group, i.split) for i in items] == [
        ("pictures/a", 0, "v1", "train"), ("pictures/b", 1, "v1", "train"),
    ]  # fmt: skip
    assert items[1].method == "swap"


def test_a_manifest_that_tears_a_group_is_settled_and_told(tmp_path):
    rows = ["path,label,source,group,split", "a.jpg,real,cam,v1,train", "b.jpg,fake,cam,v1,test"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    reading = read_set(tmp_path)
    assert [i.split for i in reading.items] == [None, "test"]
    assert any("1 of train share a group with test" in n for n in reading.notes)


def test_files_outside_the_classes_are_told(tmp_path, trees):
    root = trees.plain(tmp_path, splits=())
    (root / "stray.jpg").touch()
    (root / "unsorted").mkdir()
    (root / "real/list.csv").touch()
    told = "\n".join(read_set(root).notes)
    assert "outside real/ and fake/: stray.jpg" in told
    assert "neither a class nor a split: unsorted" in told
    assert "neither pictures nor clips: real/list.csv" in told


def test_a_link_to_a_folder_above_ends(tmp_path, trees):
    root = trees.plain(tmp_path, splits=())
    (root / "real/loop").symlink_to(root / "real", target_is_directory=True)
    assert len(read_set(root).items) == 8


def test_a_broken_link_is_an_item_that_cannot_be_read_later(tmp_path, trees):
    root = trees.plain(tmp_path, splits=())
    (root / "real/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert "real/gone" in {i.name for i in read_set(root).items}


def test_empty_classes_are_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "fake").mkdir()
    with pytest.raises(DatasetError, match="nothing of real and fake folders found"):
        read_set(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="pipes and links are of POSIX")
def test_a_link_to_itself_and_a_pipe_cost_nothing_else(tmp_path, trees):
    root = trees.plain(tmp_path, splits=())
    before = len(read_set(root).items)
    (root / "fake/loop.png").symlink_to("loop.png")
    os.mkfifo(root / "fake/pipe")  # without a suffix: its first bytes are asked for
    after = read_set(root)
    assert len(after.items) == before + 1
