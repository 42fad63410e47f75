"""A file that may not be read is that file's error; the others of the command line are judged."""

import os

import pytest
from PIL import Image

from command_line import mesoscope


@pytest.mark.parametrize("command", ["scan", "explain", "provenance", "report"])
def test_a_file_that_may_not_be_read_does_not_end_the_command(command, tmp_path, monkeypatch):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "z.png").write_bytes(b"")
    real = os.access  # root may read all, so click's question is answered here
    monkeypatch.setattr(
        "os.access", lambda path, mode: not str(path).endswith("z.png") and real(path, mode)
    )
    more = {"explain": ("-o", "out/"), "report": ("-o", "report.html")}.get(command, ())
    done = mesoscope(command, "a.png", "z.png", *more, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "not readable" not in done.stderr
