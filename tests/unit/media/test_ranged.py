"""Clips that are read by ranges: the same frames, from a part of the bytes."""

import io

import numpy as np
import pytest

from clip_makers import FRAGMENTS, remux
from mesoscope.errors import SourceError, SourceUnsupported
from mesoscope.media import container
from mesoscope.media.image import open_image
from mesoscope.media.open import open_media
from mesoscope.media.ranged import BlankFile, RangedFile, media_range
from mesoscope.media.video import open_clip


class Counted(io.BytesIO):
    """Counts the bytes that are read of it, each once."""

    def __init__(self, data):
        super().__init__(data)
        self.seen = np.zeros(len(data), bool)

    def read(self, size=-1):
        at = self.tell()
        data = super().read(size)
        self.seen[at : at + len(data)] = True
        return data


def frames(source, **options):
    with open_clip(source, **options) as clip:
        return [(f.index, f.time_s, f.pixels) for f in clip.frames()], clip.duration_s, clip.notes


def noise(count, seed=1, size=(180, 320)):
    """Frames that do not compress, so that a clip is long in bytes."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, size[0] // 4, size[1] // 4, 3), np.uint8)
    return list(small.repeat(4, axis=1).repeat(4, axis=2))


@pytest.mark.parametrize("faststart", [False, True])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov"])
def test_frames_are_those_of_the_whole_file(make_clip, monkeypatch, faststart, name):
    monkeypatch.setattr(container, "_FAR_BYTES", 1 << 16)  # as a film's key frames are far apart
    pictures = noise(200)
    options = {"g": "10", "crf": "10", "movflags": "faststart" if faststart else ""}
    path = make_clip(pictures, name, options=options)
    if faststart:
        path = remux(path, path.with_name(f"first-{path.name}"), "faststart")
    opened = []

    def again():
        opened.append(Counted(path.read_bytes()))
        return opened[-1]

    by_range = frames(RangedFile("s3://bucket/clip", again), frames=4)
    whole = frames(path, frames=4)
    assert by_range[1:] == whole[1:]
    assert [f[:2] for f in by_range[0]] == [f[:2] for f in whole[0]]
    for (_, _, ours), (_, _, theirs) in zip(by_range[0], whole[0], strict=True):
        assert np.array_equal(ours, theirs)
    (file,) = opened
    assert file.seen.mean() < 0.6
    assert file.closed


def test_only_an_mp4_with_an_index_of_its_own_is_read_by_ranges(make_clip, tmp_path):
    pictures = noise(8, size=(32, 32))
    whole = make_clip(pictures)
    assert media_range(io.BytesIO(whole.read_bytes())) is not None
    for name in ("clip.mkv", "clip.avi"):
        assert media_range(io.BytesIO(make_clip(pictures, name).read_bytes())) is None
    fragments = remux(whole, tmp_path / "fragments.mp4", FRAGMENTS)
    assert media_range(io.BytesIO(fragments.read_bytes())) is None
    assert media_range(io.BytesIO(whole.read_bytes()[:-100])) is None
    assert media_range(io.BytesIO(b"nothing at all, of no kind")) is None
    with pytest.raises(SourceUnsupported, match="cannot be read by ranges"):
        open_media(RangedFile("s3://b/x.mp4", lambda: io.BytesIO(fragments.read_bytes())))


def test_a_clip_by_ranges_is_no_picture_and_its_faults_name_it():
    def refused():
        raise PermissionError("not for you")

    source = RangedFile("s3://bucket/x.mp4", refused)
    with pytest.raises(SourceUnsupported, match="a picture is wanted here"):
        open_image(source)
    with pytest.raises(SourceError, match=r"^s3://bucket/x.mp4: cannot be opened"):
        open_media(source)


def test_zeros_stand_for_bytes_that_are_not_read():
    file = BlankFile(io.BytesIO(bytes(range(1, 101))), 20, 60)
    assert file.read(5) == bytes(range(1, 6))
    file.blank = True
    assert file.seek(10) == 10
    assert file.read(30) == bytes(range(11, 21)), "reads end where the range begins"
    assert (file.read(100), file.tell()) == (bytes(40), 60)
    assert file.read() == bytes(range(61, 101))
    assert file.seek(-5, 2) == 95
    assert file.read(10) == bytes(range(96, 101))
    assert file.read(10) == b""
    file.blank = False
    file.seek(30)
    assert file.read(2) == bytes([31, 32])
