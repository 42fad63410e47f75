"""Files that are whole or not there, and that one module alone makes them so."""

import ast
import os
from pathlib import Path

import pytest

import mesoscope
from mesoscope.errors import OutputError
from mesoscope.files import atomic
from mesoscope.files.atomic import atomic_path, remove_temporary_files, temporary_path, write_bytes

SOURCE = Path(mesoscope.__file__).parent
UPLOADS = ("server/spool.py", "server/jobs.py")  # written by requests, moved when they are whole


def test_a_file_takes_its_place_when_it_is_done(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with atomic_path(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert part.parent == tmp_path
        assert part.name.startswith(".")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")

    def fail():
        with atomic_path(path) as part:
            part.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("sync", [True, False])
def test_it_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch, sync):
    done = []
    monkeypatch.setattr(atomic.os, "fsync", lambda fd: done.append(os.fstat(fd).st_size))
    write_bytes(tmp_path / "new/x.bin", b"data", sync=sync, parents=True)
    assert (tmp_path / "new/x.bin").read_bytes() == b"data"
    assert done == ([4] if sync else [])


def test_it_may_lie_in_another_folder_until_then(tmp_path):
    (tmp_path / "unfinished").mkdir()
    with atomic_path(tmp_path / "x", folder=tmp_path / "unfinished") as part:
        assert part.parent.name == "unfinished"
        part.write_bytes(b"data")
    assert (tmp_path / "x").read_bytes() == b"data"


def test_an_unfinished_file_goes(tmp_path):
    with temporary_path(tmp_path / "x") as part:
        part.write_bytes(b"data")
    assert list(tmp_path.iterdir()) == []


def test_the_message_names_the_file_the_cause_and_what_to_do(tmp_path):
    (tmp_path / "there").write_text("a file, not a folder")
    with pytest.raises(OutputError, match=r"there/x: cannot be written: .*: free some room$"):
        write_bytes(tmp_path / "there/x", b"", hint="free some room", parents=True)
    with pytest.raises(OutputError, match=r"nowhere/x: cannot be written: No such file"):
        write_bytes(tmp_path / "nowhere/x", b"")


def test_what_a_killed_writer_left_is_swept(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.x.bin.12-34.part").write_bytes(b"half")
    (tmp_path / "a/x.part").write_bytes(b"the user's own")
    remove_temporary_files(tmp_path)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.part"]


def test_nobody_else_moves_a_file_to_its_place():
    """``Path.replace`` takes one argument, ``str.replace`` two."""
    for path in SOURCE.rglob("*.py"):
        if path in (SOURCE / "files/atomic.py", *map(SOURCE.joinpath, UPLOADS)):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                moves = node.func.attr == "replace" and len(node.args) == 1 and not node.keywords
                waits = node.func.attr in ("fsync", "mkstemp", "NamedTemporaryFile")
                own = moves or waits
                assert not own, f"{path}:{node.lineno}: use files.atomic"
