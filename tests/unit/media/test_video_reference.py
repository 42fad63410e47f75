"""Frames handed out are those of a decoder that decodes through: number, time and pixels."""

import contextlib
import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clip_makers import FRAGMENTS, decoded_through, moving, with_subtitles, write
from mesoscope.errors import SourceError, SourceNoMemory, SourceUnsupported
from mesoscope.media.container import Container
from mesoscope.media.video import open_clip

REAL_CLIPS = Path(__file__).parents[4] / "shared/clips"
REAL = sorted(path.name for path in REAL_CLIPS.glob("*.*")) or ["none"]
B = {"bf": "3", "g": "10"}
QUIET = {"x265-params": "log-level=0"}
KINDS = {
    "sound.mp4": {"sound": "aac"},
    "sounds.mkv": {"sound": "aac", "sounds": 3},
    "b-frames.mp4": {"sound": "aac", "options": B},
    "open-gop.mkv": {"options": {**B, "x264-params": "open-gop=1:scenecut=0"}},
    "intra-refresh.mkv": {"options": {"g": "10", "x264-params": "intra-refresh=1"}},
    "intra-refresh.ts": {"options": {"g": "10", "x264-params": "intra-refresh=1"}},
    "fragments.mp4": {
        "sound": "aac",
        "container_options": {"movflags": FRAGMENTS},
        "options": B,
    },
    "transport.ts": {"sound": "mp2", "options": B},
    "program.mpg": {"codec": "mpeg2video", "sound": "mp2", "options": {"bf": "2"}},
    "mpeg4.avi": {"codec": "mpeg4", "sound": "mp2"},
    "motion-jpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "sound": "pcm_s16le"},
    "hevc.mp4": {"codec": "libx265", "pix_fmt": "yuv420p10le", "options": QUIET},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "vp9-alpha.webm": {"codec": "libvpx-vp9", "pix_fmt": "yuva420p"},
    "dnxhr.mov": {
        "codec": "dnxhd",
        "pix_fmt": "yuv422p",
        "options": {"profile": "dnxhr_lb"},
        "size": (256, 256),
    },
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le", "sound": "pcm_s16le"},
    "flash.flv": {"codec": "flv", "sound": "aac"},
    "windows.wmv": {"codec": "wmv2", "options": {}},
    "lossless.mkv": {"codec": "ffv1", "pix_fmt": "yuv420p"},
    "444.mp4": {"pix_fmt": "yuv444p", "options": B},
    "422-10bit.mkv": {"pix_fmt": "yuv422p10le"},
    "interlaced.mp4": {"options": {"flags": "+ildct+ilme", "x264-params": "tff=1"}},
    "uneven.mkv": {"times": [n * n for n in range(30)]},
    "full-range.mp4": {"colours": {"color_range": 2}},
    "bt709.mp4": {"colours": {"colorspace": 1}},
    "hlg.mp4": {"colours": {"color_trc": 18, "color_primaries": 9, "colorspace": 9}},
    "timecode.mov": {"sound": "aac", "tags": {"timecode": "01:00:00:00"}},
    "one.mp4": {"count": 1, "sound": "aac"},
}  # fmt: skip


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    ready = {}

    def make(name):
        if name not in ready:
            ready[name] = write(folder / name, **KINDS[name])
        return ready[name]

    return make


def read(source, **options):
    with open_clip(source, **options) as clip:
        frames = list(clip.frames())
    return frames, clip


def assert_as_decoded_through(path, *counts):
    through = decoded_through(path)
    for count in counts:
        frames, clip = read(path, frames=count)
        assert not any("could not be decoded" in note for note in clip.notes)
        assert len(frames) == (len(through) if count >= len(through) else len(clip.numbers))
        for frame in frames:
            time_s, pixels = through[frame.index]
            assert frame.time_s == pytest.approx(time_s, abs=1e-6)
            np.testing.assert_array_equal(frame.pixels, pixels)


