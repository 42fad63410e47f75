"""Sets of pictures: 140k faces, CIPLAB, OpenForensics crops, CNNDetection-style trees, FAL."""

import pytest

from mesoscope.data.layouts.recognise import read_set
from mesoscope.errors import DatasetError


def by_name(reading):
    return {item.name: item for item in reading.items}


def counts(reading):
    return {count.what: (count.found, count.expected) for count in reading.counts}


# 140k real and fake faces


def test_140k_takes_labels_from_folders(tmp_path, trees):
    """Its lists say 1 = real; they lie above the root, and are not read."""
    reading = read_set(trees.faces_140k(tmp_path))
    items = by_name(reading)
    assert (items["train/real/00001"].label, items["train/real/00001"].split) == (0, "train")
    fake = items["valid/fake/050A0IAK9X"]
    assert (fake.label, fake.split, fake.method) == (1, "validation", "StyleGAN")
    assert counts(reading) == {
        "real, train": (4, 50_000), "fake, train": (4, 50_000),
        "real, validation": (4, 10_000), "fake, validation": (4, 10_000),
        "real, test": (4, 10_000), "fake, test": (4, 10_000),
    }  # fmt: skip


def test_140k_is_known_by_its_names_under_another_folder(tmp_path, trees):
    root = trees.faces_140k(tmp_path).rename(tmp_path / "faces")
    assert read_set(root).layout == "faces_140k"


def test_140k_from_the_unpacked_archive(tmp_path, trees):
    root = trees.faces_140k(tmp_path)
    for named in (tmp_path, root.parent, root / "valid"):
        reading = read_set(named)
        assert (reading.layout, reading.root) == ("faces_140k", root)
        assert reading.notes == (f"read from {root}, where the set's root is",)


def test_140k_with_faces_in_the_wrong_folder(tmp_path, trees):
    root = trees.faces_140k(tmp_path)
    (root / "train/fake/00001.jpg").touch()
    (root / "train/real/0A0IAK9X2W.jpg").touch()
    reading = read_set(root)
    assert counts(reading)["fake, train"] == (4, 50_000)
    assert counts(reading)["real, train"] == (4, 50_000)
    told = "\n".join(reading.notes)
    assert "named as real faces of the set are: train/fake/00001.jpg" in told
    assert "named as fake faces of the set are: train/real/0A0IAK9X2W.jpg" in told


# CIPLAB


def test_ciplab_tells_the_parts_by_digits(tmp_path, trees):
    reading = read_set(trees.ciplab(tmp_path))
    methods = {i.name.rpartition("/")[2]: i.method for i in reading.items if i.label}
    assert methods == {
        "easy_1_1110": "left eye, right eye, nose",
        "easy_2_0001": "mouth",
        "mid_17_1111": "left eye, right eye, nose, mouth",
        "hard_3_0010": "nose",
        "hard_4_1000": "left eye",
    }
    assert {i.split for i in reading.items} == {None}
    assert counts(reading) == {
        "real": (5, 1081), "fake": (5, 960),
        "fake, easy": (2, 240), "fake, mid": (1, 480), "fake, hard": (2, 240),
    }  # fmt: skip


def test_ciplab_of_an_archive_that_holds_it_twice(tmp_path, trees):
    trees.ciplab(tmp_path, twice=True)
    reading = read_set(tmp_path)
    assert reading.root == tmp_path / "real_and_fake_face"
    assert len(reading.items) == 10


def test_ciplab_with_a_fake_among_the_reals(tmp_path, trees):
    root = trees.ciplab(tmp_path)
    (root / "training_real/hard_9_0001.jpg").touch()
    (root / "training_fake/odd.jpg").touch()
    reading = read_set(root)
    assert counts(reading)["real"] == (5, 1081)
    assert any("training_real/hard_9_0001.jpg" in n for n in reading.notes)
    assert by_name(reading)["training_fake/odd"].method == "composite"


# OpenForensics crops


