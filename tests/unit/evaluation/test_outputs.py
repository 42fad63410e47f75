"""The folder of an evaluation is tried before the work."""

import pytest

from mesoscope.errors import OutputError
from mesoscope.evaluation.outputs import METRICS, open_folder


def test_a_folder_is_made_and_left_empty(tmp_path):
    open_folder(tmp_path / "a/b")
    assert list((tmp_path / "a/b").iterdir()) == []
    (tmp_path / "a/b" / METRICS).write_text("{}")
    open_folder(tmp_path / "a/b")
    assert (tmp_path / "a/b" / METRICS).read_text() == "{}"


def test_what_cannot_be_written_is_missed_early(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file: cannot be written: .*: choose another `out`"):
        open_folder(tmp_path / "file")
    (tmp_path / "out" / METRICS).mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot be written"):
        open_folder(tmp_path / "out")