@pytest.mark.parametrize("name", KINDS)
def test_all_frames_and_some_are_those_of_decoding_through(made, name):
    assert_as_decoded_through(made(name), 1000, 5, 1)


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason="the real clips of shared/clips are not here")
@pytest.mark.parametrize("name", REAL)
def test_real_clips_open_and_are_those_of_decoding_through(name):
    path = REAL_CLIPS / name
    if path.suffix.lower() in (".md", ".txt", ".csv", ".json", ".py"):
        pytest.skip("no clip")
    with av.open(str(path)) as file:
        stream = file.streams.best("video")
        frames, _ = read(path, frames=6)
        assert frames
        wanted = {frame.index: frame for frame in frames}
        begin = None
        for number, frame in enumerate(file.decode(stream)):
            begin = frame.time if begin is None else begin
            if number in wanted:
                ours = wanted.pop(number)
                assert ours.time_s == pytest.approx(frame.time - begin, abs=2e-3)
                theirs = frame.to_ndarray(format="rgb24")
                if not frame.rotation and ours.pixels.shape == theirs.shape:
                    assert np.abs(ours.pixels.astype(int) - theirs).max() <= 2
            if not wanted:
                break
        assert not wanted


@pytest.mark.parametrize("codec", ["srt", "ass"])
def test_subtitles_are_passed_over(made, tmp_path, codec):
    path = with_subtitles(made("sound.mp4"), tmp_path / "text.mkv", codec)
    with av.open(str(path)) as file:
        assert file.streams.subtitles
    assert_as_decoded_through(path, 1000, 5)


@pytest.mark.parametrize("name", ["cover.mp4", "cover.mkv"])
def test_a_cover_is_passed_over(tmp_path, name):
    path = write(tmp_path / name, cover=True, sound="aac")
    frames, _ = read(path, frames=1000)
    assert len(frames) == 30
    assert frames[0].pixels.shape == (48, 64, 3)


def test_a_sound_file_with_a_cover_holds_no_clip(tmp_path):
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as file:
        sound = file.add_stream("aac", rate=44100, layout="mono")
        cover = file.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 32
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        for packet in [*cover.encode(frame), *cover.encode()]:
            file.mux(packet)
        for n in range(5):
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            heard.sample_rate, heard.pts = 44100, 1024 * n
            file.mux(sound.encode(heard))
        file.mux(sound.encode())
    with pytest.raises(SourceUnsupported, match="without pictures"):
        open_clip(path)


def test_of_two_streams_of_pictures_the_larger_is_judged_and_told(tmp_path):
    path = write(tmp_path / "two.mkv", second=True, sound="aac")
    frames, clip = read(path, frames=1000)
    assert len(frames) == 30
    assert frames[0].pixels.shape == (48, 64, 3)
    assert clip.notes == ("it holds 2 streams of pictures: number 1 was judged, of 64×48",)


def test_a_track_of_an_unknown_codec_is_passed_over(made):
    data = made("sound.mp4").read_bytes()
    assert data.count(b"mp4a") == 1
    frames, _ = read(data.replace(b"mp4a", b"\xff\xfe\x00!"), frames=1000)
    assert len(frames) == 30


def test_pictures_in_an_unknown_codec_are_said_and_sound_is_none(made):
    data = made("sound.mp4").read_bytes()
    with pytest.raises(SourceError, match=r"codec that is not read|without pictures|decoded"):
        read(data.replace(b"avc1", b"zzz1"))


