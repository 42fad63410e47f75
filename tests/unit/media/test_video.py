"""Clips of every kind: the right pictures at their own times, upright, and damage told."""

import contextlib
import io
import re
import struct
import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image

from mesoscope.errors import SourceError, SourceMissing, SourceTooLarge, SourceUnsupported
from mesoscope.media.open import open_media
from mesoscope.media.video import Clip, frames_at, open_clip
from mesoscope.types import Frame

KINDS = [
    ("clip.mp4", "libx264"), ("clip.mov", "libx264"), ("clip.mkv", "libx264"),
    ("clip.webm", "libvpx"), ("clip.ts", "libx264"), ("clip.avi", "mpeg4"), ("clip.avi", "mjpeg"),
    ("clip.mkv", "mjpeg"), ("clip.mp4", "mpeg4"),
]  # fmt: skip


def ramp(count, height=48, width=64):
    """Grey pictures whose level is twice their number."""
    return [np.full((height, width, 3), 2 * n, np.uint8) for n in range(count)]


def levels(frames):
    """Which picture of :func:`ramp` each frame shows."""
    return [round(frame.pixels.mean() / 2) for frame in frames]


def read(source, **options):
    with open_clip(source, **options) as clip:
        frames = list(clip.frames())
    return frames, clip


@pytest.mark.parametrize(("name", "codec"), KINDS)
@pytest.mark.parametrize("threads", [1, 0])
def test_the_chosen_pictures_come_at_their_times(make_clip, name, codec, threads):
    path = make_clip(ramp(100), name, codec=codec)
    frames, clip = read(path, frames=8, threads=threads)
    middles = [6, 18, 31, 43, 56, 68, 81, 93]
    assert [frame.index for frame in frames] == middles
    assert [frame.time_s for frame in frames] == pytest.approx(
        [n * 0.04 for n in middles], abs=0.002
    )
    assert np.abs(np.subtract(levels(frames), middles)).max() <= 1  # lossy
    assert clip.duration_s == pytest.approx(4.0, abs=0.045)
    assert clip.notes == ()


def test_a_codec_with_reordered_pictures_in_avi_is_counted(make_clip):
    # AVI keeps no times of its pictures, and these are stored in another order than shown.
    path = make_clip(ramp(60), "clip.avi", options={"bf": "3", "b-adapt": "0"})
    frames, _ = read(path, frames=6)
    assert np.abs(np.subtract(levels(frames), [f.index for f in frames])).max() <= 1


@pytest.mark.parametrize("gop", [1, 5, 30, 250])
@pytest.mark.parametrize("open_gop", [0, 1])
def test_any_distance_of_key_pictures_gives_the_same(make_clip, gop, open_gop):
    options = {"g": str(gop), "keyint_min": "1", "x264-params": f"open-gop={open_gop}:scenecut=0"}
    path = make_clip(ramp(110), "clip.mkv", options=options)
    for count in (1, 2, 9, 40, 110):
        frames, _ = read(path, frames=count)
        assert len(frames) == count
        assert np.abs(np.subtract(levels(frames), [f.index for f in frames])).max() <= 1


def test_far_pictures_are_reached_by_a_seek(make_clip, monkeypatch):
    monkeypatch.setattr("mesoscope.media.container._FAR_BYTES", 1)
    for name in ("clip.mp4", "clip.mkv", "clip.ts"):
        path = make_clip(ramp(110), name, options={"g": "10"})
        frames, _ = read(path, frames=5)
        assert np.abs(np.subtract(levels(frames), [f.index for f in frames])).max() <= 1
        assert len(frames) == 5


def test_only_what_is_needed_is_decoded(make_clip, monkeypatch):
    from mesoscope.media.container import Container

    decoded = []
    plain = Container._decoded

    def counting(self, packets, last, wanted):
        def counted():
            for place, packet in packets:
                decoded.append(place)
                yield place, packet

        return plain(self, counted(), last, wanted)

    monkeypatch.setattr(Container, "_decoded", counting)
    path = make_clip(ramp(100), options={"g": "10", "bf": "0", "sc_threshold": "0"})
    frames, _ = read(path, frames=2)
    assert [frame.index for frame in frames] == [25, 75]
    assert decoded == [*range(20, 26), *range(70, 76)]


