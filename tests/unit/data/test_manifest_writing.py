"""Manifests written and read back, as CSV and as Parquet."""

import csv
import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesoscope.data import manifest, manifest_rows
from mesoscope.data.manifest import Sample, read_dataset, row_of, write_manifest
from mesoscope.errors import DatasetError, MissingExtra, OutputError

pa = pytest.importorskip("pyarrow", reason="Parquet manifests need mesoscope[parquet]")
from pyarrow import parquet  # noqa: E402 - after the skip

FORMATS = ("manifest.csv", "manifest.parquet")
ROW = {"path": "a.jpg", "label": "real", "split": "train"}

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9)


def refused(root):
    with pytest.raises(DatasetError) as caught:
        read_dataset(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def table(root, columns, **types):
    root.mkdir(exist_ok=True)
    parquet.write_table(pa.table(columns), root / "manifest.parquet", **types)
    return root


@example(rows=[{"path": "x//.jpg", "label": "real", "split": "train"}])
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"path": words.map(lambda w: f"x/{w}.jpg"), "label": st.sampled_from(["real", "fake"]),
             "split": st.sampled_from(["train", "validation", "test"])},
            optional={"source": words, "group": words, "method": words, "sha256": words},
        ),
        min_size=1,
    )
)  # fmt: skip
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_read(tmp_path_factory, name, rows):
    root = tmp_path_factory.mktemp("set")
    assert write_manifest(root / name, rows) == len(rows)
    for row, sample in zip(rows, read_dataset(root), strict=True):
        assert sample == Sample(
            f"{root}/{row['path']}", int(row["label"] == "fake"), row.get("source", root.name),
            row.get("group", row["path"]), row["split"], row.get("sha256", ""),
            row.get("method", ""),
        ), "a path stays as it is written"  # fmt: skip
        assert sample.path == root / row["path"]


@pytest.mark.parametrize("name", FORMATS)
def test_further_columns_stay_in_the_file_and_are_not_read(tmp_path, name):
    rows = [{**ROW, "box": "1 2 3 4", "seed": 7, "blur": 0.5, "more": "left out"}, ROW]
    write_manifest(tmp_path / name, rows, further={"box": str, "seed": int, "blur": float})
    assert len(read_dataset(tmp_path)) == 2
    if name.endswith("csv"):
        with (tmp_path / name).open(newline="") as file:
            first, second = csv.DictReader(file)
        assert (first["box"], first["seed"], first["blur"]) == ("1 2 3 4", "7", "0.5")
        assert (second["box"], second["seed"]) == ("", "")
    else:
        first, second = parquet.read_table(tmp_path / name).to_pylist()
        assert (first["box"], first["seed"], first["blur"]) == ("1 2 3 4", 7, 0.5)
        assert (second["box"], second["seed"], second["blur"]) == ("", None, None)
    assert "more" not in first


@pytest.mark.parametrize("name", FORMATS)
def test_a_samples_row_gives_the_sample_back(tmp_path, name):
    samples = [
        Sample(tmp_path / "train/é, x.jpg", 1, "s", "g", "train", "ab" * 32, "FaceSwap"),
        Sample(tmp_path / "b.jpg", 0, "t", "h", "test"),
    ]
    write_manifest(tmp_path / name, (row_of(s, tmp_path) for s in samples))
    assert read_dataset(tmp_path) == samples


def test_labels_may_be_numbers_when_written(tmp_path):
    write_manifest(tmp_path / "manifest.csv", [{**ROW, "label": 1}, {**ROW, "label": 0}])
    assert [s.label for s in read_dataset(tmp_path)] == [1, 0]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "bad", [{"label": "forged"}, {"label": 2}, {"split": "val"}, {"path": ""}, {"label": None}]
)
def test_rows_that_no_reader_takes_are_not_written(tmp_path, name, bad):
    write_manifest(tmp_path / name, [ROW])
    before = (tmp_path / name).read_bytes()
    with pytest.raises(DatasetError, match="row 2 cannot be written: path"):
        write_manifest(tmp_path / name, [ROW, {**ROW, **bad}])
    assert (tmp_path / name).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_name_that_is_not_utf8_is_told(tmp_path):
    with pytest.raises(DatasetError, match="a name in it is not UTF-8"):
        write_manifest(tmp_path / "manifest.csv", [{**ROW, "path": "caf\udce9.jpg"}])


