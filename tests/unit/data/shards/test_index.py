"""Tar files of others: what is read of them, and how what is wrong is told."""

import gzip
import io
import json
import tarfile

import pytest

from mesoscope.data.manifest import read_dataset
from mesoscope.data.sample import sample_bytes
from mesoscope.data.shards.writing import write_shards
from mesoscope.errors import DatasetError

JPEG = b"\xff\xd8\xff\xe0 no more is read of it here \xff\xd9"


@pytest.fixture
def pack(tmp_path):
    """``pack(name, {member: content})`` writes a tar below ``set/`` and returns that folder."""

    def make(name, members, format_=tarfile.PAX_FORMAT):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w", format=format_) as tar:
            for member, content in members:
                if isinstance(content, dict):
                    content = json.dumps(content)
                data = content if isinstance(content, bytes) else content.encode()
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return tmp_path / "set"

    return make


def refused(root):
    with pytest.raises(DatasetError) as caught:
        read_dataset(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_labels_in_json(pack):
    root = pack("train-0.tar", [
        ("a.jpg", JPEG), ("a.json", {"label": "Fake", "source": "x", "method": "FaceSwap",
                                     "group": "v1", "width": 256, "sha256": None}),
        ("b.json", {"label": "real", "split": "val"}), ("b.png", JPEG + b"!"),
    ])  # fmt: skip
    one, two = read_dataset(root)
    assert one.file == f"{root.as_posix()}/train-0.tar/a.jpg"
    assert (one.label, one.source, one.method, one.group, one.split, one.sha256) == (
        1, "x", "FaceSwap", "v1", "train", ""
    )  # fmt: skip
    assert (two.label, two.source, two.group, two.split) == (
        0, "set", "train-0.tar/b.png", "validation"
    )  # fmt: skip
    assert [sample_bytes(s) for s in (one, two)] == [JPEG, JPEG + b"!"]


def test_labels_in_cls_by_their_names(pack):
    root = pack(
        "val-3.tar", [("a.cls", "fake\n"), ("a.webp", JPEG), ("b.cls", "REAL"), ("b.jpg", JPEG)]
    )
    assert [(s.label, s.split) for s in read_dataset(root)] == [
        (1, "validation"),
        (0, "validation"),
    ]


def test_numbers_are_read_only_where_their_names_stand_beside(pack):
    root = pack("test-0.tar", [("a.jpg", JPEG), ("a.cls", "0"), ("b.jpg", JPEG), ("b.cls", "1")])
    assert "label 0: public sets disagree on what 1 is: put a classnames.txt" in refused(root)
    (root / "classnames.txt").write_text("fake\nreal\n")
    assert [s.label for s in read_dataset(root)] == [1, 0]
    (root / "classnames.txt").write_text("fake\n")
    assert "label '1' is neither real nor fake" in refused(root)
    (root / "classnames.txt").write_text("dog\ncat\n")
    assert "classnames.txt: each line must be real or fake, it has dog, cat" in refused(root)


def test_other_members_and_folders_in_names_are_no_obstacle(pack):
    root = pack("train-0.tar", [
        ("x/a.jpg", JPEG), ("x/a.mask.png", b"?"), ("x/a.txt", "hm"),
        ("x/a.json", {"label": "real"}),
        ("y/a.jpg", JPEG), ("y/a.json", {"label": "fake"}),
        (".hidden", b""),
    ])  # fmt: skip
    assert [s.file.rpartition("set/")[2] for s in read_dataset(root)] == [
        "train-0.tar/x/a.jpg", "train-0.tar/y/a.jpg"
    ]  # fmt: skip


def test_names_too_long_for_a_plain_header(pack):
    name = "very/" * 40 + "long"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        root = pack(
            "train-0.tar", [(f"{name}.jpg", JPEG), (f"{name}.json", {"label": "real"})], form
        )
        (sample,) = read_dataset(root)
        assert sample_bytes(sample) == JPEG


def test_tars_in_folders_of_splits_and_keys_that_come_again_in_another_tar(pack):
    for folder in ("train", "Validation"):
        for n in (0, 1):
            root = pack(f"{folder}/{n:04}.tar", [("0.jpg", JPEG), ("0.json", {"label": "real"})])
    assert sorted((s.split, s.path.parent.name) for s in read_dataset(root)) == [
        ("train", "0000.tar"), ("train", "0001.tar"),
        ("validation", "0000.tar"), ("validation", "0001.tar"),
    ]  # fmt: skip


def test_a_tar_beside_folders_of_pictures_changes_nothing(pack, make_dataset, tmp_path):
    root = make_dataset("set")
    before = read_dataset(root)
    pack("train-0.tar", [("a.jpg", JPEG), ("a.json", {"label": "real"})])
    assert read_dataset(root) == before


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a.npy", b""), ("a.json", {"label": "real"})],
         "(.jpg, .png, .webp …), it has .npy, .json"),
        ([("a.jpg", JPEG), ("a.png", JPEG), ("a.cls", "real")], "must have one picture"),
        ([("a.jpg", JPEG)], "sample a: no label: give it a .json with one, or a .cls"),
        ([("a.jpg", JPEG), ("a.json", {"class": "real"})], "no label"),
        ([("a.jpg", JPEG), ("a.json", {"label": "dog"})], "label 'dog' is neither real nor"),
        ([("a.jpg", JPEG), ("a.json", {"label": "real", "split": "dev"})], "split 'dev' is none"),
        ([("a.jpg", JPEG), ("a.json", "{")], "its .json cannot be read"),
        ([("a.jpg", JPEG), ("a.json", "[1]")], "its .json must be an object"),
        ([("a.jpg", JPEG), ("a.json", b"\xff\xfe\x00")], "a.json is not UTF-8 text"),
        ([("a.jpg", JPEG), ("a.json", " " * (1 << 20) + "{}")], "it is no label"),
        ([("a.jpg", JPEG), ("a.cls", "real"), ("a.jpg", JPEG)], "a.jpg: this key was there before"),
        ([("a.jpg", JPEG), ("b.jpg", JPEG), ("b.cls", "real"), ("a.cls", "real")], "a: no label"),
        ([("a.jpg", JPEG), ("a.cls", "real"), ("b.jpg", JPEG), ("b.cls", "real"), ("a.txt", "")],
         "a.txt: this key was there before"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_sample_is_told_in_a_line(pack, members, message):
    told = refused(pack("train-0.tar", members))
    assert "train-0.tar" in told
    assert message in told


def test_a_tar_that_says_no_split(pack):
    root = pack("faces.tar", [("a.jpg", JPEG), ("a.cls", "real")])
    assert (
        "split 'set' is none of train, validation, test: say it in the .json, or in the"
        in refused(root)
    )


def test_a_tar_that_is_cut_off_anywhere(pack):
    root = pack(
        "train-0.tar", [("a.jpg", JPEG * 40), ("a.cls", "real"), ("b.jpg", JPEG), ("b.cls", "real")]
    )
    path = root / "train-0.tar"
    whole = path.read_bytes()
    end = len(whole.rstrip(b"\0"))
    for cut in (700, 1400, 2560, 3100, end - 3, -(-end // 512) * 512):
        path.write_bytes(whole[:cut])
        told = refused(root)
        assert "train-0.tar: " in told
        assert "fetch it again" in told


def test_what_is_no_tar(pack):
    root = pack("train-0.tar", [("a.jpg", JPEG), ("a.cls", "real")])
    path = root / "train-0.tar"
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert "cannot be read as a tar" in refused(root)
    assert "unpack it if it is compressed" in refused(root)
    path.write_bytes(b"")
    assert "cannot be read as a tar" in refused(root)


def test_links_and_folders_in_a_tar_are_left_alone(tmp_path):
    (tmp_path / "set").mkdir()
    with tarfile.open(tmp_path / "set/train-0.tar", "w") as tar:
        for name, kind in (
            ("x", tarfile.DIRTYPE),
            ("a.jpg", tarfile.SYMTYPE),
            ("b.jpg", tarfile.LNKTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    assert "no pictures found" in refused(tmp_path / "set")


def test_shards_whose_manifest_says_more_than_there_is(make_dataset, tmp_path):
    out = tmp_path / "shards"
    write_shards(make_dataset(), out)
    path = out / "train-000000.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "train-000000.tar: is cut off: it has" in refused(out)
    path.unlink()
    assert "train-000000.tar: a shard that the manifest names cannot be opened: No such" in refused(
        out
    )
