"""Which pictures are real, and where they belong."""

import shutil

import numpy as np
import pytest

from mesoscope.data.shards.writing import write_shards
from mesoscope.errors import DatasetError, OptionError
from mesoscope.media.image import open_image
from mesoscope.synth.reals import read_reals


def test_reals_of_a_data_set_keep_split_and_group(make_dataset):
    root = make_dataset("set", train=3, validation=2)
    found = read_reals(root)
    assert [(r.name, r.split) for r in found] == [
        ("train/real/00.jpg", "train"), ("train/real/01.jpg", "train"),
        ("train/real/02.jpg", "train"), ("validation/real/00.jpg", "validation"),
        ("validation/real/01.jpg", "validation"),
    ]  # fmt: skip
    assert {r.source for r in found} == {"set"}
    (root / "manifest.csv").write_text(
        "path,label,source,group,split\n"
        "train/real/00.jpg,real,film,person 1,test\ntrain/fake/00.jpg,fake,film,person 1,test\n"
    )
    for given in (root, root / "manifest.csv"):
        (one,) = read_reals(given)
        assert (one.name, one.group, one.split, one.source) == (
            "train/real/00.jpg", "person 1", "test", "film",
        )  # fmt: skip


def test_of_a_plain_folder_all_pictures_are_real(tmp_path, make_dataset):
    root = tmp_path / "people"
    shutil.copytree(make_dataset("set", train=20) / "train/real", root / "some/more")
    (root / "notes.txt").write_text("no picture")
    (root / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    found = read_reals(root)
    assert len(found) == 20
    assert found == read_reals(root)
    assert all(r.group == r.name and r.source == "people" for r in found)
    before = {r.name: r.split for r in found}
    assert set(before.values()) == {"train", "validation"}
    (root / "some/more/00.jpg").rename(root / "another.jpg")
    after = {r.name: r.split for r in read_reals(root)}
    assert all(after[name] == split for name, split in before.items() if name in after)
    assert {r.split for r in read_reals(root, validation=0)} == {"train"}
    assert {r.split for r in read_reals(root, validation=1)} == {"validation"}


def test_fakes_beside_a_folder_real_are_left_alone(tmp_path, make_dataset):
    shutil.copytree(make_dataset("set", train=2) / "train", tmp_path / "both")
    assert [r.name for r in read_reals(tmp_path / "both")] == ["real/00.jpg", "real/01.jpg"]


def test_reals_in_shards_are_read_from_there(tmp_path, make_dataset):
    root = make_dataset("set", train=3, validation=1)
    whole = {r.name: open_image(r.picture).pixels for r in read_reals(root)}
    out = tmp_path / "shards"
    write_shards(root, out)
    found = read_reals(out)
    assert len(found) == len(whole) == 4
    pictures = [open_image(r.picture).pixels for r in found]
    for pixels in whole.values():
        assert any(np.array_equal(pixels, other) for other in pictures)
    assert all(r.part is not None for r in found)
    assert len({r.name for r in found}) == 4


def test_nothing_real_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("")
    with pytest.raises(DatasetError, match="no real pictures found"):
        read_reals(tmp_path / "empty")
    for missing in ("nowhere", "list.txt"):
        with pytest.raises(DatasetError, match="no such folder"):
            read_reals(tmp_path / missing)
    with pytest.raises(OptionError, match="validation share"):
        read_reals(tmp_path / "empty", validation=1.5)