def test_openforensics_groups_do_not_cross_splits(tmp_path, trees):
    """Numbers begin anew in each split: real_0 of train is not real_0 of test."""
    reading = read_set(trees.openforensics(tmp_path))
    assert len({i.group for i in reading.items}) == len(reading.items) == 24
    assert counts(reading)["fake, train"] == (4, 70_001)
    assert {i.split for i in reading.items} == {"train", "validation", "test"}


def test_openforensics_with_a_label_turned_round(tmp_path, trees):
    root = trees.openforensics(tmp_path)
    (root / "Train/Real/fake_77.jpg").touch()
    reading = read_set(root)
    assert counts(reading)["real, train"] == (4, 70_001)
    assert any("named fake among the real: Train/Real/fake_77.jpg" in n for n in reading.notes)


# CNNDetection


def test_cnndetection_by_generator_and_class(tmp_path, trees):
    root = trees.cnndetection(tmp_path)
    reading = read_set(root)
    items = by_name(reading)
    fake = items["progan/cat/1_fake/00000"]
    assert (fake.label, fake.method, fake.group) == (1, "progan", "progan/test/cat/00000")
    assert items["progan/cat/0_real/00000"].group == fake.group
    assert items["progan/dog/0_real/00000"].group != fake.group
    assert items["biggan/1_fake/00001"].method == "biggan"
    assert counts(reading) == {
        "real, biggan": (4, None), "fake, biggan": (4, None),
        "real, deepfake": (4, None), "fake, deepfake": (4, None),
        "real, progan": (8, None), "fake, progan": (8, None),
        "real, stylegan": (4, None), "fake, stylegan": (4, None),
    }  # fmt: skip
    assert {i.split for i in reading.items} == {"test"}  # it is CNN_synth_testset
    root = root.rename(tmp_path / "generators")
    assert {i.split for i in read_set(root).items} == {None}


@pytest.mark.parametrize(
    ("above", "split"),
    [("train", "train"), ("val", "validation"), ("test", "test"), ("progan_train", "train")],
)
def test_cnndetection_with_splits_above(tmp_path, trees, above, split):
    root = trees.cnndetection(tmp_path)
    (tmp_path / "dataset").mkdir()
    root.rename(tmp_path / "dataset" / above)
    reading = read_set(tmp_path / "dataset")
    assert {i.split for i in reading.items} == {split}
    assert {i.method for i in reading.items} == {"", "progan", "stylegan", "biggan", "deepfake"}


def test_cnndetection_of_one_generator_alone(tmp_path, trees):
    root = trees.cnndetection(tmp_path)
    reading = read_set(root / "biggan")
    assert reading.root == root / "biggan"
    assert {i.method for i in reading.items} == {"", "biggan"}
    assert read_set(root / "biggan/0_real").root == root / "biggan"


# FAL


def test_fal_keeps_a_face_and_its_changed_twin_together(tmp_path, trees):
    reading = read_set(trees.fal(tmp_path))
    items = by_name(reading)
    fake = items["modified/000003"]
    assert (fake.label, fake.method, fake.original) == (
        1, "Face-Aware Liquify", "reference/000003",
    )  # fmt: skip
    assert {i.label for i in reading.items if i.name.startswith(("original", "reference"))} == {0}
    assert {i.group for i in reading.items if i.name.endswith("000003")} == {"000003"}
    assert counts(reading) == {
        "original": (6, 1000), "reference": (6, 1000), "modified": (6, 1000),
    }  # fmt: skip


def test_fal_without_its_reference(tmp_path, trees):
    root = trees.fal(tmp_path)
    (root / "reference").rename(tmp_path / "elsewhere")
    reading = read_set(root)
    assert by_name(reading)["modified/000003"].original == "original/000003"


def test_a_set_without_a_picture_says_what_was_looked_for(tmp_path):
    (tmp_path / "training_real").mkdir()
    (tmp_path / "training_real/notes.txt").touch()
    with pytest.raises(DatasetError) as error:
        read_set(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: nothing of CIPLAB real and fake faces found: looked for training_real/ and "
        "training_fake/ (1 file not read, no pictures: training_real/notes.txt)"
    )
