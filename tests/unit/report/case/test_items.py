import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path

import pytest

from mesoscope.errors import OptionError, OutputError, SourceError, SourceMissing
from mesoscope.report.case.items import VerdictSpool, hash_source, read_verdicts


def test_items_come_back_as_often_as_asked_for(tmp_path, spool, verdict_of):
    (tmp_path / "a").write_bytes(b"words")
    there, gone = verdict_of(tmp_path / "a"), verdict_of(tmp_path / "b", 0.9)
    spool.write(there)
    spool.write(gone)
    for _ in range(2):
        one, other = spool
        assert (one.verdict, other.verdict) == (there, gone)
        assert one.file == (hashlib.sha256(b"words").hexdigest(), 5)
        assert other.file is None
    spool.write(there)  # after reading
    assert len(spool) == len(list(spool)) == 3


def test_names_that_are_not_utf_8_survive(tmp_path, spool, verdict_of):
    path = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(path)).write_bytes(b"x")
    spool.write(verdict_of(os.fsdecode(path)))
    (item,) = spool
    assert os.fsencode(item.verdict.source) == path
    assert item.file.n_bytes == 1


def test_a_file_that_changed_since_it_was_judged_is_told(tmp_path, spool, verdict_of):
    (tmp_path / "a").write_bytes(b"words")
    now = hashlib.sha256(b"words").hexdigest()
    spool.add(verdict_of(tmp_path / "a"), judged_sha256=now)
    spool.add(verdict_of(tmp_path / "a"), judged_sha256="0" * 64)
    same, changed = spool
    assert same.earlier is None
    assert changed.earlier == "0" * 64


def test_what_has_no_hash(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="not a regular file"):
        hash_source(str(tmp_path / "pipe"))
    with pytest.raises(SourceError, match=r"Is a directory|not a regular"):
        hash_source(str(tmp_path))
    for gone in ("missing", "\0"):
        with pytest.raises(SourceError):
            hash_source(str(tmp_path / gone))
    with pytest.raises(SourceMissing):
        hash_source("<array>")


def test_verdicts_of_a_scan_are_read(tmp_path, verdict_of):
    verdicts = [verdict_of("a"), verdict_of("b", 0.9, notes=("a note",))]
    path = tmp_path / "v.jsonl"
    path.write_text("\n\n".join(v.to_json() for v in verdicts) + "\n")
    assert list(read_verdicts(path)) == verdicts


@pytest.mark.parametrize("line", ["nothing", "{}", "[]", "3", '{"schema":99}'])
def test_a_line_that_is_no_verdict_is_named(tmp_path, verdict_of, line):
    path = tmp_path / "v.jsonl"
    path.write_text(f"{verdict_of('a').to_json()}\n{line}\n")
    with pytest.raises(OptionError, match=r"v\.jsonl: line 2"):
        list(read_verdicts(path))


def test_no_file_of_verdicts(tmp_path):
    with pytest.raises(OptionError, match="cannot be read"):
        list(read_verdicts(tmp_path / "none.jsonl"))


def test_a_closed_spool_leaves_nothing(tmp_path, monkeypatch, verdict_of):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with VerdictSpool() as items:
        items.write(verdict_of("a"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"error": {}}, "code and message"),
        ({"error": "no"}, "got str - at error"),
        ({"error": {"code": 1, "message": "m"}}, "Expected str, got int - at error"),
        ({"source": 5}, "Expected str, got int - at source"),
        ({"notes": [1]}, r"Expected str, got int - at notes\[0\]"),
        ({"reason": {}}, "got object - at reason"),
        ({"duration_s": "long"}, "got str - at duration_s"),
        ({"persons": [{"number": "one", "label": None, "p_fake": 0.5, "reason": None,
                       "frames": 1, "first_s": 0, "last_s": 1}]}, r"persons\[0\].number"),
        ({"persons": [{"number": 0, "label": "evil", "p_fake": 0.5, "reason": None,
                       "frames": 1, "first_s": 0, "last_s": 1}]}, r"persons\[0\].label"),
    ],
)  # fmt: skip
def test_lines_with_values_of_other_types_are_refused(tmp_path, verdict_of, change, says):
    path = tmp_path / "v.jsonl"
    path.write_text(json.dumps({**verdict_of("a").to_dict(), **change}))
    with pytest.raises(OptionError, match=f"line 1: .*{says}"):
        list(read_verdicts(path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("count", [1, 2000], ids=["when it is read", "when it is written"])
def test_a_full_disk_of_temporary_files_is_named(monkeypatch, verdict_of, count):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *_, **__: Path("/dev/full").open("w"))  # noqa: SIM115 - closed by the spool

    def write_and_read(spool):
        for _ in range(count):
            spool.write(verdict_of("none.jpg"))
        list(spool)

    with VerdictSpool() as spool, pytest.raises(OutputError, match="free some space in"):
        write_and_read(spool)


def test_no_folder_for_temporary_files_is_one_line(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", missing)
    with pytest.raises(OutputError, match="No usable temporary directory"):
        VerdictSpool()
