"""What an audit leaves behind, and the audit of a mended copy."""

import errno
import json
import os
from pathlib import Path

import pytest

from mesoscope.data.audit.audit import audit, refuse_output, write_json, write_page
from mesoscope.data.audit.fix import AFTER, fix_and_audit
from mesoscope.data.audit.options import AuditOptions
from mesoscope.data.manifest import read_dataset
from mesoscope.errors import OptionError, OutputError

QUICK = AuditOptions(suspects=False, resamples=20, threads=1)


@pytest.fixture
def audited(make_honest_or_not):
    root = make_honest_or_not("set", train=20, validation=10)
    (root / "train/real/copy.jpg").write_bytes(next((root / "train/real").iterdir()).read_bytes())
    return root, audit(read_dataset(root), root=root, options=QUICK)


def test_json_and_page_hold_the_audit(audited, tmp_path):
    _, found = audited
    write_json(found, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == json.loads(
        json.dumps(found.to_dict())
    )
    page = write_page(found, tmp_path / "a.html", command="again").read_text("utf-8")
    assert "data:image" in page
    assert "again" in page
    assert "data:image" not in write_page(found, tmp_path / "b.html", pictures=False).read_text()
    (tmp_path / "none").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        write_json(found, tmp_path / "none" / "a.json")


def test_nothing_is_written_among_the_pictures(audited, tmp_path):
    root, _ = audited
    refuse_output(tmp_path / "a.json", root)
    for path, says in [
        (tmp_path / "none/a.json", "there is no folder"),
        (tmp_path, "a folder: give the name of a file"),
        (root / "train/a.json", "would lie among the set's pictures"),
        (root / "manifest.json", "would replace the set's manifest"),
    ]:
        with pytest.raises(OptionError, match=says):
            refuse_output(path, root)


def test_a_copy_without_room_for_its_audit_is_told_to_be_complete(audited, tmp_path, monkeypatch):
    _, found = audited

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def audit_and_fill(*given, **more):
        monkeypatch.setattr(Path, "write_bytes", full)
        return audit(*given, **more)

    monkeypatch.setattr("mesoscope.data.audit.fix.audit_samples", audit_and_fill)
    with pytest.raises(OutputError, match=r"audit\.json: cannot be written: .*copy is complete"):
        fix_and_audit(found, tmp_path / "clean", audit_options=QUICK)
    monkeypatch.undo()
    assert len(read_dataset(tmp_path / "clean")) == found.pictures - 1


def test_a_mended_copy_is_audited_as_the_set_was(audited, tmp_path):
    _, found = audited
    told = []
    after = fix_and_audit(found, tmp_path / "clean", audit_options=QUICK, on_fixed=told.append)
    (mended,) = told
    assert mended.copied + mended.encoded == after.pictures == found.pictures - 1
    kept = json.loads((tmp_path / "clean" / AFTER).read_text("utf-8"))
    assert kept["pictures"] == after.pictures