def test_variable_rates_keep_their_own_times(make_clip):
    times = [0, 10, 20, 500, 510, 2000, 2010, 3990]
    path = make_clip(ramp(8), times=times)
    frames, _ = read(path, frames=4)  # moments 0.5, 1.5, 2.5, 3.5 s of about 4
    assert [frame.index for frame in frames] == [3, 4, 6]
    assert [frame.time_s for frame in frames] == pytest.approx([0.5, 0.51, 2.01])
    every, _ = read(path, every_s=1)
    assert [frame.index for frame in every] == [0, 4, 5, 6, 7]


def test_a_clip_that_begins_late_begins_at_zero(make_clip):
    path = make_clip(ramp(10), "clip.ts", times=[5000 + 40 * n for n in range(10)])
    frames, clip = read(path, frames=10)
    assert frames[0].time_s == 0.0
    assert frames[-1].time_s == pytest.approx(0.36, abs=0.002)
    assert clip.duration_s == pytest.approx(0.4, abs=0.045)


def test_what_an_edit_list_cuts_away_is_not_shown_and_still_decoded(make_clip, tmp_path):
    whole = make_clip(ramp(60), "whole.mp4", options={"g": "60", "sc_threshold": "0"})
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        step = round(0.4 / source.streams.video[0].time_base)  # ten pictures
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - step, packet.dts - step, stream
                target.mux(packet)
    with av.open(str(cut)) as container:
        packets = list(container.demux(video=0))
    assert any(packet.is_discard for packet in packets)
    frames, clip = read(cut, frames=5)
    assert clip.duration_s == pytest.approx(2.0, abs=0.05)
    assert [frame.index for frame in frames] == [5, 15, 25, 35, 45]
    assert np.abs(np.subtract(levels(frames), [15, 25, 35, 45, 55])).max() <= 1
    assert [frame.time_s for frame in frames] == pytest.approx([0.2, 0.6, 1.0, 1.4, 1.8])


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(make_clip, degrees):
    stored = np.zeros((48, 96, 3), np.uint8)
    stored[:24, :48] = (250, 0, 0)  # one red corner
    path = make_clip([stored] * 5, rotate=degrees)
    (frame,), _ = read(path, frames=1)
    upright = np.rot90(stored, degrees // 90)
    assert frame.pixels.shape == upright.shape
    assert np.abs(frame.pixels.astype(int) - upright).mean() < 6


@pytest.mark.parametrize(
    ("wide", "size"),
    [("64/45", (48, 91)), ("8/9", (54, 64)), ("1001/1000", (48, 64)), ("100/1", (48, 64))],
)
def test_pixels_that_are_not_square_become_square(make_clip, wide, size):
    path = make_clip(ramp(5), wide=wide)
    (frame,), _ = read(path, frames=1)
    assert frame.pixels.shape[:2] == size
    (turned,), _ = read(make_clip(ramp(5), "turned.mp4", wide=wide, rotate=90), frames=1)
    assert turned.pixels.shape[:2] == size[::-1]


def test_colours_are_red_green_blue(make_clip):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :, 0] = 220
    (frame,), _ = read(make_clip([pixels] * 3), frames=1)
    red, green, blue = frame.pixels.reshape(-1, 3).mean(0)
    assert red > 180
    assert max(green, blue) < 40


def test_one_picture_is_a_clip_of_one(make_clip):
    frames, clip = read(make_clip(ramp(1)))
    assert [(f.index, f.time_s) for f in frames] == [(0, 0.0)]
    assert clip.duration_s >= 0


def test_every_so_many_seconds(make_clip):
    frames, _ = read(make_clip(ramp(100)), every_s=0.5)
    assert [frame.time_s for frame in frames] == pytest.approx(
        [0, 0.48, 1.0, 1.48, 2.0, 2.48, 3.0, 3.48], abs=0.021
    )


def test_paths_bytes_and_misleading_names_are_alike(make_clip, tmp_path):
    path = make_clip(ramp(20))
    (tmp_path / "photo.jpg").write_bytes(path.read_bytes())
    for source in (path, str(path), path.read_bytes(), tmp_path / "photo.jpg"):
        with open_media(source, frames=4) as clip:
            assert isinstance(clip, Clip)
            assert len(list(clip.frames())) == 4


