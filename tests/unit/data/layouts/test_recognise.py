"""Which set a folder holds: near misses, several at once, none, and names given by hand."""

import pytest

from mesoscope.data.layouts.recognise import LAYOUTS, layout_named, read_set, recognise
from mesoscope.errors import DatasetError


def test_a_root_one_above_and_two_below(tmp_path, trees):
    root = trees.celeb_df(tmp_path / "a/b")
    assert recognise(tmp_path / "a")[1] == root
    assert recognise(root / "Celeb-real")[1] == root
    assert recognise(root)[1] == root
    with pytest.raises(DatasetError, match="holds no set"):
        recognise(tmp_path)  # three above


def test_a_folder_beside_is_not_read_for_its_neighbours(tmp_path, trees):
    """The folder above is looked at only from a part of the set."""
    root = trees.plain(tmp_path, splits=())
    (root / "elsewhere").mkdir()
    with pytest.raises(DatasetError, match="holds no set that is known here, but is empty"):
        recognise(root / "elsewhere")


def test_several_sets_in_one_folder_are_named(tmp_path, trees):
    trees.uadfv(tmp_path)
    trees.celeb_df(tmp_path)
    with pytest.raises(DatasetError, match="holds several sets: name the folder of one") as error:
        recognise(tmp_path)
    assert f"{tmp_path / 'UADFV'} (uadfv)" in str(error.value)
    assert f"{tmp_path / 'Celeb-DF-v2'} (celeb_df)" in str(error.value)


def test_a_name_decides_between_several(tmp_path, trees):
    trees.uadfv(tmp_path)
    trees.celeb_df(tmp_path)
    assert read_set(tmp_path, layout="uadfv").root == tmp_path / "UADFV"


def test_a_data_set_of_ones_own_that_holds_others_is_plain(tmp_path, trees):
    root = trees.plain(tmp_path)
    trees.uadfv(root)
    trees.celeb_df(root)
    assert recognise(root)[0].name == "plain"
    (tmp_path / "manifest.csv").write_text("path,label,split\nmine/train/real/001.jpg,real,train\n")
    reader, place = recognise(tmp_path)
    assert (reader.name, place) == ("plain", tmp_path)


def test_two_versions_of_one_set_are_named_even_by_hand(tmp_path, trees):
    trees.celeb_df(tmp_path, version=1)
    trees.celeb_df(tmp_path, version=2)
    for layout in (None, "celeb_df"):
        with pytest.raises(DatasetError, match="several") as error:
            read_set(tmp_path, layout=layout)
        assert "Celeb-DF-v1" in str(error.value)


def test_a_set_that_is_none_says_what_it_holds_and_what_was_looked_for(tmp_path):
    for name in ("holiday", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "list.txt").touch()
    with pytest.raises(DatasetError) as error:
        recognise(tmp_path)
    told = str(error.value)
    assert told.startswith(
        f"{tmp_path}: holds no set that is known here, but holiday/, work/, list.txt: "
    )
    assert "\n" not in told
    assert all(f"{name}: {reader.looks_for}" in told for name, reader in LAYOUTS.items())


def test_a_folder_deep_inside_a_set_is_told_its_root(tmp_path, trees):
    root = trees.ffpp(tmp_path)
    deep = root / "manipulated_sequences/Deepfakes/c23/videos"
    with pytest.raises(DatasetError, match="lies inside what looks like") as error:
        recognise(deep)
    assert str(error.value).endswith(f"FaceForensics++: give {root}")


def test_a_missing_folder_and_a_file(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        recognise(tmp_path / "missing")
    (tmp_path / "set.zip").touch()
    with pytest.raises(DatasetError, match="is a file: unpack it"):
        recognise(tmp_path / "set.zip")


@pytest.mark.parametrize(
    ("given", "name"),
    [("FF++", "ffpp"), ("Celeb-DF", "celeb_df"), ("celeb-df-v2", "celeb_df"),
     ("140k", "faces_140k"), ("UADFV", "uadfv"), ("dfdcp", "dfdc"), (" plain ", "plain")],
)  # fmt: skip
def test_names_that_sets_go_by(given, name):
    assert layout_named(given).name == name


def test_an_unknown_name_gets_the_likeliest(tmp_path):
    with pytest.raises(
        DatasetError, match="'uadvf' is no set that is read here: did you mean uadfv"
    ):
        read_set(tmp_path, layout="uadvf")


def test_a_set_named_wrongly_says_what_it_looked_for(tmp_path, trees):
    root = trees.uadfv(tmp_path)
    with pytest.raises(DatasetError, match=r"nothing of Celeb-DF.* looked for Celeb-real/"):
        read_set(root, layout="celeb_df")


def test_a_dot_is_a_folder(tmp_path, trees, monkeypatch):
    root = trees.uadfv(tmp_path)
    monkeypatch.chdir(root / "real")
    reading = read_set(".")
    assert (reading.layout, reading.root) == ("uadfv", root)


def test_a_set_among_other_folders(tmp_path, trees):
    trees.uadfv(tmp_path)
    for n in range(30):
        (tmp_path / f"other{n}/deep/deeper").mkdir(parents=True)
    assert recognise(tmp_path)[1] == tmp_path / "UADFV"
