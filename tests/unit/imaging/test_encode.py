"""The one encoder, the one blur, noise and resize; and that nobody has one of their own."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mesoscope
from mesoscope.errors import OutputError
from mesoscope.imaging.encode import encode, jpeg, png, through_jpeg, through_webp
from mesoscope.imaging.filters import blur, noise, resize, scaled, sharpen

SOURCE = Path(mesoscope.__file__).parent
RNG = np.random.default_rng(5)
PIXELS = np.kron(RNG.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)


def read(data):
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("compression", [None, 0, 9])
@pytest.mark.parametrize("channels", [3, 4, 0])
def test_png_keeps_colours_and_alpha_as_they_are(channels, compression):
    pixels = PIXELS[:, :, 0] if not channels else np.dstack([PIXELS, 255 - PIXELS[:, :, :1]])
    pixels = pixels[:, :, :channels] if channels else pixels
    assert np.array_equal(np.asarray(read(png(pixels, compression))), pixels)


def test_jpeg_has_its_quality_and_chroma():
    half, full = (jpeg(PIXELS, 90, full_chroma=f) for f in (False, True))
    assert read(half).layer[0][1:3] == (2, 2)
    assert read(full).layer[0][1:3] == (1, 1)
    assert jpeg(PIXELS, 90) == half
    assert len(jpeg(PIXELS, 30)) < len(half)
    assert not read(half).getexif()


def test_a_loss_is_that_of_the_file():
    seen = np.asarray(read(jpeg(PIXELS, 40)).convert("RGB"), np.int16)
    assert np.abs(seen - through_jpeg(PIXELS, 40)).max() <= 4  # another decoder
    assert through_webp(PIXELS, 60).shape == PIXELS.shape
    assert np.abs(through_webp(PIXELS, 95).astype(int) - PIXELS).mean() < 15


def test_what_a_format_cannot_hold_is_refused():
    with pytest.raises(OutputError, match=r"\(1, 70000, 3\) cannot be written as \.jpg"):
        jpeg(np.zeros((1, 70_000, 3), np.uint8), 90)
    with pytest.raises(OutputError, match=r"cannot be written as \.nothing"):
        encode(PIXELS, ".nothing")


def test_noise_rounds_and_draws_alike_whatever_its_strength():
    one, two = np.random.default_rng(1), np.random.default_rng(1)
    grey = np.full((64, 64, 3), 128, np.uint8)
    even, up = noise(grey, 3, one), noise(grey, 3, two, half_up=True)
    assert one.random() == two.random()
    assert np.abs(even.astype(int) - up).max() <= 1
    assert 2.8 < even.astype(float).std() < 3.3
    assert np.array_equal(noise(grey, 0, one), grey)


def test_sizes_round_and_hold_a_pixel_at_least():
    assert scaled(PIXELS, 0.001).shape == (1, 1, 3)
    assert scaled(PIXELS, 1.5).shape == (72, 96, 3)
    assert np.array_equal(scaled(PIXELS, 0.5), resize(PIXELS, 32, 24))
    assert resize(PIXELS, 10, 20).shape == (20, 10, 3)


def test_sharpening_undoes_some_of_a_blur():
    soft = blur(PIXELS, 1.0)
    back = sharpen(soft, 0.8, 1.0)
    off = [np.abs(p.astype(int) - PIXELS).mean() for p in (soft, back)]
    assert off[1] < off[0]


def test_nobody_else_encodes_with_opencv():
    for path in SOURCE.rglob("*.py"):
        if path != SOURCE / "imaging/encode.py":
            text = path.read_text(encoding="utf-8")
            assert "cv2.imencode" not in text, f"{path}: use imaging.encode"
            assert "IMWRITE_JPEG_SAMPLING" not in text, f"{path}: use imaging.encode"
