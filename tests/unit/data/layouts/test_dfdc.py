"""DFDC in all the ways it is published."""

import json

import pytest

from mesoscope.data.layouts.recognise import read_set
from mesoscope.errors import DatasetError


def counts(reading):
    return {count.what: (count.found, count.expected) for count in reading.counts}


def by_name(reading):
    return {item.name: item for item in reading.items}


def test_parts(tmp_path, trees):
    reading = read_set(trees.dfdc(tmp_path))
    assert counts(reading) == {"parts": (3, 50), "real": (9, 19_154), "fake": (18, 100_000)}
    assert "parts not here: 2–48" in reading.notes
    items = by_name(reading)
    real = items["dfdc_train_part_0/akzyxreala"]
    fake = items["dfdc_train_part_0/akzyxfkaxo"]
    assert (real.label, real.group, real.split, real.method) == (0, "akzyxreala", "train", "")
    assert (fake.label, fake.group, fake.original) == (1, "akzyxreala", real.name)


def test_one_part_alone_is_a_root(tmp_path, trees):
    root = trees.dfdc(tmp_path)
    reading = read_set(root / "dfdc_train_part_1")
    assert reading.root == root / "dfdc_train_part_1"
    assert counts(reading) == {"real": (3, 3), "fake": (6, 6)}


def test_parts_within_a_folder_of_their_name(tmp_path, trees):
    """As the archives unpack: dfdc_train_part_00/dfdc_train_part_0."""
    root = trees.dfdc(tmp_path, parts=(0, 1))
    for n in (0, 1):
        (root / "train" / f"dfdc_train_part_0{n}").mkdir(parents=True)
        (root / f"dfdc_train_part_{n}").rename(
            root / f"train/dfdc_train_part_0{n}/dfdc_train_part_{n}"
        )
    reading = read_set(root)
    assert counts(reading)["parts"] == (2, 50)
    assert len(reading.items) == 18


def test_clips_that_a_list_names_and_the_disk_lacks(tmp_path, trees):
    root = trees.dfdc(tmp_path, parts=(0,))
    (root / "dfdc_train_part_0/akzyxreala.mp4").unlink()
    reading = read_set(root)
    assert "dfdc_train_part_0: 1 of the 9 clips that metadata.json names are not here" in (
        reading.notes
    )
    fakes = [item for item in reading.items if item.group == "akzyxreala"]
    assert len(fakes) == 2
    assert {item.original for item in fakes} == {""}


def test_clips_that_no_list_names_have_no_label(tmp_path, trees):
    root = trees.dfdc(tmp_path, parts=(0,))
    (root / "dfdc_train_part_0/stranger.mp4").touch()
    reading = read_set(root)
    assert len(reading.items) == 9
    assert any("stranger.mp4" in n and "without a label" in n for n in reading.notes)


def test_a_part_without_its_list_is_told(tmp_path, trees):
    root = trees.dfdc(tmp_path, parts=(0, 1))
    (root / "dfdc_train_part_1/metadata.json").unlink()
    reading = read_set(root)
    assert len(reading.items) == 9
    assert any(n.startswith("dfdc_train_part_1: no metadata.json") for n in reading.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"metadata\.json: is empty"),
        ('{"a.mp4": {"label": "FAKE",\n', r"metadata\.json, line 2: is no JSON"),
        ("[1, 2]", "names no clips"),
        ("{}", "names no clips"),
        ('{"a.mp4": {"label": "MAYBE"}}', r"metadata\.json, a\.mp4: its label 'MAYBE'"),
        ('{"a.mp4": "FAKE"}', r"a\.mp4: its label"),
    ],
)
def test_damaged_lists_are_refused(tmp_path, trees, text, said):
    root = trees.dfdc(tmp_path, parts=(0,))
    (root / "dfdc_train_part_0/metadata.json").write_text(text)
    with pytest.raises(DatasetError, match=said):
        read_set(root)


def test_the_small_release(tmp_path, trees):
    reading = read_set(trees.dfdc_sample(tmp_path))
    assert counts(reading) == {"real": (4, 77), "fake": (6, 323)}
    assert "test_videos: 2 clips without labels, not read" in reading.notes
    assert not any("names are not here" in note for note in reading.notes)


