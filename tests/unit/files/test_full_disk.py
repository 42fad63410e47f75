"""Files are whole or not there, whatever the disk says."""

import errno
import os
from pathlib import Path

import pytest

from mesoscope.errors import OutputError
from mesoscope.files.atomic import output_path, write_bytes, write_text
from mesoscope.synth.files import append


def full(*_given, **_more):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("at", ["write_bytes", "replace", "mkdir"])
def test_a_full_disk_leaves_the_earlier_file_and_nothing_else(tmp_path, monkeypatch, at):
    path = tmp_path / "report.html"
    write_bytes(path, b"earlier")
    with monkeypatch.context() as patch:
        patch.setattr(Path, at, full)
        with pytest.raises(OutputError) as caught:
            write_bytes(path, b"later", hint="free some space", parents=True)
    assert str(caught.value) == (
        f"{path}: cannot be written: {os.strerror(errno.ENOSPC)}: free some space"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert path.read_bytes() == b"earlier"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a row")])
def test_what_ends_the_writing_leaves_nothing_and_is_not_renamed(tmp_path, error):
    def half():
        with output_path(tmp_path / "new/a.csv") as part:
            part.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)):
        half()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_name_as_long_as_names_can_be_is_written(tmp_path):
    path = tmp_path / ("n" * 251 + ".csv")
    write_text(path, "a name \udcff")
    assert path.read_bytes() == b"a name \\udcff"


def test_links_are_kept_and_what_they_point_to_is_replaced(tmp_path):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    write_text(tmp_path / "link.json", "new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"


def test_folders_and_devices(tmp_path):
    with pytest.raises(OutputError, match="it is a folder"):
        write_text(tmp_path, "x")
    write_text(Path(os.devnull), "x")
    assert not Path(os.devnull).is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_device_is_one_line():
    with pytest.raises(OutputError) as caught:
        write_text(Path("/dev/full"), "x")
    assert str(caught.value) == f"/dev/full: cannot be written: {os.strerror(errno.ENOSPC)}"


def test_half_a_line_is_cut_off_again(tmp_path, monkeypatch):
    """A disk that is nearly full takes a part of a line and refuses the rest."""
    path = tmp_path / "forgeries.jsonl"
    append(path, b'{"key": 1}\n')
    opened = Path.open

    class Nearly:
        def __init__(self, file):
            self._file = file

        def __getattr__(self, name):
            return getattr(self._file, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

        def write(self, data):
            if self._file.tell() > 11:
                full()
            return self._file.write(bytes(data[:4]))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *given, **more: Nearly(opened(*given, **more)))
        with pytest.raises(OutputError, match="run the same command again"):
            append(path, b'{"key": 2}\n')
    assert path.read_bytes() == b'{"key": 1}\n'
    append(path, b'{"key": 2}\n')
    assert path.read_bytes() == b'{"key": 1}\n{"key": 2}\n'
