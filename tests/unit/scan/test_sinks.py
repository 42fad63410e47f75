"""Lines stay whole."""

import csv
import errno
import json
import os
from pathlib import Path

import pytest

from mesoscope.errors import OutputError
from mesoscope.scan.sinks import Csv, JsonLines, open_sink
from mesoscope.types import FaceScore, Verdict


def verdict(n, source=None):
    faces = (FaceScore((0.0, 0.0, 9.0, 9.0), 1.0, 0.5),)
    return Verdict(source or f"{n}.jpg", "image", "inconclusive", 0.5, "m@1", "between", faces)


def test_jsonl_is_one_object_a_line(tmp_path):
    out = tmp_path / "new/folder/x.jsonl"
    with open_sink(out) as sink:
        for n in range(3):
            sink.write(verdict(n))
            assert len(out.read_text().splitlines()) == n + 1  # known at once
    assert [json.loads(line)["source"] for line in out.read_text().splitlines()] == [
        "0.jpg", "1.jpg", "2.jpg",
    ]  # fmt: skip


def test_csv_has_a_header_and_quotes(tmp_path):
    out = tmp_path / "x.csv"
    with open_sink(out) as sink:
        sink.write(verdict(0, 'comma, "quote".jpg'))
        sink.write(Verdict("bad.jpg", "image", None, None, "m@1", "unreadable", error={"code": "c", "message": "a, b"}))  # fmt: skip # noqa: E501
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert rows[0]["source"] == 'comma, "quote".jpg'
    assert rows[0]["p_fake"] == "0.500000"
    assert (rows[1]["label"], rows[1]["p_fake"], rows[1]["error_message"]) == ("", "", "a, b")


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv"])
def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch, name):
    out = tmp_path / name
    sink = open_sink(out)
    sink.write(verdict(0))
    before = out.read_bytes()
    real, calls = os.write, []

    def full(fd, data):
        calls.append(1)
        if len(calls) == 1:
            return real(fd, bytes(data)[:20])  # half a line goes out, then the disk is full
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match="No space left"):
        sink.write(verdict(1))
    assert out.read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_device_that_is_always_full():
    with pytest.raises(OutputError, match="No space left"):
        Csv(Path("/dev/full"))


def test_names_that_are_not_utf8_survive(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    with JsonLines(tmp_path / "x.jsonl") as sink:
        sink.write(verdict(0, name))
    assert json.loads((tmp_path / "x.jsonl").read_text())["source"] == name


def test_other_suffixes_and_folders_are_refused(tmp_path):
    with pytest.raises(OutputError, match=r"\.jsonl or \.csv"):
        open_sink(tmp_path / "x.txt")
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        open_sink(tmp_path / "d.jsonl")
