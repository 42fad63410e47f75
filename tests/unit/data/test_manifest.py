"""Data sets read from folders and from manifests."""

import os
from pathlib import Path

import pytest

from mesoscope.data.manifest import Sample, read_dataset, read_datasets, require_both_classes
from mesoscope.errors import DatasetError

HEADER = "path,label,source,group,split,sha256\n"


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def manifest(root, text, **options):
    root.mkdir(parents=True, exist_ok=True)
    (root / "manifest.csv").write_text(text, newline="", **{"encoding": "utf-8", **options})
    return root


def refused(root):
    with pytest.raises(DatasetError) as caught:
        read_dataset(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- clips


def test_a_clip_in_a_folder_of_a_data_set_is_named(tmp_path):
    root = touch(tmp_path / "faces", "train/real/a.jpg", "train/real/deep/film.MP4")
    assert refused(root) == (
        f"{root}/train/real/deep/film.MP4 is a clip, and data sets hold pictures: make one of "
        "its faces with mesoscope prepare plain, or move it away"
    )


def test_a_clip_in_a_manifest_is_named(tmp_path):
    root = manifest(tmp_path / "faces", HEADER + "a/film.mov,real,s,g,train,\n")
    assert "line 2: a/film.mov is a clip, and data sets hold pictures" in refused(root)


def test_clips_are_samples_where_they_are_judged(tmp_path):
    root = touch(
        tmp_path / "clips", "real/a.jpg", "Real/deep/b.MP4", "FAKE/c.mov", "test/fake/d.webm",
        "fake.mp4", "other/e.mp4",
    )  # fmt: skip
    found = read_dataset(root, clips=True)
    assert [(s.path.relative_to(root).as_posix(), s.label, s.split) for s in found] == [
        ("test/fake/d.webm", 1, "test"), ("Real/deep/b.MP4", 0, ""), ("real/a.jpg", 0, ""),
        ("FAKE/c.mov", 1, ""),
    ]  # fmt: skip
    assert {s.source for s in found} == {"clips"}
    assert len({s.group for s in found}) == 4


def test_a_folder_without_splits_is_sent_to_prepare(tmp_path):
    root = touch(tmp_path / "clips", "real/a.mp4", "fake/b.mp4")
    assert "are made into a data set by mesoscope prepare plain" in refused(root)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_may_be_clips_and_need_no_split_where_they_are_judged(tmp_path, suffix):
    rows = "path,label,source,group\na/1.mp4,Fake,swaps,v1\nb 2.jpg,real,,\n"
    root = manifest(tmp_path / "clips", rows)
    if suffix == "parquet":
        csv, parquet = pytest.importorskip("pyarrow.csv"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(csv.read_csv(root / "manifest.csv"), root / "manifest.parquet")
        (root / "manifest.csv").unlink()
    found = [(s.path.name, s.label, s.source, s.group, s.split) for s in read_dataset(
        root, clips=True)]  # fmt: skip
    assert found == [("1.mp4", 1, "swaps", "v1", ""), ("b 2.jpg", 0, "clips", "b 2.jpg", "")]
    assert "no column 'split'" in refused(root)


def test_a_split_that_is_none_is_refused_even_where_none_is_needed(tmp_path):
    root = manifest(tmp_path / "clips", HEADER + "a.mp4,real,s,g,,\nb.mp4,real,s,g,holdout,\n")
    with pytest.raises(DatasetError, match="line 3: split 'holdout' is none of"):
        read_dataset(root, clips=True)


# --- folders


def test_the_layout(tmp_path):
    root = touch(
        tmp_path / "faces", "train/real/b.jpg", "train/real/a.png", "train/fake/c.webp",
        "validation/real/d.jpg", "validation/fake/e.JPEG", "test/fake/deep/er/f.tiff",
    )  # fmt: skip
    found = [(s.path.relative_to(root).as_posix(), s.label, s.split) for s in read_dataset(root)]
    assert found == [
        ("test/fake/deep/er/f.tiff", 1, "test"),
        ("train/real/a.png", 0, "train"),
        ("train/real/b.jpg", 0, "train"),
        ("train/fake/c.webp", 1, "train"),
        ("validation/real/d.jpg", 0, "validation"),
        ("validation/fake/e.JPEG", 1, "validation"),
    ]
    assert {s.source for s in read_dataset(root)} == {"faces"}
    assert len({s.group for s in read_dataset(root)}) == 6  # nothing is known, so each its own


@pytest.mark.parametrize("folder", ["val", "valid", "validation", "Valid", "VALIDATION"])
def test_other_names_of_the_validation_folder(tmp_path, folder):
    touch(tmp_path, f"{folder}/real/a.jpg")
    assert [s.split for s in read_dataset(tmp_path)] == ["validation"]


def test_folders_in_any_case(tmp_path):
    touch(tmp_path, "Train/Real/a.jpg", "Train/FAKE/b.jpg", "Test/Fake/c.jpg")
    found = [(s.path.name, s.label, s.split) for s in read_dataset(tmp_path)]
    assert found == [("c.jpg", 1, "test"), ("a.jpg", 0, "train"), ("b.jpg", 1, "train")]


def test_what_is_no_picture_or_in_no_class_is_left_out(tmp_path):
    touch(tmp_path, "train/real/a.jpg", "train/real/notes.txt", "train/b.jpg", "train/maybe/c.jpg")
    touch(tmp_path, "other/real/d.jpg", "train/real/e.jpg/inside.png")
    names = [s.path.name for s in read_dataset(tmp_path)]
    assert names == ["a.jpg", "inside.png"]


def test_links_are_pictures_and_broken_ones_stay_to_be_named(tmp_path):
    touch(tmp_path, "elsewhere/x.jpg", "set/train/fake/y.jpg")
    folder = tmp_path / "set/train/real"
    folder.mkdir()
    (folder / "good.jpg").symlink_to(tmp_path / "elsewhere/x.jpg")
    (folder / "broken.jpg").symlink_to("nowhere.jpg")
    names = [s.path.name for s in read_dataset(tmp_path / "set")]
    assert names == ["broken.jpg", "good.jpg", "y.jpg"]


def test_names_that_are_not_ascii_or_not_utf8(tmp_path):
    touch(tmp_path, "train/real/été 顔.jpg")
    name = os.fsdecode(b"caf\xe9.jpg")
    try:
        touch(tmp_path, f"train/fake/{name}")
    except OSError:
        pytest.skip("this file system takes no names that are not UTF-8")
    assert [s.path.name for s in read_dataset(tmp_path)] == ["été 顔.jpg", name]


def test_the_folder_in_which_one_stands_has_a_name(tmp_path, monkeypatch):
    touch(tmp_path / "faces", "train/real/a.jpg")
    monkeypatch.chdir(tmp_path / "faces")
    assert read_dataset(Path())[0].source == "faces"
    manifest(tmp_path / "faces", "path,label,split\na.jpg,real,train\n")
    assert read_dataset(Path())[0].source == "faces"


def test_a_missing_folder(tmp_path):
    assert "no such folder" in refused(tmp_path / "gone")
    touch(tmp_path, "file")
    assert "no such folder" in refused(tmp_path / "file")


def test_a_folder_without_pictures(tmp_path):
    message = refused(tmp_path)
    assert str(tmp_path) in message
    assert "train/real" in message


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    root = touch(tmp_path, "train/real/a.jpg", "train/fake/locked/b.jpg")
    scandir = os.scandir

    def deny(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    assert "fake/locked: cannot be listed: Permission denied" in refused(root)


# --- manifests


def test_a_manifest_replaces_the_folders(tmp_path):
    root = touch(tmp_path, "train/real/not_listed.jpg")
    manifest(root, HEADER + "x/a.jpg,fake,dfdc,video7,val,abc\nb.jpg,real,ffpp,,train,\n")
    assert read_dataset(root) == [
        Sample(root / "x/a.jpg", 1, "dfdc", "video7", "validation", "abc"),
        Sample(root / "b.jpg", 0, "ffpp", "b.jpg", "train", ""),
    ]


def test_three_columns_are_enough_in_any_order(tmp_path):
    root = manifest(tmp_path / "set", "split,note,label,path\ntest,hello,fake,a.jpg\n")
    assert read_dataset(root) == [Sample(root / "a.jpg", 1, "set", "a.jpg", "test")]


@pytest.mark.parametrize("label", ["fake", "Fake", "FAKE", " fake "])
def test_fake_is_one_however_it_is_written(tmp_path, label):
    # Real stands first: labels are not numbered by order of appearance or by the alphabet.
    root = manifest(tmp_path, f"path,label,split\na.jpg,Real,Train\nb.jpg,{label},TRAIN\n")
    assert [s.label for s in read_dataset(root)] == [0, 1]


@pytest.mark.parametrize("label", ["1", "0", "forged", "", "fake?"])
def test_other_labels_are_refused_with_their_line(tmp_path, label):
    root = manifest(tmp_path, f"path,label,split\na.jpg,real,train\nb.jpg,{label},train\n")
    message = refused(root)
    assert "line 3" in message
    assert f"label {label!r} is neither real nor fake" in message


def test_an_unknown_split_is_refused(tmp_path):
    root = manifest(tmp_path, "path,label,split\na.jpg,real,training\n")
    assert "line 2: split 'training' is none of train, validation, test" in refused(root)


@pytest.mark.parametrize("path", ["../a.jpg", "x/../../a.jpg", "/etc/a.jpg", "", "  "])
def test_paths_that_leave_the_data_set_are_refused(tmp_path, path):
    root = manifest(tmp_path, f"path,label,split\n{path},real,train\n")
    assert "must be relative and inside the data set" in refused(root)


@pytest.mark.parametrize("gone", ["path", "label", "split"])
def test_a_missing_column_is_named(tmp_path, gone):
    columns = [c for c in ("path", "label", "split") if c != gone]
    root = manifest(tmp_path, ",".join(columns) + "\na,b\n")
    message = refused(root)
    assert f"no column {gone!r}" in message
    assert "path, label, split" in message


def test_semicolons_are_told_apart_from_commas(tmp_path):
    assert "with commas" in refused(manifest(tmp_path, "path;label;split\na.jpg;real;train\n"))


@pytest.mark.parametrize("text", ["", "\n", "path,label,split\n", "path,label,split\n\n\n"])
def test_a_manifest_without_rows(tmp_path, text):
    touch(tmp_path, "train/real/a.jpg")
    message = refused(manifest(tmp_path, text))
    assert "manifest.csv" in message


def test_a_short_row(tmp_path):
    assert "line 2" in refused(manifest(tmp_path, "path,label,split\na.jpg\n"))


def test_spreadsheet_habits_are_no_obstacle(tmp_path):
    text = '\ufeffPath, Label ,split\r\n"a, b.jpg",real,train\r\n\r\ngesicht-ä.jpg, fake ,train\r\n'
    samples = read_dataset(manifest(tmp_path, text))
    assert [s.path.name for s in samples] == ["a, b.jpg", "gesicht-ä.jpg"]
    assert [s.label for s in samples] == [0, 1]


def test_a_manifest_that_is_not_utf8_text(tmp_path):
    (tmp_path / "manifest.csv").write_bytes(b"path,label,split\ncaf\xe9.jpg,real,train\n")
    assert "cannot be read" in refused(tmp_path)


def test_files_that_do_not_exist_stay_listed_for_the_survey(tmp_path):
    root = manifest(tmp_path, "path,label,split\ngone.jpg,real,train\n")
    assert [s.path.name for s in read_dataset(root)] == ["gone.jpg"]


# --- several


def test_two_roots_with_one_name_stay_two_sources(tmp_path):
    one, two = (touch(tmp_path / n / "faces", "train/real/a.jpg") for n in "ab")
    samples = read_datasets([one, two])
    assert [s.source for s in samples] == ["faces", f"faces ({two})"]
    assert len({s.group for s in samples}) == 2


def test_groups_of_two_roots_are_never_one(tmp_path):
    roots = [touch(tmp_path / n, "train/real/a.jpg") for n in "ab"]
    assert [s.source for s in read_datasets(roots)] == ["a", "b"]
    assert len({s.group for s in read_datasets(roots)}) == 2


def test_one_source_in_one_root_keeps_its_name(tmp_path):
    root = manifest(tmp_path, HEADER + "a.jpg,real,s,g,train,\nb.jpg,fake,s,g,train,\n")
    assert read_datasets([root]) == read_dataset(root)


def test_a_root_given_twice_is_refused(tmp_path):
    root = touch(tmp_path / "faces", "train/real/a.jpg")
    with pytest.raises(DatasetError, match="given twice"):
        read_datasets([root, root / "../faces"])


def test_both_classes_are_required(tmp_path):
    samples = read_dataset(
        touch(tmp_path, "train/real/a.jpg", "train/fake/b.jpg", "test/real/c.jpg")
    )
    require_both_classes(samples, "train", "x")
    with pytest.raises(DatasetError, match=r"x: no fake pictures in test: put some in test/fake/"):
        require_both_classes(samples, "test", "x")
    with pytest.raises(DatasetError, match="no real pictures in validation"):
        require_both_classes(samples, "validation", "x")


def test_the_shared_faces(shared):
    samples = read_dataset(shared / "data")
    assert len({s.source for s in samples}) == 6
    for split in ("train", "validation"):
        require_both_classes(samples, split, "shared")
    assert all(("fake" in s.path.parts) == bool(s.label) for s in samples)
