"""The ledger: answers as they were given; other options, other writers and strangers refused."""

import sqlite3

import pytest

from mesoscope.data.prepare.ledger import REASONS, ItemResult, LeftOut, PrepareLedger, WrittenFace
from mesoscope.data.prepare.plan import PrepareOptions
from mesoscope.errors import DatasetError, ModelMissing, OptionError, OutputError

OPTIONS = PrepareOptions()


def answer(name="a/b", **changes):
    written = WrittenFace(
        path="train/fake/01.png", parent="a/b.mp4", frame=7, time_s=0.25,
        box=(1.5, 2.0, 30.25, 40.0), confidence=0.5, finder="mtcnn", sha256="ab" * 32,
        size_bytes=12,
    )  # fmt: skip
    left = LeftOut("a/b.mp4", "no_face", 1.5, 'é, "quoted"\n')
    told = {
        "name": name, "label": 1, "method": "Deepfakes", "group": "g", "split": "train",
        "stamp": "1 2 3", "written": (written,), "left_out": (left,), "notes": ("seen: so",),
    }  # fmt: skip
    return ItemResult(**(told | changes))


def test_answers_come_back_as_they_were(tmp_path):
    one, two = answer("b"), answer("a", written=(), left_out=(LeftOut("x", "unreadable"),))
    with PrepareLedger(tmp_path / "set", OPTIONS.identity("ffpp")) as ledger:
        ledger.add(one)
        ledger.add(answer("a"))
        ledger.add(two)  # in place of the older
    with PrepareLedger(tmp_path / "set", OPTIONS.identity("ffpp")) as ledger:
        assert list(ledger.answers()) == [two, one]
        assert list(ledger.of(["b", "missing", "a"])) == [one, two]
    assert two.failed
    assert not one.failed
    assert {one.reason for a in (one, two) for one in a.left_out} <= set(REASONS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"margin": 1.4}, "`margin` 1.3, and this is 1.4"),
        ({"size_px": 128}, "`size_px` 256, and this is 128"),
        ({"quality": "c40"}, "`quality` unset, and this is c40"),
        ({"all_faces": True}, "`all_faces` off, and this is on"),
        ({"shares": (0.5, 0.25, 0.25)}, "`shares` 0.8,0.1,0.1, and this is 0.5,0.25,0.25"),
        ({"format": "jpg"}, "`format` png, and this is jpg"),
    ],
)
def test_other_options_are_refused(tmp_path, changes, said):
    PrepareLedger(tmp_path / "set", OPTIONS.identity("ffpp")).close()
    with pytest.raises(DatasetError, match=f"was begun with {said}: give the same options"):
        PrepareLedger(tmp_path / "set", PrepareOptions(**changes).identity("ffpp"))
    with pytest.raises(DatasetError, match="was begun with `set` ffpp, and this is dfdc"):
        PrepareLedger(tmp_path / "set", OPTIONS.identity("dfdc"))


def test_one_works_in_a_folder_at_a_time(tmp_path):
    with (
        PrepareLedger(tmp_path, OPTIONS.identity("ffpp")),
        pytest.raises(DatasetError, match="another prepare works in it"),
    ):
        PrepareLedger(tmp_path, OPTIONS.identity("ffpp"))
    PrepareLedger(tmp_path, OPTIONS.identity("ffpp")).close()


def test_folders_of_others_stay_as_they_are(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(DatasetError, match="holds files that prepare did not write"):
        PrepareLedger(tmp_path, OPTIONS.identity("ffpp"))
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
    with pytest.raises(DatasetError, match="is a file"):
        PrepareLedger(tmp_path / "photo.jpg", OPTIONS.identity("ffpp"))


def test_a_damaged_ledger_is_told(tmp_path):
    (tmp_path / "prepare.sqlite").write_bytes(b"not a database, but long enough to be read" * 9)
    with pytest.raises(DatasetError, match=r"prepare\.sqlite: cannot be read"):
        PrepareLedger(tmp_path, OPTIONS.identity("ffpp"))


def test_a_full_disk_is_no_damage(tmp_path, monkeypatch):
    class Full(sqlite3.Connection):
        def execute(self, statement, *rest):
            if statement.startswith("CREATE"):
                super().execute("PRAGMA max_page_count = 1")
            return super().execute(statement, *rest)

    plain = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **more: plain(*a, factory=Full, **more))
        with pytest.raises(OutputError, match=r"cannot be written: .*full.*same command again"):
            PrepareLedger(tmp_path, OPTIONS.identity("ffpp"))
    PrepareLedger(tmp_path, OPTIONS.identity("ffpp")).close()


def test_another_schema_is_refused(tmp_path):
    PrepareLedger(tmp_path, OPTIONS.identity("ffpp")).close()
    with sqlite3.connect(tmp_path / "prepare.sqlite") as db:
        db.execute("UPDATE begun SET schema = 99")
    db.close()
    with pytest.raises(DatasetError, match="another version of mesoscope"):
        PrepareLedger(tmp_path, OPTIONS.identity("ffpp"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"faces": "none"}, "faces must be one of"),
        ({"frames": 0}, "frames must be at least 1"),
        ({"split": "random"}, "split must be one of official, group"),
        ({"format": "gif"}, "format must be one of png, jpg"),
        ({"shares": (0.5, 0.5, 0.5)}, "add up to 1"),
        ({"shares": (1.5, -0.5, 0)}, "add up to 1"),
        ({"margin": 0.5}, "margin must lie between 1 and 10"),
        ({"size_px": 8}, "size_px must lie between 16 and 4096"),
        ({"jpeg_quality": 101}, "jpeg_quality must lie between 1 and 100"),
        ({"limit": 0}, "limit must lie between 1 and inf"),
    ],
)
def test_options_out_of_range_are_refused(changes, said):
    with pytest.raises(OptionError, match=said):
        PrepareOptions(**changes)


def test_a_finders_model_is_known_by_its_bytes(tmp_path):
    one, same, other = (tmp_path / name for name in ("1.onnx", "2.onnx", "3.onnx"))
    for path, data in ((one, b"a"), (same, b"a"), (other, b"b")):
        path.write_bytes(data)
    told = [PrepareOptions(finder_model=str(p)).identity("ffpp") for p in (one, same, other)]
    assert told[0] == told[1] != told[2]
    with pytest.raises(ModelMissing, match="gone"):
        PrepareOptions(finder_model=str(tmp_path / "gone")).identity("ffpp")