def test_other_suffixes_and_places_are_refused(tmp_path):
    with pytest.raises(OutputError, match=r"written as .csv or .parquet"):
        write_manifest(tmp_path / "manifest.json", [ROW])
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_manifest(tmp_path / "file/manifest.csv", [ROW])


@pytest.mark.parametrize("module", [manifest, manifest_rows])
def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch, module):
    write_manifest(tmp_path / "manifest.parquet", [ROW])
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'mesoscope\[parquet\]'"):
        read_dataset(tmp_path) if module is manifest_rows else write_manifest(
            tmp_path / "manifest.parquet", [ROW]
        )


def test_ten_thousand_rows_share_what_they_say(tmp_path):
    rows = [
        {"path": f"train/{i:05}.jpg", "label": i % 2, "split": "train", "source": f"s{i % 3}",
         "method": "FaceSwap", "group": f"video {i // 8}"}
        for i in range(10_000)
    ]  # fmt: skip
    for name in FORMATS:
        write_manifest(tmp_path / name, rows)
        samples = read_dataset(tmp_path)
        assert [s.label for s in samples] == [i % 2 for i in range(10_000)]
        for what, few in (("source", 3), ("method", 1), ("group", 1250), ("split", 1)):
            assert len({id(getattr(s, what)) for s in samples}) == few
        (tmp_path / name).unlink()


# --- Parquet files of others


