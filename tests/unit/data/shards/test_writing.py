"""Data sets written as tar shards, and read back as they were."""

import dataclasses
import hashlib
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.data.manifest import read_dataset, row_of, write_manifest
from mesoscope.data.sample import sample_bytes
from mesoscope.data.shards import writing
from mesoscope.data.shards.writing import write_shards
from mesoscope.errors import DatasetError, MissingExtra, OutputError, SourceMissing


def said(sample):
    """What is said of a sample, apart from where it lies."""
    return dataclasses.astuple(
        dataclasses.replace(sample, file="", sha256="", shard="", offset=0, size=0, held=None)
    )


def seen(path):
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}


@pytest.fixture
def dataset(make_dataset):
    """With a manifest that says much, in an order of its own."""
    root = make_dataset(train=7, validation=3)
    samples = read_dataset(root)[::-1]
    rows = [
        {**row_of(s, root), "source": f"s{i % 3}", "group": f"g {i // 2}", "parent": "é, x",
         "method": "Deepfakes" if s.label else ""}
        for i, s in enumerate(samples)
    ]  # fmt: skip
    write_manifest(root / "manifest.csv", rows, further={"parent": str})
    return root


@pytest.mark.parametrize("parquet", [False, True])
def test_the_samples_are_those_of_the_folder_in_their_order(dataset, tmp_path, parquet):
    out = tmp_path / "out/shards"
    written = write_shards(dataset, out, size_bytes=20_000, parquet=parquet)
    folder, shards = read_dataset(dataset), read_dataset(out)
    assert [said(s) for s in shards] == [said(s) for s in folder]
    assert [sample_bytes(s) for s in shards] == [sample_bytes(s) for s in folder]
    assert all(s.sha256 == hashlib.sha256(sample_bytes(s)).hexdigest() for s in shards)
    tars = sorted(p.name for p in out.glob("*.tar"))
    assert tars == sorted(written.shards)
    assert tars[0] == "train-000000.tar"
    assert tars[-1].startswith("validation-")
    assert written.pictures == 20
    assert written.size_bytes == sum(p.stat().st_size for p in out.glob("*.tar"))
    assert [p.name for p in out.parent.iterdir()] == ["shards"]


def test_without_their_manifest_the_same_samples_come_in_the_same_order(dataset, tmp_path):
    write_shards(dataset, tmp_path / "shards", size_bytes=20_000)
    with_it = read_dataset(tmp_path / "shards")
    (tmp_path / "shards/manifest.csv").unlink()
    assert read_dataset(tmp_path / "shards") == with_it


def test_the_same_seed_gives_the_same_bytes_and_another_another_order(dataset, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_shards(dataset, tmp_path / name, seed=seed)
    a, b, c = (
        {p.name: p.read_bytes() for p in sorted((tmp_path / name).iterdir())} for name in "abc"
    )
    assert a == b
    assert a["train-000000.tar"] != c["train-000000.tar"]
    one, other = (seen(tmp_path / n / "train-000000.tar") for n in "ac")
    assert sorted(v for k, v in one.items() if k.endswith("jpg")) == sorted(
        v for k, v in other.items() if k.endswith("jpg")
    )


def test_a_shard_is_what_webdataset_expects(dataset, tmp_path):
    write_shards(dataset, tmp_path / "shards")
    members = list(seen(tmp_path / "shards/train-000000.tar").items())
    assert len(members) == 2 * 14
    order = [s.path.relative_to(dataset).as_posix() for s in read_dataset(dataset)]
    by_original = {s.path.relative_to(dataset).as_posix(): s for s in read_dataset(dataset)}
    for (picture, data), (text, told) in zip(members[::2], members[1::2], strict=True):
        key, extension = picture.split(".")
        assert (text, extension) == (f"{key}.json", "jpg")
        row = json.loads(told)
        its = by_original[row["path"]]
        assert data == its.path.read_bytes()
        assert row == {
            "path": row["path"], "label": ["real", "fake"][its.label], "source": its.source,
            "method": its.method, "group": its.group, "split": its.split,
            "sha256": hashlib.sha256(data).hexdigest(), "row": order.index(row["path"]),
        }  # fmt: skip
    assert [name for name, _ in members[::2]] == [f"{n:09}.jpg" for n in range(14)]
    rows = [json.loads(told)["row"] for _, told in members[1::2]]
    assert rows != sorted(rows)  # in a drawn order


@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=12), limit=st.integers(1, 9000))
def test_offsets_are_true_and_shards_keep_to_their_size(sizes, limit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    tars = writing._Shards(folder, "train", limit)
    places = [tars.add(f"{i:09}", ".jpg", bytes([i]) * n, {}) for i, n in enumerate(sizes)]
    tars.close()
    for i, (n, (name, offset)) in enumerate(zip(sizes, places, strict=True)):
        assert (folder / name).read_bytes()[offset : offset + n] == bytes([i]) * n
        assert seen(folder / name)[f"{i:09}.jpg"] == bytes([i]) * n
    for name in tars.names:
        members = seen(folder / name)
        assert (
            len(members) == 2
            or sum(512 + -(-len(m) // 512) * 512 for m in members.values()) <= limit
        )


def test_a_folder_that_holds_something_is_refused_and_an_empty_one_taken(dataset, tmp_path):
    out = tmp_path / "shards"
    out.mkdir()
    write_shards(dataset, out)
    with pytest.raises(OutputError, match="holds files already: name a new folder"):
        write_shards(dataset, out)
    assert len(read_dataset(out)) == 20


def test_a_picture_that_is_missing_or_changed_stops_it_and_leaves_nothing(dataset, tmp_path):
    folder = read_dataset(dataset)
    rows = [{**row_of(s, dataset), "sha256": hashlib.sha256(s.path.read_bytes()).hexdigest()}
            for s in folder]  # fmt: skip
    write_manifest(dataset / "manifest.csv", rows)
    folder[3].path.write_bytes(folder[4].path.read_bytes())
    with pytest.raises(DatasetError, match=rf"{folder[3].path.name}: is not the file that the man"):
        write_shards(dataset, tmp_path / "shards")
    folder[3].path.unlink()
    with pytest.raises(SourceMissing, match="no such file"):
        write_shards(dataset, tmp_path / "shards")
    assert [p.name for p in tmp_path.iterdir()] == [dataset.name]


def test_a_disk_that_is_full_is_told(dataset, tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.tarfile.TarFile, "addfile", full)
    with pytest.raises(OutputError, match="shards: cannot be written: No space left on device"):
        write_shards(dataset, tmp_path / "shards")
    assert [p.name for p in tmp_path.iterdir()] == [dataset.name]


def test_what_a_killed_run_left_is_no_obstacle(dataset, tmp_path):
    left = tmp_path / ".shards.part"
    left.mkdir()
    (left / "train-000000.tar").write_bytes(b"half")
    write_shards(dataset, tmp_path / "shards")
    assert not left.exists()


def test_parquet_without_pyarrow_is_asked_for_before_the_work(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"mesoscope\[parquet\]"):
        write_shards(dataset, tmp_path / "shards", parquet=True)


def test_progress_is_told(dataset, tmp_path):
    totals = []
    write_shards(dataset, tmp_path / "shards", watch=totals.append)
    assert totals == [20] * 20


@pytest.mark.parametrize("out", [".", "/"])
def test_a_folder_that_nothing_can_be_moved_onto_is_refused(dataset, tmp_path, monkeypatch, out):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputError, match="name a new folder"):
        write_shards(dataset, Path(out))
    assert not list((tmp_path / "here").iterdir())
