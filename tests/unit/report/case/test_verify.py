import dataclasses

import pytest

from mesoscope.errors import ReportError
from mesoscope.models.file import model_id, shipped
from mesoscope.report.case.page import write_page
from mesoscope.report.case.record import verify
from mesoscope.report.case.seal import make_keys, read_private, read_public


@pytest.fixture
def keys(tmp_path):
    public, _ = make_keys(tmp_path / "k.pem")
    other, _ = make_keys(tmp_path / "other.pem")
    return read_private(tmp_path / "k.pem"), read_public(public), read_public(other)


@pytest.fixture
def report(contents_of, verdict_of, tmp_path):
    def make(verdicts, key=None):
        path = tmp_path / "r.html"
        write_page(contents_of(verdicts), path, key=key)
        return path

    return make


def test_files_are_unchanged_changed_missing_or_were_never_there(report, verdict_of, face_file):
    paths = [face_file(name) for name in ("a.jpg", "b.jpg", "c.jpg")]
    path = report([verdict_of(p) for p in [*paths, "never.jpg"]])
    assert verify(path).files == {"unchanged": 3, "unknown": 1}
    paths[1].write_bytes(b"other")
    paths[2].unlink()
    seen = []
    found = verify(path, watch=lambda source, state: seen.append((source, state)))
    assert found.files == {"unchanged": 1, "changed": 1, "missing": 1, "unknown": 1}
    assert seen == [
        (str(paths[0]), "unchanged"), (str(paths[1]), "changed"), (str(paths[2]), "missing"),
        ("never.jpg", "unknown"),
    ]  # fmt: skip
    assert found.trusted  # the report itself is as it was made
    assert not verify(path, files=False).files


def test_relative_paths_start_where_one_says(report, verdict_of, face_file, tmp_path, monkeypatch):
    face_file("a.jpg")
    monkeypatch.chdir(tmp_path)
    path = report([verdict_of("a.jpg")])
    assert verify(path).files == {"unchanged": 1}
    monkeypatch.chdir("/")
    assert verify(path).files == {"missing": 1}
    assert verify(path, root=tmp_path).files == {"unchanged": 1}


def test_signatures(report, verdict_of, keys):
    private, public, other = keys
    path = report([verdict_of("a")], private)
    assert verify(path).signature == "by_unknown"
    assert verify(path, key=public).signature == "good"
    assert verify(path, key=public).trusted
    assert verify(path, key=other).signature == "other_key"
    assert not verify(path, key=other).trusted
    path.write_text(path.read_text().replace("0.500", "0.100"))
    for key in (None, public, other):
        found = verify(path, key=key)
        assert found.signature == "broken"
        assert not found.seal.intact
        assert not found.trusted


def test_a_report_without_the_signature_that_was_asked_for(report, verdict_of, keys):
    path = report([verdict_of("a")])
    assert verify(path).signature == "unsigned"
    assert verify(path).trusted
    assert verify(path, key=keys[1]).signature == "absent"
    assert not verify(path, key=keys[1]).trusted


def test_models_and_settings(report, verdict_of, tmp_path):
    known = model_id(shipped()["meso4"])
    path = report([verdict_of("a", model=known), verdict_of("b", model="mine@00000000")])
    found = verify(path)
    assert found.models == {known: "unchanged", "mine@00000000": "unknown"}
    assert found.settings_match
    text = path.read_text().replace('"fake_above":0.7', '"fake_above":0.8')
    path.write_text(text)
    found = verify(path)
    assert found.settings_match is False
    assert not dataclasses.replace(found, seal=dataclasses.replace(found.seal, intact=True)).trusted


# --- files that somebody else made

ROW = '{"mesoscope_report":1'
SEAL = '{"mesoscope_seal":1,"content_sha256":"' + "0" * 64 + '","signature":"","public_key":""}'
REST = ',"made":"","mesoscope":"","settings":null,"settings_sha256":null,"models":[],"items":[\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        SEAL,
        SEAL + SEAL,
        SEAL + ROW,
        SEAL + ROW + REST,
        SEAL + ROW + ',"items":[\n]}',
        SEAL + ROW.replace("1", '{"a":') + "1" * 10,
        SEAL + ROW + REST + "[" * 100_000 + "\n]}",
        SEAL + ROW + REST + '{"source":7,"sha256":null}\n]}',
        SEAL + ROW + REST + '{"source":"a","sha256":[]}\n]}',
        SEAL + ROW + REST + "7\n]}",
        SEAL + ROW + REST.replace('"models":[]', '"models":[7]') + "]}",
        SEAL + ROW.replace("1", "99") + REST + "]}",
    ],
)
def test_what_is_no_report_is_said_in_one_line(tmp_path, text):
    path = tmp_path / "r.html"
    path.write_text(text)
    with pytest.raises(ReportError) as caught:
        verify(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source", ["nul\\u0000byte", "/dev/zero", "/dev/stdin", "/", "\\ud800", "a" * 5000]
)
def test_sources_that_are_no_files_are_missing_or_unknown(tmp_path, source):
    path = tmp_path / "r.html"
    row = f'{{"source":"{source}","sha256":"{"0" * 64}"}}'
    path.write_text(SEAL + ROW + REST + row + "\n]}")
    assert sum(verify(path).files.values()) == 1
    assert not verify(path).files["unchanged"]


def test_report_of_forty_gigabytes_is_refused_by_its_size(tmp_path):
    path = tmp_path / "r.html"
    with path.open("w") as file:
        file.write(SEAL + ROW)
        file.truncate(40 << 30)
    with pytest.raises(ReportError, match="larger than any report"):
        verify(path)


def test_line_of_a_gigabyte_is_damage(tmp_path):
    path = tmp_path / "r.html"
    with path.open("w") as file:
        file.write(SEAL + ROW + REST)
        file.truncate(1 << 30)
    with pytest.raises(ReportError, match="damaged"):
        verify(path)