def test_an_original_of_null_is_none(tmp_path, trees):
    item = by_name(read_set(trees.dfdc_sample(tmp_path)))["train_sample_videos/smplerealz"]
    assert (item.label, item.group, item.original) == (0, "smplerealz", "")


def test_the_test_release_says_1_is_fake(tmp_path, trees):
    reading = read_set(trees.dfdc_test(tmp_path))
    assert {i.name: (i.label, i.split) for i in reading.items} == {
        "test/aalscayrfi": (1, "test"),
        "test/ahjnxtiamx": (1, "test"),
        "test/aktnlyqpah": (0, "test"),
        "test/alaijyygdv": (0, "test"),
    }
    assert counts(reading) == {"real, test": (2, 2), "fake, test": (2, 2)}


def test_the_test_releases_metadata_tells_no_labels(tmp_path, trees):
    folder = trees.dfdc_test(tmp_path) / "test"
    names = [path.name for path in (folder / "videos").iterdir()]
    told = {name: {"is_fake": 0, "augmentations": {}} for name in names}
    (folder / "metadata.json").write_text(json.dumps(told))
    reading = read_set(folder)
    assert {item.name: item.label for item in reading.items} == {
        "aalscayrfi": 1, "ahjnxtiamx": 1, "aktnlyqpah": 0, "alaijyygdv": 0
    }  # fmt: skip
    assert {item.split for item in reading.items} == {"test"}


def test_labels_beside_videos(tmp_path, trees):
    root = trees.dfdc_test(tmp_path)
    reading = read_set(root / "test")
    assert {i.split for i in reading.items} == {"test"}
    assert len(reading.items) == 4
    (root / "test/videos/aalscayrfi.mp4").unlink()
    assert counts(read_set(root / "test"))["fake, test"] == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,class\na.mp4,1\n", "first line must be filename,label"),
        ("filename,label\na.mp4,FAKE\n", r"labels\.csv, line 2: label 'FAKE'"),
        ("filename,label\na.mp4\n", r"labels\.csv, line 2: label ''"),
    ],
)
def test_damaged_labels_are_refused(tmp_path, trees, text, said):
    root = trees.dfdc_test(tmp_path)
    (root / "test/labels.csv").write_text(text)
    with pytest.raises(DatasetError, match=said):
        read_set(root)


def test_the_preview(tmp_path, trees):
    reading = read_set(trees.dfdc_preview(tmp_path))
    assert reading.title == "DFDC preview"
    assert counts(reading) == {
        "real, test": (2, 2), "real, train": (2, 2), "fake, test": (4, 4), "fake, train": (4, 4),
    }  # fmt: skip
    items = by_name(reading)
    fake = items["method_A/1038039/1038039_1102394_A_001"]
    assert (fake.label, fake.method, fake.split) == (1, "method_A", "train")
    assert (fake.person, fake.donor) == ("person_1038039", "person_1102394")
    assert fake.original == "original_videos/1038039/1038039_A_001"


def test_a_person_of_test_is_no_person_of_train(tmp_path, trees):
    root = trees.dfdc_preview(tmp_path)
    path = root / "dataset.json"
    entries = json.loads(path.read_text())
    entries["original_videos/2233445/2233445_A_001.mp4"]["set"] = "train"
    path.write_text(json.dumps(entries))
    reading = read_set(root)
    assert by_name(reading)["original_videos/2233445/2233445_A_001"].split is None
    assert any(n.startswith("1 of train share a group with test") for n in reading.notes)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"label": "fake"}, "set ''"),
        ({"label": 1, "set": "train"}, "label '1'"),
        ("fake", "no entry"),
    ],
)
def test_a_damaged_preview_is_refused(tmp_path, trees, entry, said):
    root = trees.dfdc_preview(tmp_path)
    (root / "dataset.json").write_text(json.dumps({"method_A/x.mp4": entry}))
    with pytest.raises(DatasetError, match=said):
        read_set(root)