def test_pictures_at_moments(make_clip):
    path = make_clip(ramp(50))
    frames = frames_at(path, [1.0, 0.2, 0.21, 99.0, -1.0])
    assert [frame.index for frame in frames] == [25, 5, 5, 49, 0]
    assert frames_at(path, []) == []
    every, _ = read(path, frames=10)
    again = frames_at(path, [round(f.time_s, 6) for f in every])  # as JSON rounds them
    assert [f.index for f in again] == [f.index for f in every]


# --- animations


def animation(form, durations, size=(40, 30), **options):
    pictures = [Image.new("RGB", size, (40 * n + 10,) * 3) for n in range(len(durations))]
    file = io.BytesIO()
    pictures[0].save(
        file, form, save_all=True, append_images=pictures[1:], duration=durations, **options
    )
    return file.getvalue()


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_animations_are_clips_with_times_of_their_own(form):
    data = animation(form, [100, 300, 50, 550])
    frames, clip = read(data)
    assert clip.duration_s == pytest.approx(1.0)
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.4, 0.45])
    assert [round((f.pixels.mean() - 10) / 40) for f in frames] == [0, 1, 2, 3]
    some, _ = read(data, frames=2)  # at 0.25 and 0.75 s
    assert [frame.index for frame in some] == [1, 3]
    assert isinstance(open_media(data), Clip)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_an_animation_of_one_picture_is_a_picture(form):
    data = animation(form, [100])
    assert isinstance(open_media(data), Frame)
    with pytest.raises(SourceUnsupported, match="is not animated"):
        open_clip(data)


def test_gif_pictures_without_a_duration_stand_for_a_tenth():
    _, clip = read(animation("GIF", [0, 0, 0]))
    assert clip.duration_s == pytest.approx(0.3)


def test_a_png_with_a_picture_of_its_own_shows_the_animation():
    pictures = [Image.new("RGB", (20, 20), (60 * n,) * 3) for n in range(4)]
    file = io.BytesIO()
    pictures[0].save(
        file, "PNG", save_all=True, append_images=pictures[1:], duration=100, default_image=True
    )
    frames, _ = read(file.getvalue())
    assert [round(frame.pixels.mean() / 60) for frame in frames] == [1, 2, 3]