def matrix_of(data, *numbers):
    """The display matrix of the first track, in its header, replaced."""
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16
    data = bytearray(data)
    struct.pack_into(">9i", data, at, *(int(n * 65536) for n in numbers[:8]), 1 << 30)
    return bytes(data)


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 0, 1, 0, 0, 0), lambda p: p),
        ((-1, 0, 0, 0, 1, 0, 64, 0), lambda p: p[:, ::-1]),
        ((1, 0, 0, 0, -1, 0, 0, 48), lambda p: p[::-1]),
        ((-1, 0, 0, 0, -1, 0, 64, 48), lambda p: p[::-1, ::-1]),
        ((0, 1, 0, -1, 0, 0, 48, 0), lambda p: np.rot90(p, -1)),
        ((0, -1, 0, 1, 0, 0, 0, 64), lambda p: np.rot90(p)),
        ((0, 1, 0, 1, 0, 0, 0, 0), lambda p: np.swapaxes(p, 0, 1)),
        ((0, -1, 0, -1, 0, 0, 48, 64), lambda p: np.swapaxes(p, 0, 1)[::-1, ::-1]),
    ],
)  # fmt: skip
def test_every_turn_and_mirroring_of_the_display_matrix(made, matrix, turn):
    path = made("b-frames.mp4")
    frames, _ = read(matrix_of(path.read_bytes(), *matrix), frames=3)
    through = decoded_through(path)
    for frame in frames:
        np.testing.assert_array_equal(frame.pixels, turn(through[frame.index][1]))


@pytest.mark.parametrize(("colorspace", "name"), [(1, "bt709"), (6, "bt601"), (9, "bt2020")])
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_those_of_the_matrix_and_range_that_are_told(tmp_path, colorspace, name, full):
    colour = np.array([200, 60, 40])
    kr, kb = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}[name]
    luma = kr * 200 + (1 - kr - kb) * 60 + kb * 40
    parts = (luma, (40 - luma) / (2 - 2 * kb), (200 - luma) / (2 - 2 * kr))
    gain, offset, chroma = (1, 0, 1) if full else (219 / 255, 16, 224 / 255)
    yuv = [parts[0] * gain + offset, parts[1] * chroma + 128, parts[2] * chroma + 128]
    path = tmp_path / "colour.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        stream.codec_context.colorspace = colorspace
        stream.codec_context.color_range = 2 if full else 1
        planes = np.stack([np.full((48, 64), round(v), np.uint8) for v in yuv])
        frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        frame.colorspace, frame.color_range = colorspace, 2 if full else 1
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    (frame,), _ = read(path)
    assert np.abs(frame.pixels.reshape(-1, 3).mean(0) - colour).max() <= 3


def test_what_is_seen_through_is_laid_over_white(tmp_path):
    path = write(tmp_path / "clear.mov", codec="png", pix_fmt="rgba", count=3)
    frames, _ = read(path)
    for frame, pixels in zip(frames, moving(3), strict=True):
        assert (frame.pixels[:, :32] == 255).all()
        np.testing.assert_array_equal(frame.pixels[:, 32:], pixels[:, 32:])


def test_high_dynamic_range_is_told_and_brought_to_the_ordinary(tmp_path, made):
    _, clip = read(made("hlg.mp4"))
    assert clip.notes == ("its pictures are of high dynamic range (HLG), shown as stored",)
    # PQ of 58 % is the white of a page, 203 nits; ordinary pictures show it nearly white.
    path = tmp_path / "pq.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p10le"
        stream.codec_context.color_trc, stream.codec_context.color_primaries = 16, 9
        stream.codec_context.colorspace, stream.codec_context.color_range = 9, 1
        luma = np.full((48, 64), round(64 + 0.58 * 876), np.uint16)
        luma[:, 32:] = 64
        frame = av.VideoFrame(64, 48, "yuv444p10le")
        for plane, values in zip(frame.planes, (luma, *[np.full_like(luma, 512)] * 2), strict=True):
            plane.update(values.tobytes())
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    (frame,), clip = read(path)
    assert 235 <= frame.pixels[:, :30].mean() <= 252
    assert frame.pixels[:, 34:].max() <= 2
    assert clip.notes == (
        "its pictures are of high dynamic range (PQ), brought to the range of ordinary ones",
    )


def test_interlaced_pictures_are_told(made):
    _, clip = read(made("interlaced.mp4"))
    assert clip.notes == ("its pictures are interlaced: what moves has combed edges",)


