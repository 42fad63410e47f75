"""Which files a walk gives out, and in which order."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mesoscope.errors import SourceError
from mesoscope.media.image import open_image
from mesoscope.media.open import open_media
from mesoscope.media.provenance.read import read_provenance
from mesoscope.media.video import open_clip
from mesoscope.media.walk import Unreadable, walk, walk_files


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path, format="PNG")
    return path


def names(found, root):
    return [os.path.relpath(f.path if isinstance(f, Unreadable) else f, root) for f in found]


def test_sorted_by_name_within_each_folder_and_recursive(tmp_path):
    for name in ("b.png", "a/z.png", "a/b/c.jpg", "c/a.webp", "A.PNG"):
        picture(tmp_path / name)
    expected = ["A.PNG", "a/b/c.jpg", "a/z.png", "b.png", "c/a.webp"]
    assert names(walk([str(tmp_path)]), tmp_path) == expected


def test_content_counts_where_the_suffix_says_nothing(tmp_path):
    picture(tmp_path / "no_suffix")
    picture(tmp_path / "odd.dat")
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "text.jpg").write_text("a picture by its name")  # its row will say what it is
    skipped = []
    found = names(walk([str(tmp_path)], skipped=skipped.append), tmp_path)
    assert found == ["no_suffix", "odd.dat", "text.jpg"]
    assert skipped == [str(tmp_path / "notes.txt")]


def test_clips_are_given_out_and_programs_are_not(tmp_path):
    for name in ("a.mp4", "b.MKV", "c.webm"):
        (tmp_path / name).write_bytes(b"")  # their rows will say what they are
    (tmp_path / "d.ts").write_bytes((b"G" + bytes(187)) * 4)
    (tmp_path / "e.ts").write_text("export const program = true\n")
    assert names(walk([str(tmp_path)]), tmp_path) == ["a.mp4", "b.MKV", "c.webm", "d.ts"]


def test_a_named_file_is_always_given_out(tmp_path):
    (tmp_path / "notes.txt").write_text("text")
    assert list(walk([str(tmp_path / "notes.txt")])) == [str(tmp_path / "notes.txt")]


def test_missing_paths_and_broken_links_are_rows(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/broken.png").symlink_to(tmp_path / "nowhere")
    found = list(walk([str(tmp_path / "none"), str(tmp_path / "x")]))
    assert [f.error.code for f in found] == ["source.missing", "source.missing"]
    assert "points nowhere" in str(found[1].error)


def test_a_link_loop_is_reported_once(tmp_path):
    picture(tmp_path / "a/x.png")
    (tmp_path / "a/again").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    found = list(walk([str(tmp_path)]))
    assert names(found, tmp_path) == ["a/again", "a/x.png", "self"]
    assert "loop" in str(found[0].error)
    assert isinstance(found[2], Unreadable)


def test_links_to_folders_elsewhere_are_followed(tmp_path):
    picture(tmp_path / "far/x.png")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/link").symlink_to(tmp_path / "far")
    assert names(walk([str(tmp_path / "here")]), tmp_path / "here") == ["link/x.png"]


def test_an_unreadable_folder_is_a_row_and_the_walk_goes_on(tmp_path, monkeypatch):
    picture(tmp_path / "a/x.png")
    picture(tmp_path / "b/y.png")
    real = os.scandir

    def refuse(path):
        if os.fsdecode(path).endswith("a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = list(walk([str(tmp_path)]))
    assert names(found, tmp_path) == ["a", "b/y.png"]
    assert "Permission denied" in str(found[0].error)


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX only")
def test_names_that_are_not_utf8(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(raw, "wb") as file:  # noqa: PTH123
        file.write(picture(tmp_path / "ok.png").read_bytes())
    found = list(walk([str(tmp_path)]))
    assert [os.fsencode(f) for f in found] == [raw, os.fsencode(tmp_path / "ok.png")]


def test_pipes_and_sockets_in_folders_are_passed_over(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    picture(tmp_path / "x.png")
    assert names(walk([str(tmp_path)]), tmp_path) == ["x.png"]


def test_files_come_in_the_order_of_their_paths_bytes_with_size_and_time(tmp_path):
    for name in ("a/x.png", "a.png", "a-b.png", "a b/y.png", "A/z.png", "é.png", "\U0001f600.png"):
        picture(tmp_path / name)
    with open(os.fsencode(tmp_path) + b"/\xff.png", "wb") as file:  # noqa: PTH123
        file.write(b"not UTF-8")
    os.utime(tmp_path / "a.png", ns=(0, 1_234_567_891))
    found = list(walk_files([str(tmp_path)]))
    paths = [f.raw for f in found]
    assert paths == sorted(paths)
    assert len(paths) == 8
    times = {Path(f.path).name: (f.size_bytes, f.mtime_ns) for f in found}
    assert times["a.png"] == ((tmp_path / "a.png").stat().st_size, 1_234_567_891)


def test_folders_deeper_in_each_other_than_functions_may_be(tmp_path):
    folders = [f"{tmp_path}/{'d/' * depth}" for depth in range(1, 1201)]
    for folder in folders:
        os.mkdir(folder)  # noqa: PTH102
    try:
        picture(tmp_path / "ok.png").rename(f"{folders[-1]}x.png")
        assert list(walk([str(tmp_path)])) == [f"{folders[-1]}x.png"]
        os.unlink(f"{folders[-1]}x.png")  # noqa: PTH108
    finally:
        for folder in reversed(folders):  # what removes folders recurses, too
            os.rmdir(folder)  # noqa: PTH106


def test_links_that_fan_out_lead_to_each_folder_once(tmp_path):
    """26 folders with two links each to the next: 2^26 paths lead to the one picture."""
    for n in range(26):
        (tmp_path / f"{n:02d}").mkdir()
        for way in "ab":
            (tmp_path / f"{n:02d}" / way).symlink_to(tmp_path / f"{n + 1:02d}")
    picture(tmp_path / "26/x.png")
    again = []
    found = list(walk([str(tmp_path / "00")], again=again.append))
    assert found == [str(tmp_path / "00") + "/a" * 26 + "/x.png"]
    assert len(again) == 26
    everything = list(walk([str(tmp_path)]))
    assert len(everything) == 1


def test_a_folder_named_twice_or_by_a_link_counts_once_and_hard_links_by_path(tmp_path):
    one = picture(tmp_path / "d/x.png")
    os.link(one, tmp_path / "d/y.png")
    (tmp_path / "z").symlink_to(tmp_path / "d")
    again, visited = [], set()
    paths = [str(tmp_path / "d"), str(tmp_path / "d"), str(tmp_path / "z"), str(tmp_path)]
    found = list(walk(paths, again=again.append, visited=visited))
    assert names(found, tmp_path) == ["d/x.png", "d/y.png"]
    assert names(again, tmp_path) == ["d", "z", "d", "z"]
    assert list(walk(paths[:1], visited=visited)) == []


@pytest.mark.skipif(os.name == "nt", reason="pipes are of POSIX")
def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    kept, place = picture(tmp_path / "kept.png"), tmp_path / "plain"  # its first bytes are read
    os.mkfifo(place)
    real = os.stat
    monkeypatch.setattr(
        "mesoscope.media.walk.os.stat",
        lambda path: real(kept if os.fsdecode(path) == str(place) else path),
    )
    assert names(walk([str(tmp_path)]), tmp_path) == ["kept.png"]


@pytest.mark.parametrize("opened", [open_image, open_media, open_clip, read_provenance])
def test_a_file_that_has_nothing_to_read_yet_is_no_fault(tmp_path, monkeypatch, opened):
    """As of the system's own files, which answer ``None`` where they are not waited for."""
    path = picture(tmp_path / "a.png")

    class Waiting(io.BufferedReader):
        def read(self, size=-1):
            return None

    monkeypatch.setattr(
        "builtins.open", lambda path, *_, **__: Waiting(io.FileIO(os.open(path, os.O_RDONLY)))
    )
    with pytest.raises(SourceError):
        opened(str(path))