def test_an_animation_cut_short_gives_what_there_is():
    noise = np.random.default_rng(0).integers(0, 256, (10, 60, 80, 3), np.uint8)
    pictures = [Image.fromarray(pixels) for pixels in noise]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=100)
    data = file.getvalue()
    frames, clip = read(data[: len(data) * 6 // 10])
    assert 3 <= len(frames) <= 6
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert clip.duration_s <= 0.71


# --- whatever is wrong


def sound(path, form=None):
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream("aac", rate=44100)
        for n in range(20):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts = 44100, 1024 * n
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", ["sound.mp4", "sound.mkv"])
def test_sound_alone_is_said(tmp_path, name):
    with pytest.raises(SourceUnsupported, match=rf"{name}: a clip without pictures, only sound"):
        open_clip(sound(tmp_path / name))


def test_a_file_without_its_index_is_said(make_clip):
    data = make_clip(ramp(50)).read_bytes()
    at = data.index(b"moov")
    with pytest.raises(SourceError, match=r"its index cannot be read.*cut off or damaged"):
        open_clip(data[: at - 4])


def test_a_clip_without_a_picture_is_said(tmp_path):
    path = tmp_path / "empty.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode())
    with pytest.raises(SourceError, match=r"empty\.mp4: "):
        open_clip(path)


def noise(count, height=96, width=128):
    random = np.random.default_rng(0)
    return list(random.integers(0, 256, (count, height, width, 3), np.uint8))


def test_what_is_left_of_a_cut_off_clip_is_read(make_clip):
    data = make_clip(noise(100), "clip.mkv", options={"g": "10"}).read_bytes()
    frames, clip = read(data[: len(data) // 2], frames=10)
    assert len(frames) >= 9
    assert 1.5 < clip.duration_s < 2.5
    assert re.fullmatch(
        r"its header says 4\.0 s and its pictures end at [12]\.\d s: what is there was judged",
        clip.notes[0],
    )


def test_a_lying_header_is_told_and_not_believed(make_clip):
    data = bytearray(make_clip(ramp(50), "clip.mkv").read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # Matroska: Duration, a double of eight bytes
    assert struct.unpack_from(">d", data, at) == (pytest.approx(2000, abs=50),)
    struct.pack_into(">d", data, at, 100_000.0)
    frames, clip = read(bytes(data), frames=4)
    assert clip.duration_s == pytest.approx(2.0, abs=0.05)
    assert [frame.index for frame in frames] == [6, 18, 31, 43]
    assert clip.notes == (
        "its header says 100.0 s and its pictures end at 2.0 s: what is there was judged",
    )


@pytest.mark.parametrize("threads", [1, 0])
def test_a_broken_middle_is_left_out_and_told(make_clip, threads):
    pictures = noise(100)
    path = make_clip(pictures, options={"g": "10", "bf": "0"}, name="clip.mp4")
    whole, _ = read(path, frames=50)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat")
    third = (data.index(b"moov") - start) // 3
    random = np.random.default_rng(1)
    data[start + third : start + 2 * third] = random.bytes(third)
    frames, clip = read(bytes(data), frames=50, threads=threads)
    assert 15 <= len(frames) < 45
    (note,) = clip.notes
    assert f"{50 - len(frames)} of 50 pictures could not be decoded, between" in note
    by_number = {frame.index: frame.pixels for frame in whole}
    same = [np.array_equal(frame.pixels, by_number[frame.index]) for frame in frames]
    # What is given out is what was in the file; but for the end of the last picture before the
    # damage, whose bits mean something whatever they are.
    assert same.count(False) <= 1


def test_nothing_but_damage_is_an_error(make_clip):
    data = bytearray(make_clip(noise(20), options={"bf": "0"}).read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    with pytest.raises(SourceError, match="none of its pictures can be decoded"):
        read(bytes(data))


def test_a_size_that_changes_within_the_clip(make_clip, tmp_path):
    small = make_clip(ramp(20), "a.ts").read_bytes()
    large = make_clip(
        ramp(20, 96, 128), "b.ts", times=[800 + 40 * n for n in range(20)]
    ).read_bytes()
    frames, _ = read(small + large, frames=40)
    sizes = {frame.pixels.shape[:2] for frame in frames}
    assert sizes == {(48, 64), (96, 128)}
    too_large, clip = read(small + large, frames=40, max_pixels=64 * 48)
    assert {frame.pixels.shape[:2] for frame in too_large} == {(48, 64)}
    assert "could not be decoded" in clip.notes[-1]


def test_the_limit_holds_before_anything_is_decoded(make_clip):
    path = make_clip(ramp(3, 480, 640))
    with pytest.raises(SourceTooLarge, match="640×480"):
        open_clip(path, max_pixels=640 * 480 - 1)
    assert len(read(path, max_pixels=640 * 480)[0]) == 3


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(SourceMissing):
        open_clip(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no clip at all")
    with pytest.raises(SourceUnsupported, match=r"text\.mp4: not a clip"):
        open_clip(tmp_path / "text.mp4")
    with pytest.raises(SourceError, match="not a picture"):
        open_media(tmp_path / "text.mp4")


def test_cuts_at_any_place_end_in_frames_or_an_error(make_clip):
    for name in ("clip.mp4", "clip.mkv", "clip.ts", "clip.avi"):
        data = make_clip(noise(12), name).read_bytes()
        for cut in np.linspace(0, len(data) - 1, 23).astype(int):
            with contextlib.suppress(SourceError):  # and nothing else
                frames, clip = read(data[:cut])
                assert 0 < len(frames) <= 12
                assert clip.duration_s >= frames[-1].time_s


def test_nothing_is_printed_about_damage(make_clip):
    path = make_clip(noise(20))
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    code = (
        "import sys\nfrom mesoscope.media.video import open_clip\n"
        "with open_clip(sys.argv[1]) as clip:\n    list(clip.frames())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_pictures_are_read_without_pyav():
    code = (
        "import sys, numpy as np\nfrom mesoscope.media.open import open_media\n"
        "open_media(np.zeros((8, 8, 3), np.uint8))\nsys.exit('av' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
