"""Headers that ask for gigabytes are refused before FFmpeg sees them."""

import io
import struct
import zlib

import pytest

from clip_makers import FRAGMENTS, write
from mesoscope.errors import SourceError
from mesoscope.media.declared import MOST_SAMPLES, check_declared
from mesoscope.media.video import open_clip

MANY = 80_000_000


def frames_of(path):
    with open_clip(path) as clip:
        return [frame.index for frame in clip.frames()]


def box(kind, body):
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind, *numbers):
    return box(kind, bytes(4) + b"".join(struct.pack(">I", n) for n in numbers))


def track(*, handler=b"vide", samples=10, sample_bytes=1, stts=((10, 1024),), chunks=1, edits=0):
    runs = [n for run in stts for n in run]
    table = box(
        b"stbl",
        full(b"stts", len(stts), *runs)
        + full(b"stsz", sample_bytes, samples)
        + full(b"stco", chunks),
    )
    media = box(b"mdia", box(b"hdlr", bytes(8) + handler + bytes(12)) + box(b"minf", table))
    return box(b"trak", (box(b"edts", full(b"elst", edits)) if edits else b"") + media)


def check(data):
    check_declared(io.BytesIO(data), "clip.mp4")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("declared") / "whole.mp4"
    write(path, codec="mpeg4", count=10)
    return path


def test_a_small_file_of_many_samples_is_refused(whole, tmp_path):
    data = bytearray(whole.read_bytes())
    at = data.index(b"stsz")
    data[at + 8 : at + 16] = struct.pack(">II", 1, MANY)
    lying = tmp_path / "lying.mp4"
    lying.write_bytes(data)
    assert frames_of(whole) == list(range(10))
    with pytest.raises(SourceError, match=r"lying\.mp4: its header declares 80,000,000 samples"):
        frames_of(lying)


def test_fragments_are_counted(tmp_path):
    path = tmp_path / "fragments.mp4"
    options = {"movflags": FRAGMENTS}
    write(path, codec="mpeg4", count=10, container_options=options)
    assert len(frames_of(path)) == 10
    data = bytearray(path.read_bytes())
    at = data.index(b"trun")
    data[at + 4 : at + 12] = struct.pack(">II", 1, MANY)
    path.write_bytes(data)
    with pytest.raises(SourceError, match="its header declares 80,000,0"):
        frames_of(path)


def test_edits_multiply_samples():
    check(box(b"moov", track(samples=1000, edits=1000)))
    with pytest.raises(SourceError, match="declares 1,001,000 samples"):
        check(box(b"moov", track(samples=1000, edits=1001)))


def test_tracks_are_summed():
    check(box(b"moov", track(samples=500_000) * 2))
    with pytest.raises(SourceError, match="1,000,002"):
        check(box(b"moov", track(samples=500_001) * 2))


def test_values_of_plain_sound_are_no_samples():
    """An hour of PCM declares 172,800,000 of them, and FFmpeg indexes their chunks."""
    hour = 3600 * 48_000
    plain = {"samples": hour, "stts": ((hour, 1),), "chunks": 3600}
    check(box(b"moov", track(handler=b"soun", **plain)))
    with pytest.raises(SourceError):
        check(box(b"moov", track(handler=b"vide", **plain)))
    with pytest.raises(SourceError):
        check(box(b"moov", track(handler=b"soun", samples=hour, stts=((hour, 2),))))


def test_a_compressed_header_is_looked_into():
    """QuickTime's headers could be compressed (cmov), and FFmpeg still reads them."""
    inner = box(b"moov", track(samples=MANY))
    packed = box(b"cmvd", struct.pack(">I", len(inner)) + zlib.compress(inner))
    with pytest.raises(SourceError, match="80,000,000"):
        check(box(b"moov", box(b"cmov", box(b"dcom", b"zlib") + packed)))


def test_no_file_may_declare_more_than_a_limit():
    class Sparse(io.BytesIO):
        def seek(self, to, whence=0):
            return super().seek(to) if whence == 0 else 1 << 40

    with pytest.raises(SourceError, match="a clip of 1,099,511,627,776 bytes"):
        check_declared(Sparse(box(b"moov", track(samples=MOST_SAMPLES + 1))), "clip.mp4")
    check_declared(Sparse(box(b"moov", track(samples=MOST_SAMPLES))), "clip.mp4")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\x07moov",
        b"\0\0\0\1moov\0\0\0\0\0\0\0\2",
        b"\0\0\0\0moov\0\0\0\0trak" * 3,
        box(b"moov", box(b"trak", b"")) + b"\xff" * 7,
        box(b"moov", box(b"cmov", b"cmvd" + b"no zlib at all")),
        box(b"moov", full(b"stsz")),
    ],
)
def test_damaged_headers_are_left_to_ffmpeg(data):
    check(data)


def test_boxes_within_boxes_end():
    data = b"\0\0\0\x08free"
    for _ in range(2000):
        data = box(b"moov", data)
    check(data)


def test_of_endless_clips_the_begin_is_read(whole, monkeypatch):
    monkeypatch.setattr("mesoscope.media.container._MOST_PACKETS", 4)
    with open_clip(whole) as clip:
        assert [frame.index for frame in clip.frames()] == [0, 1, 2, 3]
        assert "it holds over 4 pictures: what comes after them was not read" in clip.notes
