"""When a file that arrives is taken as written to the end."""

import pytest

from mesoscope.errors import OptionError
from mesoscope.media.walk import Listed
from mesoscope.scan.local import SettledFiles, refuse_missing


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def look(settled, *files):
    answers = [settled(Listed(name, size, mtime)) for name, size, mtime in files]
    return answers, settled.next_look()


def test_a_file_is_ready_once_it_has_stayed_the_same():
    clock = Clock()
    settled = SettledFiles(2.0, clock)
    assert look(settled, (b"a", 1, 1)) == ([False], 1)
    clock.now = 1.0
    assert look(settled, (b"a", 1, 1), (b"b", 5, 1)) == ([False, False], 2)
    clock.now = 2.0
    assert look(settled, (b"a", 1, 1), (b"b", 6, 1)) == ([True, False], 1)
    clock.now = 3.9
    assert look(settled, (b"b", 6, 1)) == ([False], 1)
    clock.now = 4.0
    assert look(settled, (b"b", 6, 2)) == ([False], 1)  # same size, written again
    clock.now = 6.0
    assert look(settled, (b"b", 6, 2)) == ([True], 0)


def test_a_file_that_went_begins_anew():
    clock = Clock()
    settled = SettledFiles(2.0, clock)
    look(settled, (b"a", 1, 1))
    look(settled)
    clock.now = 5.0
    assert look(settled, (b"a", 1, 1)) == ([False], 1)


def test_names_of_unfinished_files_wait_for_their_own():
    settled = SettledFiles(0.0, Clock())
    assert look(settled, (b"a.jpg.part", 1, 1), (b"b.JPG.CRDOWNLOAD", 1, 1)) == ([False] * 2, 0)
    assert look(settled, (b"a.jpg", 1, 1)) == ([True], 0)


@pytest.mark.parametrize("name", ["file", "none"])
def test_what_is_no_folder_is_not_watched(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match=f"{name}: no folder to watch: check the path"):
        refuse_missing([str(tmp_path), str(tmp_path / name)])
