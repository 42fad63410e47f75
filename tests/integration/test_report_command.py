"""Reports from the command line: written, checked, altered, signed."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path

import cv2
import pytest

from mesoscope.cli.main import main

OPTIONS = ("--model", "meso4", "--faces", "whole", "--jobs", "1")


@pytest.fixture
def run(capfd):
    """``run("scan", …)`` → exit code, standard output, standard error."""

    def go(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in arguments])
        return end.value.code or 0, *capfd.readouterr()

    return go


@pytest.fixture
def photos(tmp_path, astronaut_face, make_face):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.jpg"), astronaut_face[:, :, ::-1])
    cv2.imwrite(str(folder / "b.png"), make_face(1, 128))
    (folder / "broken.jpg").write_bytes(b"nothing")
    return folder


@pytest.fixture
def keys(tmp_path, run):
    assert run("report", "keygen", tmp_path / "k.pem")[0] == 0
    return tmp_path / "k.pem", tmp_path / "k.pub.pem"


def record_of(path):
    text = path.read_text("utf-8")
    return json.loads(text.partition('id="mesoscope-record">')[2].partition("</script>")[0])


@pytest.mark.parametrize("name", ["r.html", "r.pdf"])
def test_a_scan_with_a_report_that_verifies(run, photos, keys, tmp_path, name):
    out = tmp_path / name
    code, _, told = run("scan", photos, *OPTIONS, "--no-table", "--report", out, "--sign", keys[0])
    assert code == 1  # one file cannot be read, as without a report
    assert f"{out}: 3 files, 2 with evidence, signed" in told
    code, said, _ = run("report", "verify", out, "--key", keys[1])
    assert code == 0
    assert "unchanged (" in said
    assert "good: signed with the given key" in said
    assert "3 unchanged, 0 changed, 0 missing" in said


def test_what_was_altered_is_named(run, photos, tmp_path):
    out = tmp_path / "r.html"
    assert run("report", photos / "a.jpg", photos / "b.png", *OPTIONS, "-o", out)[0] == 0
    (photos / "a.jpg").write_bytes(b"other")
    (photos / "b.png").unlink()
    code, said, _ = run("report", "verify", out)
    assert code == 1
    assert "0 unchanged, 1 changed, 1 missing" in said
    assert f"changed    {photos / 'a.jpg'}" in said
    assert f"missing    {photos / 'b.png'}" in said
    assert run("report", "verify", out, "--report-only")[0] == 0
    out.write_text(out.read_text("utf-8").replace("Check of 2 files", "Check of 9 files"), "utf-8")
    code, said, _ = run("report", "verify", out, "--report-only")
    assert code == 1
    assert "ALTERED" in said


def test_a_report_of_a_scan_file_judges_nothing_anew(run, photos, tmp_path):
    lines, out = tmp_path / "v.jsonl", tmp_path / "r.html"
    run("scan", photos, *OPTIONS, "--no-table", "--out", lines)
    assert run("report", lines, "--faces", "whole", "-o", out)[0] == 0
    record = record_of(out)
    verdicts = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["source"] for row in record["items"]] == [v["source"] for v in verdicts]
    assert [row["p_fake"] for row in record["items"]] == [v["p_fake"] for v in verdicts]
    assert record["settings"] is None
    assert "with its evidence map" in out.read_text("utf-8")  # meso4 is shipped, so it is at hand


def test_a_model_that_the_verdicts_are_not_of_is_told(run, photos, tmp_path):
    lines = tmp_path / "v.jsonl"
    run("scan", photos, *OPTIONS, "--no-table", "--out", lines)

    def said(source, name, model):
        return run("report", source, "--model", model, "-o", tmp_path / name)[2]

    told = said(lines, "a.html", "meso4")
    assert "not used" not in told
    told = said(lines, "b.html", "mesoscope")
    assert "--model mesoscope is not used: the verdicts are by meso4@" in told
    assert "not used" not in said(photos, "c.html", "mesoscope")


def test_a_report_of_a_job(run, photos, tmp_path):
    job, out = tmp_path / "job", tmp_path / "r.html"
    assert (
        run("scan", photos, *OPTIONS, "--out", f"{job}/", "--report", tmp_path / "s.html")[0] == 1
    )
    (photos / "b.png").write_bytes((photos / "a.jpg").read_bytes())
    code, _, told = run("report", job, "--case", "7/2026", "--by", "A. N.", "-o", out)
    assert code == 0, told
    record = record_of(out)
    assert (record["case"], record["analyst"]) == ("7/2026", "A. N.")
    assert record["settings"]["faces"] == "whole"
    assert record["settings_sha256"] == record_of(tmp_path / "s.html")["settings_sha256"]
    changed = {Path(row["source"]).name: row.get("judged_sha256") for row in record["items"]}
    assert changed["a.jpg"] is None
    assert len(changed["b.png"]) == 64
    assert "has changed since it was judged" in out.read_text("utf-8")
    assert run("report", job, photos, "-o", out)[0] == 2


def test_one_file_gets_its_name_as_title(run, photos, tmp_path):
    out = tmp_path / "r.html"
    assert run("report", "-o", out, photos / "a.jpg", *OPTIONS)[0] == 0
    assert record_of(out)["title"] == "Check of a.jpg"
    assert run("report", "make", photos / "a.jpg", *OPTIONS, "-o", out, "--pictures", 0)[0] == 0
    assert "<article" not in out.read_text("utf-8")


def test_the_options_of_a_scan_are_those_of_its_report(run, photos, tmp_path):
    out = tmp_path / "r.html"
    assert run("report", photos / "a.jpg", *OPTIONS, "--min-face", 500, "-o", out)[0] == 0
    record = record_of(out)
    assert record["items"][0]["reason"] == "face_too_small"
    assert record["settings"]["min_face_px"] == 500
    code, _, told = run("report", photos / "a.jpg", *OPTIONS, "--fpr", 0.5, "-o", out)
    assert code != 0
    assert "0.5" in told  # the card of meso4 has no threshold for it


def test_a_file_to_report_on_is_never_overwritten(run, photos, tmp_path):
    out = tmp_path / "leaflet.pdf"
    out.write_bytes(b"not a report")
    code, _, told = run("report", photos / "a.jpg", out, *OPTIONS, "-o", out)
    assert code == 2
    assert f"{out}: this is a file to report on" in told
    assert out.read_bytes() == b"not a report"


def test_a_key_with_a_passphrase(run, photos, tmp_path, monkeypatch):
    key, out = tmp_path / "p.pem", tmp_path / "r.html"
    words = ("report", photos / "a.jpg", *OPTIONS, "-o", out, "--sign", key)
    monkeypatch.setenv("MESOSCOPE_KEY_PASSPHRASE", "secret")
    assert run("report", "keygen", key, "--passphrase")[0] == 0
    assert run(*words)[0] == 0
    assert run("report", "verify", out, "--key", tmp_path / "p.pub.pem")[0] == 0
    monkeypatch.setenv("MESOSCOPE_KEY_PASSPHRASE", "wrong")
    code, _, told = run(*words)
    assert code == 2
    assert "not its passphrase" in told
    monkeypatch.delenv("MESOSCOPE_KEY_PASSPHRASE")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, _, told = run(*words)
    assert code == 2
    assert "set MESOSCOPE_KEY_PASSPHRASE" in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("report", "a.jpg", "-o", "r.docx"), "written as .html or .pdf"),
        (("report", "a.jpg", "-o", "none/r.html"), "there is no folder none"),
        (("report", "a.jpg", "-o", "r.html", "--sign", "none.pem"), "key cannot be read"),
        (("report", "a.jpg", "-o", "r.html", "--ledger", "sqlite://"), "needs a job folder"),
        (("scan", "a.jpg", "--sign", "k.pem"), "name one with --report"),
        (("scan", "a.jpg", "--report", "r.txt"), "written as .html or .pdf"),
    ],
)
def test_what_cannot_work_is_said_before_the_work(run, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    code, out, told = run(*words)
    assert (code, out) == (2, "")
    assert says in told
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_report(run, photos):
    code, _, told = run("report", "verify", photos / "a.jpg")
    assert code == 1
    assert "no seal of a mesoscope report" in told


def test_keys_are_made_once_and_kept_from_others(run, keys):
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    code, _, told = run("report", "keygen", keys[0])
    assert code == 2
    assert "exists already" in told


def test_a_missing_package_is_named_with_its_extra(run, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "reportlab", None)
    code, _, told = run("report", photos, "-o", tmp_path / "r.html")
    assert code == 3
    assert "pip install 'mesoscope[report]'" in told


def test_a_folder_without_pictures_is_told(run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, told = run("report", "make", tmp_path / "empty", "-o", tmp_path / "r.html", *OPTIONS)
    assert code == 0
    assert "0 files" in told
    assert "no picture or clip was found: check the path" in told
