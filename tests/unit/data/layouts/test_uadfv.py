"""UADFV: pairs by number, as clips and as frames."""

import pytest

from mesoscope.data.layouts.recognise import read_set
from mesoscope.errors import DatasetError


def counts(reading):
    return {count.what: (count.found, count.expected) for count in reading.counts}


def test_the_whole_set(tmp_path, trees):
    reading = read_set(trees.uadfv(tmp_path))
    assert counts(reading) == {"real": (49, 49), "fake": (49, 49), "pairs of both": (49, 49)}
    assert reading.notes == ()
    items = {item.name: item for item in reading.items}
    real, fake = items["real/0007"], items["fake/0007_fake"]
    assert (real.label, real.group, real.split) == (0, "0007", None)
    assert (fake.label, fake.group, fake.original) == (1, "0007", "real/0007")


def test_what_a_copy_lacks_is_counted(tmp_path, trees):
    root = trees.uadfv(tmp_path)
    (root / "fake/0000_fake.mp4").unlink()
    (root / "fake/0048_fake.mp4").unlink()
    assert counts(read_set(root)) == {
        "real": (49, 49), "fake": (47, 49), "pairs of both": (47, 49),
    }  # fmt: skip


@pytest.mark.parametrize("inner", ["frames", ""])
def test_folders_of_frames(tmp_path, trees, inner):
    root = trees.uadfv(tmp_path, clips=3, frames=12, inner=inner)
    reading = read_set(root.rename(tmp_path / "renamed"))
    assert reading.layout == "uadfv"
    assert counts(reading)["fake"] == (3, 49)
    fake = next(i for i in reading.items if i.label)
    assert (fake.name, fake.is_clip) == ("fake/0000_fake", False)
    assert [path.stem for path in fake.paths] == [f"{n:03}" for n in range(12)]


def test_an_empty_folder_of_frames_is_told(tmp_path, trees):
    root = trees.uadfv(tmp_path, clips=3, frames=2)
    (root / "fake/frames/0009_fake").mkdir()
    reading = read_set(root)
    assert counts(reading)["fake"] == (3, 49)
    assert any("folders without a frame: fake/frames/0009_fake" in n for n in reading.notes)


def test_one_class_alone_is_read_and_told(tmp_path, trees):
    root = trees.uadfv(tmp_path)
    for path in (root / "fake").iterdir():
        path.unlink()
    reading = read_set(root)
    assert counts(reading) == {"real": (49, 49), "fake": (0, 49), "pairs of both": (0, 49)}
    assert "nothing fake is here" in reading.notes


def test_a_fake_among_the_reals_is_left_out_and_told(tmp_path, trees):
    root = trees.uadfv(tmp_path)
    (root / "fake/0003_fake.mp4").rename(root / "real/0003_fake.mp4")
    (root / "real/holiday.mp4").touch()
    reading = read_set(root)
    assert counts(reading)["real"] == (49, 49)
    assert counts(reading)["fake"] == (48, 49)
    told = next(n for n in reading.notes if "not named as a real clip" in n)
    assert "real/0003_fake.mp4" in told
    assert "real/holiday.mp4" in told


def test_copies_without_fake_in_the_name(tmp_path, trees):
    root = trees.uadfv(tmp_path)
    for path in list((root / "fake").iterdir()):
        path.rename(path.with_name(path.name.replace("_fake", "")))
    reading = read_set(root)
    assert counts(reading)["pairs of both"] == (49, 49)


def test_a_quality_is_refused_where_there_is_one_alone(tmp_path, trees):
    with pytest.raises(DatasetError, match="UADFV: there is one quality, and 'c23'"):
        read_set(trees.uadfv(tmp_path, clips=1), quality="c23")
