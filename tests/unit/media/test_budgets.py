"""What one small file may cost: memory, pixels and time, over all threads."""

import io
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from mesoscope.errors import SourceError, SourceTooLarge
from mesoscope.media import animation, pixels
from mesoscope.media.budget import SMALL_BYTES, DecodingMemory
from mesoscope.media.chunks import jpeg_scans
from mesoscope.media.image import open_image
from mesoscope.media.video import open_clip
from mesoscope.types import Frame

PEAK = """
import re, sys
from concurrent.futures import ThreadPoolExecutor
from mesoscope.media.image import open_image
def peak():  # ru_maxrss would begin at what the parent had when it forked
    return int(re.search("VmHWM:[^0-9]+([0-9]+)", open("/proc/self/status").read())[1])
before = peak()
with ThreadPoolExecutor(4) as pool:
    for shape in pool.map(lambda path: open_image(path).pixels.shape, [sys.argv[1]] * 4):
        pass
print((peak() - before) / 1024, shape)
"""


def png(width, height, mode):
    """A PNG of one colour, written row by row: a few hundred kilobytes for any size."""
    kind, deep, size = {"RGBA": (6, 8, 4), "P": (3, 8, 1), "LA": (4, 8, 2), "RGB": (2, 8, 3)}[mode]
    packer = zlib.compressobj(9)
    row = b"\0" + bytes(width * size)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()

    def chunk(name, data):
        body = name + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((deep, kind, 0, 0, 0))
    palette = chunk(b"PLTE", bytes(6)) + chunk(b"tRNS", b"\0") if mode == "P" else b""
    parts = (chunk(b"IHDR", head), palette, chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak of a process is read in /proc"
)
@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_four_threads_with_a_small_file_of_48_megapixels_take_bounded_memory(mode, tmp_path):
    """Each picture alone takes 380 megabytes while it is decoded, and 144 once it is."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(8_000, 6_000, mode))
    assert path.stat().st_size < 600_000
    done = subprocess.run(
        [sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True
    )
    peak_mib, shape = done.stdout.split(" ", 1)
    assert shape.strip() == "(6000, 8000, 3)"
    # The budget of 1 GiB, the three finished pictures that the others hold, and room to breathe.
    assert float(peak_mib) < 1024 + 3 * 144 + 200


def test_what_is_too_large_for_the_budget_is_decoded_alone():
    memory, at_once, most = DecodingMemory(4 * SMALL_BYTES), [0], [0]
    lock = threading.Lock()

    def work(size):
        with memory.taken(size):
            with lock:
                at_once[0] += size
                most[0] = max(most[0], at_once[0])
                alone = at_once[0] == size
            time.sleep(0.002)
            with lock:
                at_once[0] -= size
            return alone

    sizes = [2 * SMALL_BYTES, 9 * SMALL_BYTES, SMALL_BYTES] * 8
    with ThreadPoolExecutor(6) as pool:
        alone = list(pool.map(work, sizes))
    assert all(a for a, size in zip(alone, sizes, strict=True) if size == 9 * SMALL_BYTES)
    assert most[0] == 9 * SMALL_BYTES


def test_an_error_gives_the_memory_back():
    memory = DecodingMemory(2 * SMALL_BYTES)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), memory.taken(2 * SMALL_BYTES):
            raise ZeroDivisionError
    with memory.taken(5 * SMALL_BYTES):
        pass


def moving(form, pictures, size=40):
    frames = [
        Image.fromarray(np.full((size, size, 3), (17 * n) % 256, np.uint8)) for n in range(pictures)
    ]
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    return out.getvalue()


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("what", ["pixels", "time"])
def test_an_animation_ends_at_its_budget_and_what_was_read_is_judged(form, what, monkeypatch):
    if what == "pixels":
        monkeypatch.setattr(animation, "BUDGET_PIXELS", 40 * 40 * 10)
    else:
        ticks = iter(range(10_000))
        monkeypatch.setattr(animation, "monotonic", lambda: next(ticks))
    with open_clip(moving(form, 30), frames=8) as clip:
        found = [frame.index for frame in clip.frames()]
        assert 0 < len(found) < 8
        assert found == clip.numbers[: len(found)].tolist()
        (note,) = clip.notes
    assert "ended at its budget" in note
    assert "damaged" not in note


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_with_huge_pictures_the_first_alone_is_judged(form, monkeypatch):
    monkeypatch.setattr(animation, "BUDGET_BYTES", 40 * 40 * 15)
    with open_clip(moving(form, 5), frames=8) as clip:
        assert [frame.index for frame in clip.frames()] == [0]
        (note,) = clip.notes
    assert "ended at its budget" in note


def test_an_animation_whose_budget_ends_before_the_first_chosen_picture_is_not_damaged(monkeypatch):
    monkeypatch.setattr(animation, "BUDGET_PIXELS", 40 * 40)
    with (
        open_clip(moving("GIF", 30), frames=2) as clip,
        pytest.raises(SourceError, match="ended at its budget before the first") as caught,
    ):
        list(clip.frames())
    assert "damaged" not in str(caught.value)


def test_the_time_that_turning_pictures_to_rgb_takes_counts_too(monkeypatch):
    now = [0.0]

    def slow(*_, **__):
        now[0] += 8.0
        return Frame(np.zeros((40, 40, 3), np.uint8), "a")

    monkeypatch.setattr(animation, "monotonic", lambda: now[0])
    monkeypatch.setattr(animation, "open_image", slow)
    with open_clip(moving("GIF", 8), frames=8) as clip:
        assert len(list(clip.frames())) == 3  # after 24 of 20 seconds


def test_a_gif_that_grows_while_it_is_read_is_held_to_the_limit():
    small = moving("GIF", 2)
    at = small.rindex(b"\x2c\0\0\0\0\x28\0\x28\0")  # its last image: 40 × 40 at 0, 0
    grown = small[: at + 5] + struct.pack("<HH", 20_000, 6_000) + small[at + 9 :]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_clip(grown, max_pixels=1_000_000) as clip:
            assert [frame.index for frame in clip.frames()] == [0]
            (note,) = clip.notes
    assert "could not be decoded" in note


def test_nothing_is_said_of_a_damaged_animation_but_its_own_name():
    with (
        open_clip(b"GIF89a" + bytes(7) + (b"\x2c" + bytes(9) + b"\x02\0") * 3 + b";") as clip,
        pytest.raises(SourceError) as caught,
    ):
        list(clip.frames())
    assert str(caught.value).count("<bytes>") == 1


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_an_animation_within_its_budget_has_all_pictures_and_no_note(form):
    with open_clip(moving(form, 30), frames=8) as clip:
        frames = list(clip.frames())
        assert [frame.index for frame in frames] == clip.numbers.tolist()
        assert [int(f.pixels[5, 5, 0]) for f in frames] == [(17 * f.index) % 256 for f in frames]
        assert clip.notes == ()


def test_a_png_with_megabytes_of_text_is_a_whole_picture():
    info = PngImagePlugin.PngInfo()
    info.add_text("long", "x" * 3_000_000, zip=True)
    info.add_text("plain", "y" * 2_000_000)
    info.add_itxt("further", "z" * 2_000_000, zip=True)
    for number in range(70):
        info.add_text(f"n{number}", "w" * 1_000_000)
    pixels = np.random.default_rng(1).integers(0, 256, (80, 80, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", pnginfo=info)
    assert np.array_equal(open_image(out.getvalue()).pixels, pixels)


def many_scans(scans, size=(40, 30), between=b""):
    """A progressive JPEG whose last scan is repeated."""
    out = io.BytesIO()
    Image.new("L", size, 100).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    at = data.rindex(b"\xff\xda")
    return data[:-2] + (between + data[at:-2]) * scans + data[-2:]


@pytest.mark.parametrize("between", [b"", b"garbage", b"\xff\xfe\0\x06\xff\xd9ab"])
def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded(monkeypatch, between):
    data = many_scans(300, between=between)
    assert open_image(data).pixels.shape == (30, 40, 3)
    monkeypatch.setattr(pixels, "JPEG_PIXELS", 100 * (1 << 16))
    with pytest.raises(SourceTooLarge, match="JPEG of over 100 scans") as caught:
        open_image(data, max_pixels=10_000)
    assert "damaged" not in str(caught.value)


def test_the_scans_that_are_allowed_depend_on_the_pixels(monkeypatch):
    monkeypatch.setattr(pixels, "JPEG_PIXELS", 20 * 400 * 300)
    assert open_image(many_scans(10, (400, 300))).pixels.shape == (300, 400, 3)
    with pytest.raises(SourceTooLarge, match="over 20 scans"):
        open_image(many_scans(20, (400, 300)))


def test_files_behind_a_jpeg_have_no_scans_of_its_own(monkeypatch):
    monkeypatch.setattr(pixels, "JPEG_PIXELS", 20 * (1 << 16))
    assert open_image(many_scans(3) + b"\xff\xda\0\x08" * 500).pixels.shape == (30, 40, 3)


def test_an_ordinary_progressive_photograph_is_far_from_the_limit():
    out = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    scans = jpeg_scans(data, data.index(b"\xff\xda"), 1000)
    assert scans <= 12
    assert 120_000_000 * scans < pixels.JPEG_PIXELS / 2