def test_a_clock_that_is_set_back_goes_on(made):
    data = made("transport.ts").read_bytes()
    frames, clip = read(data + data, frames=1000)
    assert [frame.index for frame in frames] == list(range(60))
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)
    assert clip.duration_s == pytest.approx(2.4, abs=0.1)


def test_a_budget_of_decoded_pixels_ends_the_reading_and_is_told(made, monkeypatch):
    monkeypatch.setattr("mesoscope.media.budget.CLIP_PIXELS", 10 * 64 * 48)
    monkeypatch.setattr("mesoscope.media.budget.CLIP_PIXELS_EACH", 0)
    frames, clip = read(made("sound.mp4"), frames=1000)
    assert len(frames) == 11
    assert any(
        "decoding ended at its budget, and what was read was judged" in n for n in clip.notes
    )


STREAMS = ["b-frames.mp4", "sounds.mkv", "transport.ts", "mpeg4.avi", "vp9.webm", "program.mpg"]


@pytest.mark.parametrize("name", STREAMS)
def test_what_grows_after_it_was_opened_is_read_as_it_was(made, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(made(name).read_bytes())
    frames, _ = read(path, frames=8)
    with open_clip(path, frames=8) as clip:
        with path.open("ab") as file:
            file.write(path.read_bytes())
        later = list(clip.frames())
    assert [frame.index for frame in later] == [frame.index for frame in frames]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, later, strict=True))


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("how", ["cut", "zeros", "empty"])
def test_what_is_cut_off_after_it_was_opened_gives_right_frames_or_none(made, tmp_path, name, how):
    path = tmp_path / name
    data = made(name).read_bytes()
    path.write_bytes(data)
    truth = [pixels for _, pixels in decoded_through(path)]
    with open_clip(path, frames=8) as clip:
        half = {"cut": data[: len(data) // 2], "zeros": bytes(len(data)), "empty": b""}[how]
        with path.open("r+b") as file:
            file.write(half)
            file.truncate()
        found = []
        with contextlib.suppress(SourceError):
            found.extend(clip.frames())
    assert all(np.array_equal(frame.pixels, truth[frame.index]) for frame in found)


def test_key_frames_of_codecs_without_picture_types_are_not_believed(tmp_path):
    """RPZA as FFmpeg writes it: all packets are marked as key frames, and few are."""
    path = write(tmp_path / "old.mov", codec="rpza", pix_fmt="rgb555le")
    truth = [pixels for _, pixels in decoded_through(path)]
    for frames in (3, 7, 30):
        with open_clip(path, frames=frames) as clip:
            for frame in clip.frames():
                assert np.array_equal(frame.pixels, truth[frame.index]), frame.index


class SlowDecoding:
    """A clock by which each decoded frame of a clip takes seconds."""

    def __init__(self, monkeypatch, frame_s, clock="thread_time"):
        self.now_s = 0.0
        plain = Container._rgb

        def slow(container, frame):
            self.now_s += frame_s
            return plain(container, frame)

        monkeypatch.setattr(Container, "_rgb", slow)
        monkeypatch.setattr(f"mesoscope.media.budget.{clock}", lambda: self.now_s)


@pytest.mark.parametrize("name", ["sound.mp4", "b-frames.mp4", "vp9.webm", "transport.ts"])
def test_a_budget_of_time_ends_the_reading_and_is_told(made, monkeypatch, name):
    SlowDecoding(monkeypatch, 30.0)
    frames, clip = read(made(name), frames=10)  # 60 s, and 5 for each of ten
    assert [frame.index for frame in frames] == clip.numbers[:4].tolist()
    (note,) = clip.notes
    assert note.startswith("its pictures take too long to decode: decoding ended at its budget")


def test_a_budget_of_time_holds_for_counted_frames(tmp_path, monkeypatch):
    path = write(tmp_path / "counted.avi", options=B)
    SlowDecoding(monkeypatch, 30.0)
    frames, clip = read(path, frames=10)
    assert len(frames) == 4
    assert "take too long to decode" in " ".join(clip.notes)


def test_the_time_that_the_caller_takes_does_not_count(made, monkeypatch):
    clock = SlowDecoding(monkeypatch, 1.0)
    with open_clip(made("sound.mp4"), frames=10) as clip:
        found = []
        for frame in clip.frames():
            found.append(frame.index)
            clock.now_s += 500.0
        assert found == clip.numbers.tolist()
        assert clip.notes == ()


@pytest.mark.parametrize("name", ["sound.mp4", "sounds.mkv"])
def test_packets_without_a_frame_take_time_as_well(made, monkeypatch, name):
    ticks = iter(range(0, 10**6, 30))
    monkeypatch.setattr("mesoscope.media.budget.thread_time", lambda: next(ticks))
    with (
        open_clip(made(name), frames=2) as clip,
        pytest.raises(SourceError, match="ended at its budget before the first of them") as caught,
    ):
        list(clip.frames())
    assert "damaged" not in str(caught.value)


def test_the_clock_counts_where_several_threads_decode(made, monkeypatch):
    SlowDecoding(monkeypatch, 30.0, clock="monotonic")
    for threads, count in ((1, 10), (2, 4)):
        with open_clip(made("sound.mp4"), frames=10, threads=threads) as clip:
            assert len(list(clip.frames())) == count
            assert bool(clip.notes) == (threads > 1)


def test_a_clip_can_be_read_again_after_its_budget(made, monkeypatch):
    with open_clip(made("sound.mp4"), frames=10) as clip:
        with monkeypatch.context() as patch:
            SlowDecoding(patch, 30.0)
            assert len(list(clip.frames())) == 4
        assert len(list(clip.frames())) == 10


@pytest.mark.parametrize(
    "error",
    [UnicodeDecodeError("utf-8", b"", 0, 1, "x"), RuntimeError("odd\nlines"), AssertionError()],
)
def test_whatever_pyav_raises_is_that_files_error_in_one_line(made, monkeypatch, error):
    def fails(*_):
        raise error

    monkeypatch.setattr("mesoscope.media.container.Timetable", fails)
    with pytest.raises(SourceError, match=re.escape("sound.mp4: damaged")) as caught:
        open_clip(made("sound.mp4"))
    assert "\n" not in str(caught.value)


def test_too_little_memory_is_not_called_damage(made, monkeypatch):
    def fails(*_):
        raise MemoryError

    monkeypatch.setattr("mesoscope.media.container.rgb_of", fails)
    with pytest.raises(SourceNoMemory, match="not enough memory"):
        read(made("sound.mp4"))


def test_a_clip_of_hours_with_one_key_picture_is_read(tmp_path):
    path = write(
        tmp_path / "long.mp4",
        times=[n * 28800 for n in range(25)],
        count=25,
        options={"g": "100000", "bf": "0"},
    )
    frames, clip = read(path, frames=5)
    assert len(frames) == 5
    assert clip.duration_s >= 27_000


def test_damage_anywhere_ends_in_frames_or_an_error(made):
    random = np.random.default_rng(0)
    for name in ("sound.mp4", "sounds.mkv", "transport.ts", "mpeg4.avi"):
        whole = made(name).read_bytes()
        for _ in range(12):
            data = bytearray(whole)
            for at in random.integers(0, len(data), 6):
                data[at] = random.integers(256)
            with contextlib.suppress(SourceError):  # and nothing else
                frames, _ = read(bytes(data), frames=4)
                assert all(frame.pixels.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize("name", ["program.mpg", "sounds.mkv", "motion-jpeg.avi", "transport.ts"])
def test_a_sparse_end_of_a_file_is_not_read_through(made, tmp_path, monkeypatch, name):
    monkeypatch.setattr("mesoscope.media.timetable._FRUITLESS_BYTES", 1 << 20)
    path = tmp_path / name
    path.write_bytes(made(name).read_bytes())
    with path.open("r+b") as file:
        file.truncate(1 << 30)  # that take no room
    frames, _ = read(path, frames=1000)
    assert len(frames) in (29, 30)  # the last one may lie open at its end
