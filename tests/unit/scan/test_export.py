"""Verdicts as they leave a job: JSON lines, CSV, Parquet."""

import csv
import os
from itertools import islice

import pytest

from mesoscope.errors import MissingExtra, OutputError
from mesoscope.scan import sinks as export_module
from mesoscope.scan.sinks import COLUMNS, export, record
from mesoscope.scan.tables import Result
from mesoscope.types import FaceScore, Verdict

NAMES = [b"/a/plain.jpg", b"/a/caf\xe9.jpg", b'/a/comma, "quote"\nline.jpg', "/a/né😀.jpg".encode()]


class Kept:
    """A ledger that holds only results."""

    def __init__(self, count=4, fails_at=None):
        self.count, self.fails_at = count, fails_at

    def results(self):
        for n in range(self.count):
            if n == self.fails_at:
                raise OSError(28, "No space left on device")
            path = NAMES[n % 4]
            face = FaceScore((1, 2, 3, 4), 0.5, 0.25)
            verdict = Verdict(os.fsdecode(path), "image", "real", 0.25, "m@1", faces=(face,))
            if n % 4 == 1:
                error = {"code": "source.unreadable", "message": f"{os.fsdecode(path)}: broken"}
                verdict = Verdict(os.fsdecode(path), "image", None, None, "m@1", error=error)
            first = NAMES[0] if n % 4 == 2 else None
            yield Result(path, 10 + n, 20, bytes(31) + b"\x01", first, verdict.to_json())


def test_json_lines_are_verdicts(tmp_path):
    assert export(Kept(), tmp_path / "sub/x.jsonl") == 4
    verdicts = [
        Verdict.from_json(line)
        for line in (tmp_path / "sub/x.jsonl").read_text("ascii").splitlines()
    ]
    assert [os.fsencode(verdict.source) for verdict in verdicts] == NAMES
    assert verdicts[0].faces[0].p_fake == 0.25


def test_csv_keeps_the_bytes_of_names(tmp_path):
    export(Kept(), tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [os.fsencode(row["source"]) for row in rows] == NAMES
    assert list(rows[0]) == list(COLUMNS)
    assert rows[0]["sha256"] == "00" * 31 + "01"
    assert (rows[0]["faces"], rows[0]["size_bytes"], rows[0]["duplicate_of"]) == ("1", "10", "")
    assert (rows[1]["label"], rows[1]["p_fake"]) == ("", "")
    assert rows[1]["error_code"] == "source.unreadable"
    assert rows[2]["duplicate_of"] == "/a/plain.jpg"


def test_parquet_has_types_and_the_whole_verdict(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    monkeypatch.setattr(export_module, "_GROUP", 3)  # so that groups are met
    assert export(Kept(10), tmp_path / "x.parquet") == 10
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table.column_names == [*COLUMNS, "verdict"]
    assert {str(table.schema.field(name).type) for name in ("p_fake", "duration_s")} == {"double"}
    rows = table.to_pylist()
    assert rows[1]["source"] == "/a/caf\\udce9.jpg"
    assert rows[3]["source"] == "/a/né😀.jpg"
    assert rows[0]["p_fake"] == 0.25
    assert rows[1]["p_fake"] is None
    assert Verdict.from_json(rows[2]["verdict"]).label == "real"
    assert export(Kept(0), tmp_path / "none.parquet") == 0
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    (tmp_path / "x.csv").write_text("as it was")
    with pytest.raises(OutputError, match=r"x\.csv: cannot be written: No space left"):
        export(Kept(fails_at=2), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    with pytest.raises(OutputError, match="cannot be written"):
        export(Kept(), tmp_path / "x.csv/sub/y.csv")


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.parquet"])
def test_an_interrupt_leaves_nothing_behind(tmp_path, name):
    class Stopped(Kept):
        def results(self):
            yield from islice(super().results(), 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(Stopped(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_other_suffixes_and_a_missing_package_are_said_first(tmp_path, monkeypatch):
    for name in ("x", "x.txt", "x.csv.gz"):
        with pytest.raises(OutputError, match=r"\.jsonl, \.csv or \.parquet"):
            export(Kept(), tmp_path / name)
    monkeypatch.setattr(export_module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"mesoscope\[parquet\]"):
        export(Kept(), tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_verdict_of_schema_1_has_its_columns():
    old = '{"schema":1,"source":"a","kind":"image","label":null,"p_fake":null,"reason":"no_face","faces":[],"frames_read":1,"model":"m@1","elapsed_s":{},"error":null}'  # noqa: E501
    row = record(Result(b"a", 1, 2, None, None, old))
    assert set(row) == set(COLUMNS)
    assert (row["reason"], row["persons"], row["finder"], row["sha256"]) == (
        "no_face",
        0,
        None,
        None,
    )