def test_dictionaries_large_strings_and_odd_headings_are_read(tmp_path):
    root = table(
        tmp_path / "set",
        {" Path": pa.array(["a.jpg", "b.jpg"], pa.large_string()),
         "LABEL": pa.array(["Fake", " real "]).dictionary_encode(),
         "split": ["val", "Train"], "group": pa.array([None, "g"]), "method": pa.nulls(2)},
    )  # fmt: skip
    assert read_dataset(root) == [
        Sample(root / "a.jpg", 1, "set", "a.jpg", "validation"),
        Sample(root / "b.jpg", 0, "set", "g", "train"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": [1, 0, 1]}, "column 'label' must be text, it is int64, as public sets disagree"),
        ({"path": [1, 2, 3]}, "column 'path' must be text, it is int64"),
        ({"group": [0.5, 1, 2]}, "column 'group' must be text, it is double"),
        ({"label": ["real", None, "fake"]}, "row 2: no label: every row needs one"),
        ({"path": ["a.jpg", "b.jpg", None]}, "row 3: no path"),
        ({"label": ["real", "fake", "forged"]}, "row 3: label 'forged' is neither real nor fake"),
        ({"label": ["real", "", "fake"]}, "row 2: label '' is neither real nor fake"),
        ({"split": ["train", "test", "dev"]}, "row 3: split 'dev' is none of train, validation"),
        ({"path": ["a.jpg", "../b.jpg", "c.jpg"]}, "row 2: path '../b.jpg' must be relative and"),
        ({"path": ["a.jpg", "b.jpg", "/c.jpg"]}, "row 3: path '/c.jpg' must be relative"),
        ({"path": ["C:\\a.jpg", "b.jpg", "c.jpg"]}, "row 1: path 'C:\\\\a.jpg' must be relative"),
        ({"path": ["a.jpg", "  ", "c.jpg"]}, "row 2: path '' must be relative"),
        ({"path": ["a.jpg", "b.jpg", "c.MP4"]}, "row 3: c.MP4 is a clip, and data sets hold"),
        ({"offset": ["1", "2", "3"]}, "column 'offset' must be whole numbers, it is string"),
        ({"offset": [1, 2, 3], "size": [1, 2, 3]}, "row 1: path 'a.jpg', offset 1, size 1 are no"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_a_line(tmp_path, change, message):
    columns = {"path": ["a.jpg", "b.jpg", "c.jpg"], "label": ["real"] * 3, "split": ["train"] * 3}
    root = table(tmp_path, {**columns, **change})
    assert message in refused(root)


@pytest.mark.parametrize("gone", ["path", "label", "split"])
def test_a_missing_column_is_named(tmp_path, gone):
    root = table(tmp_path, {c: ["a"] for c in ("path", "label", "split") if c != gone})
    assert f"no column {gone!r}: it must have path, label, split" in refused(root)


def test_a_file_that_is_no_parquet_or_is_cut_off(tmp_path):
    write_manifest(tmp_path / "manifest.parquet", [ROW] * 50)
    path = tmp_path / "manifest.parquet"
    whole = path.read_bytes()
    for data in (b"", b"path,label,split\n", whole[:-20]):
        path.write_bytes(data)
        said = refused(tmp_path)
        assert "manifest.parquet: cannot be read as Parquet" in said
        assert said.endswith("write it anew, or fetch it again")


def test_rows_are_counted_from_the_begin_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest_rows, "_ROWS", 2)
    columns = {"path": [f"{i}.jpg" for i in range(7)], "split": ["train"] * 7}
    root = table(tmp_path, {**columns, "label": ["real", "fake"] * 3 + ["real"]})
    assert [s.label for s in read_dataset(root)] == [0, 1, 0, 1, 0, 1, 0]
    table(tmp_path, {**columns, "label": ["real"] * 5 + ["forged", "real"]})
    assert "row 6: label 'forged'" in refused(root)
    table(tmp_path, {**columns, "label": ["real"] * 6 + [None]})
    assert "row 7: no label" in refused(root)


def test_a_table_without_rows(tmp_path):
    root = table(tmp_path, {c: pa.array([], pa.string()) for c in ("path", "label", "split")})
    assert "manifest.parquet has no rows" in refused(root)


def test_two_manifests_are_refused(tmp_path):
    for name in FORMATS:
        write_manifest(tmp_path / name, [ROW])
    assert "holds manifest.csv and manifest.parquet: keep the one that is right" in refused(
        tmp_path
    )


# --- places in shards


@pytest.mark.parametrize(
    ("path", "offset", "size"),
    [("a.jpg", 512, 9), ("x.tar/a.jpg", -1, 9), ("x.tar/a.jpg", 512, -9), ("x.tar/a.jpg", "?", 9),
     ("x.tar/a.jpg", 512, "")],
)  # fmt: skip
def test_a_place_that_cannot_be_is_refused(tmp_path, path, offset, size):
    (tmp_path / "manifest.csv").write_text(
        f"path,label,split,offset,size\n{path},real,train,{offset},{size}\n"
    )
    assert "line 2: path" in refused(tmp_path)
    assert "are no place in a shard" in refused(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_files_and_pictures_in_shards_stand_side_by_side(tmp_path, name):
    (tmp_path / "x.tar").write_bytes(bytes(600))
    rows = [{**ROW, "path": "x.tar/in/a.jpg", "offset": 512, "size": 9}, {**ROW, "path": "b.jpg"}]
    write_manifest(tmp_path / name, rows, further={"offset": int, "size": int})
    within, alone = read_dataset(tmp_path)
    assert (within.shard, within.offset, within.size) == (f"{tmp_path}/x.tar", 512, 9)
    assert within.picture.name == str(within.path) == f"{tmp_path}/x.tar/in/a.jpg"
    assert (alone.shard, alone.picture) == ("", f"{tmp_path}/b.jpg")
    assert dataclasses.replace(alone, label=1).label == 1
