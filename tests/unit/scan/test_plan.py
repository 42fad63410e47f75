"""Which files a resume scans again, whatever happened to the folder."""

import os
import random

import pytest

from mesoscope.scan.ledger import Ledger
from mesoscope.scan.plan import Planner, without_nested
from mesoscope.scan.tables import Outcome, open_engine


@pytest.fixture
def ledger(tmp_path):
    kept = Ledger(open_engine(f"sqlite:///{tmp_path}/ledger.sqlite"))
    kept.begin({"model": "m@1"})
    yield kept
    kept.close()


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def touch(path, text="x", time_ns=10**18):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(time_ns, time_ns))


def planned(ledger, *paths, **options):
    places = []
    plan = Planner(ledger, places.extend, **options).compare(without_nested(map(str, paths)))
    if places:
        ledger.fail([Outcome(os.fsencode(p.path) + b"/" * p.folder, "failed") for p in places])
    return plan.new, plan.changed, plan.removed, len(places)


def scan(ledger):
    """Finish all that is open, as a scan does; gives back the paths."""
    claims = ledger.claim("me", 10_000)
    outcomes = []
    for claim in claims:
        info = os.stat(claim.path)  # noqa: PTH116 - a path in bytes
        outcomes.append(Outcome(claim.path, "done", info.st_size, info.st_mtime_ns, b"h" * 32))
    ledger.finish("me", outcomes)
    return {os.fsdecode(claim.path) for claim in claims}


def test_new_changed_and_removed(ledger, root):
    for name in ("a.png", "b/c.png", "b-/d.png", "b.png"):
        touch(root / name)
    assert planned(ledger, root) == (4, 0, 0, 0)
    assert planned(ledger, root) == (0, 0, 0, 0)  # killed before the first was scanned
    assert len(scan(ledger)) == 4
    assert planned(ledger, root) == (0, 0, 0, 0)
    touch(root / "a.png", time_ns=10**18 + 1)
    touch(root / "b/c.png", "longer")
    (root / "b.png").unlink()
    touch(root / "b0.png")
    assert planned(ledger, root) == (1, 2, 1, 0)
    assert scan(ledger) == {str(root / name) for name in ("a.png", "b/c.png", "b0.png")}
    touch(root / "b.png")
    assert planned(ledger, root) == (0, 1, 0, 0)
    assert scan(ledger) == {str(root / "b.png")}


def test_any_history_ends_as_the_folder_is(ledger, root, monkeypatch):
    """Random changes, with pages and batches so small that every boundary is met."""
    monkeypatch.setattr("mesoscope.scan.ledger_reader.PAGE", 3)
    monkeypatch.setattr("mesoscope.scan.plan.BATCH", 2)
    draw = random.Random(4)
    names = [f"{a}{b}{c}.png" for a in ("", "d/", "d-/", "d/e/") for b in "aé" for c in range(6)]
    truth = {}
    for step in range(25):
        before = dict(truth)
        for name in draw.sample(names, 9):
            path = root / name
            if draw.random() < 0.4:
                path.unlink(missing_ok=True)
                truth.pop(name, None)
            else:
                touch(path, time_ns=10**18 + step)
                truth[name] = step
        planned(ledger, root)
        due = {name for name in truth if before.get(name) != truth[name]}
        # A file that went and came back unchanged in between was never seen to go.
        assert scan(ledger) == {str(root / name) for name in due}
        rows = {os.fsdecode(r.path): r for r in ledger.rows(b"", b"\xff")}
        assert {path for path, r in rows.items() if r.state == "done"} == {
            str(root / name) for name in truth
        }
        assert {r.state for r in rows.values()} <= {"done", "removed"}


def test_other_folders_stay_as_they_are(ledger, root):
    touch(root / "a/x.png")
    touch(root / "ab/x.png")
    assert planned(ledger, root / "a", root / "ab", root / "a/x.png") == (2, 0, 0, 0)
    scan(ledger)
    (root / "a/x.png").unlink()
    (root / "ab/x.png").unlink()
    assert planned(ledger, root / "a") == (0, 0, 1, 0)
    assert planned(ledger, root) == (0, 0, 1, 0)


def test_places_that_cannot_be_read_are_told_once_and_remove_nothing(ledger, root, monkeypatch):
    touch(root / "a/x.png")
    touch(root / "a/y.png")
    touch(root / "a.png")
    planned(ledger, root)
    scan(ledger)
    real = os.scandir

    def refuse(path):
        if os.fsdecode(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (root / "a.png").unlink()
    assert planned(ledger, root) == (0, 0, 1, 1)
    assert planned(ledger, root) == (0, 0, 0, 0)
    monkeypatch.setattr(os, "scandir", real)
    assert planned(ledger, root) == (0, 0, 1, 0)  # the row of the folder itself
    assert [r.path for r in ledger.rows(b"", b"\xff") if r.state == "done"] == [
        os.fsencode(root / "a/x.png"), os.fsencode(root / "a/y.png"),
    ]  # fmt: skip


def test_what_could_not_be_opened_is_tried_again_where_asked(ledger, root):
    touch(root / "a.png")
    planned(ledger, root)
    (claim,) = ledger.claim("me", 1)
    ledger.finish("me", [Outcome(claim.path, "failed", 1, 10**18)])
    assert planned(ledger, root, retry=False) == (0, 0, 0, 0)
    assert planned(ledger, root) == (0, 1, 0, 0)


def test_what_could_not_be_opened_is_tried_again_once_it_has_changed(ledger, root):
    touch(root / "a.png")
    (root / "b.png").symlink_to(root / "later")
    assert planned(ledger, root, retry=False) == (1, 0, 0, 1)
    (claim,) = ledger.claim("me", 1)
    ledger.finish("me", [Outcome(claim.path, "failed", 1, 10**18)])
    touch(root / "a.png", "whole")
    touch(root / "later")
    assert planned(ledger, root, retry=False) == (0, 2, 0, 0)
    assert scan(ledger) == {str(root / "a.png"), str(root / "b.png")}


def test_the_jobs_own_folder_and_unready_files_are_left(ledger, root):
    touch(root / "job/heat.png")
    touch(root / "jobs/a.png")
    touch(root / "b.png")
    ready = {str(root / "jobs/a.png")}
    options = {"leave_out": str(root / "job"), "ready": lambda found: found.path in ready}
    touch(root / "job/workers/me.lock")
    touch(root / "notes.txt")
    assert planned(ledger, root, **options) == (1, 0, 0, 0)
    left = Planner(ledger, lambda _: None, **options).compare([str(root)])
    assert left.skipped == 1  # the notes; the job's own files are no files of the archive
    ready.add(str(root / "b.png"))
    assert planned(ledger, root, **options) == (1, 0, 0, 0)
    assert scan(ledger) == ready
    touch(root / "b.png", "changed")
    ready.clear()
    assert planned(ledger, root, **options) == (0, 0, 0, 0)
    ready.add(str(root / "b.png"))
    assert planned(ledger, root, **options) == (0, 1, 0, 0)


def test_outermost(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = without_nested(["a/b", "a", "a-b", "./a/../a/c", str(tmp_path / "z"), "a"])
    assert found == [str(tmp_path / name) for name in ("a-b", "a", "z")]
    assert without_nested(["/", "/tmp"]) == ["/"]
