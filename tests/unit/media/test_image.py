"""Whole pictures of every kind come out upright, RGB, 8 bits, over white."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, features

from mesoscope.errors import OptionError, SourceError, SourceTooLarge, SourceUnsupported
from mesoscope.media.image import FileBytes, open_image, source_name

needs_avif = pytest.mark.skipif(
    "avif" not in features.get_supported(), reason="this Pillow has no AVIF codec"
)
FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", pytest.param("AVIF", marks=needs_avif)]
WITH_EXIF = ["JPEG", "PNG", "WEBP", "TIFF", pytest.param("AVIF", marks=needs_avif)]


def encode(image, form, **options):
    """A file's bytes from a PIL image or an array."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def by_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def furthest(a, b):
    """Largest difference of two pictures in grey levels."""
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("form", FORMATS)
def test_same_pixels_as_pillow(form, astronaut_face):
    data = encode(astronaut_face, form)
    frame = open_image(data)
    assert furthest(frame.pixels, by_pillow(data)) <= 2  # JPEG decoders may round differently
    assert frame.pixels.dtype == np.uint8
    assert (frame.source, frame.index, frame.time_s) == ("<bytes>", 0, None)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_channels_are_red_green_blue(form, channel):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, :, channel] = 250
    got = open_image(encode(pixels, form)).pixels
    assert got.reshape(-1, 3).mean(0).argmax() == channel


@pytest.mark.parametrize("form", WITH_EXIF)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(form, orientation, astronaut_face):
    upright = Image.fromarray(astronaut_face).resize((48, 32))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"WEBP": {"lossless": True}}.get(form, {"quality": 95})
    pixels = open_image(encode(stored, form, exif=exif, **lossless)).pixels
    assert pixels.shape == (32, 48, 3)
    assert np.abs(pixels.astype(int) - np.asarray(upright)).mean() < 6  # lossy kinds


def test_a_pil_image_is_turned_upright_too(astronaut_face):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.open(io.BytesIO(encode(astronaut_face[:100], "PNG", exif=exif)))
    assert np.array_equal(open_image(image).pixels, np.asarray(ImageOps.exif_transpose(image)))


def test_an_exif_block_of_rubbish_is_no_obstacle(astronaut_face):
    for form in ("JPEG", "PNG", "WEBP"):
        data = encode(astronaut_face, form, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff\xff\xff")
        assert open_image(data).pixels.shape == astronaut_face.shape


def test_grey_is_repeated(astronaut_face):
    grey = astronaut_face[:, :, 1]
    for form in ("PNG", "TIFF", "BMP"):
        assert np.array_equal(open_image(encode(grey, form)).pixels, np.dstack([grey] * 3))
    assert furthest(open_image(encode(grey, "JPEG", quality=100)).pixels, np.dstack([grey] * 3)) < 5


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_one_bit(form):
    bits = np.indices((9, 17)).sum(0) % 2 == 0
    pixels = open_image(encode(Image.fromarray(bits), form)).pixels
    assert np.array_equal(pixels, np.dstack([bits * np.uint8(255)] * 3))


def test_a_palette_and_its_transparent_entry():
    image = Image.new("P", (4, 2))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 1)
    for form in ("PNG", "GIF"):
        pixels = open_image(encode(image, form)).pixels
        assert pixels[0, 0].tolist() == [0, 0, 255]
        assert pixels[1, 3].tolist() == [255, 0, 0]
        pixels = open_image(encode(image, form, transparency=1)).pixels
        assert pixels[0, 0].tolist() == [255, 255, 255]
        assert pixels[1, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_over_white(form):
    rgba = np.zeros((3, 3, 4), np.uint8)
    rgba[:, :, 0] = 200
    rgba[0, :, 3] = 255
    rgba[1, :, 3] = 128
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    pixels = open_image(encode(rgba, form, **options)).pixels
    expected = [[200, 0, 0], [227, 127, 127], [255, 255, 255]]
    assert np.abs(pixels[:, 0].astype(int) - expected).max() <= 1


def test_grey_with_alpha():
    pixels = open_image(encode(Image.new("LA", (2, 2), (100, 0)), "PNG")).pixels
    assert (pixels == 255).all()


@pytest.mark.parametrize("form", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_become_their_high_byte(form, channels, astronaut_face):
    deep = astronaut_face.astype(np.uint16) * 256 + 17
    if channels == 1:
        stored, expected = deep[:, :, 0], np.dstack([astronaut_face[:, :, 0]] * 3)
    else:  # OpenCV writes BGR, and an opaque alpha channel for four
        alpha = [np.full(deep.shape[:2], 65535, np.uint16)] * (channels - 3)
        stored, expected = np.dstack([deep[:, :, ::-1], *alpha]), astronaut_face
    written, data = cv2.imencode(form, stored)
    assert written
    assert furthest(open_image(data.tobytes()).pixels, expected) == 0


def test_sixteen_bit_alpha_is_laid_over_white(astronaut_face):
    deep = np.zeros((4, 4, 4), np.uint16)
    pixels = open_image(cv2.imencode(".png", deep)[1].tobytes()).pixels
    assert (pixels == 255).all()


def test_a_big_endian_sixteen_bit_pil_image():
    image = Image.frombytes("I;16B", (2, 1), b"\x80\x01\xff\xff")
    assert open_image(image).pixels[0].tolist() == [[128] * 3, [255] * 3]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_a_known_range_are_refused(mode):
    with pytest.raises(SourceUnsupported, match=f"mode {mode}.*convert"):
        open_image(encode(Image.new(mode, (4, 4)), "TIFF"))


def test_cmyk_jpeg(astronaut_face):
    cmyk = Image.fromarray(astronaut_face).convert("CMYK")
    pixels = open_image(encode(cmyk, "JPEG", quality=95)).pixels
    assert np.abs(pixels.astype(int) - astronaut_face).mean() < 4


def test_cmyk_with_and_without_adobes_marker_is_read_as_pillow_reads_it(astronaut_face):
    # The marker says that the inks are stored inverted; a decoder that guesses shows a negative.
    data = encode(Image.fromarray(astronaut_face).convert("CMYK"), "JPEG")
    at = data.index(b"\xff\xee")
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    for file in (data, data[:at] + data[at + 2 + length :]):
        assert np.array_equal(open_image(file).pixels, by_pillow(file))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_picture(form):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    pixels = open_image(encode(frames[0], form, save_all=True, append_images=frames[1:])).pixels
    assert pixels.shape == (6, 8, 3)
    assert np.abs(pixels.astype(int) - (255, 0, 0)).max() <= 4


def test_bytes_after_the_end_of_a_jpeg_are_no_damage(astronaut_face):
    data = encode(astronaut_face, "JPEG")
    assert np.array_equal(open_image(data + b"\0" * 999).pixels, open_image(data).pixels)


def test_paths_strings_bytes_and_images_give_the_same(tmp_path, astronaut_face):
    path = tmp_path / "Gesicht – été.png"
    path.write_bytes(encode(astronaut_face, "PNG"))
    for source in (path, str(path), path.read_bytes(), Image.open(path), astronaut_face):
        assert np.array_equal(open_image(source).pixels, astronaut_face)
    assert open_image(path).source == open_image(str(path)).source == str(path)


def test_a_link_is_followed(tmp_path, astronaut_face):
    (tmp_path / "face.png").write_bytes(encode(astronaut_face, "PNG"))
    (tmp_path / "link").symlink_to("face.png")
    assert np.array_equal(open_image(tmp_path / "link").pixels, astronaut_face)


def test_a_name_that_is_not_utf8(tmp_path, astronaut_face):
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    try:
        Path(os.fsdecode(name)).write_bytes(encode(astronaut_face, "PNG"))
    except OSError:
        pytest.skip("this file system takes no names that are not UTF-8")
    frame = open_image(os.fsdecode(name))
    assert os.fsencode(frame.source) == name


def test_source_names(astronaut_face):
    sources = ["a.jpg", Path("b.jpg"), b"c", astronaut_face, Image.new("L", (1, 1))]
    assert [source_name(s) for s in sources] == ["a.jpg", "b.jpg", "<bytes>", "<array>", "<image>"]


def test_arrays_of_any_layout(astronaut_face):
    for array in (astronaut_face[::2, ::-3], np.asfortranarray(astronaut_face)):
        assert np.array_equal(open_image(array).pixels, array)
    grey = astronaut_face[:, :, 0]
    assert np.array_equal(open_image(grey).pixels, np.dstack([grey] * 3))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 4, 4), "uint8"), ((4, 4, 1), "uint8"), ((4,), "uint8"), ((2, 4, 4, 3), "uint8"),
     ((4, 4, 3), "float32"), ((4, 4, 3), "uint16"), ((4, 4), "bool")],
)  # fmt: skip
def test_other_arrays_are_refused_with_their_shape(shape, dtype):
    with pytest.raises(OptionError, match=rf"must be \(H, W, 3\).*{dtype}"):
        open_image(np.zeros(shape, dtype))


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0), (0, 0, 3)])
def test_empty_arrays_are_refused(shape):
    with pytest.raises(SourceError, match="empty"):
        open_image(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("source", [None, 3, ["a.jpg"], bytearray(b"x")])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(OptionError, match="give a path, bytes"):
        open_image(source)


def test_the_limit_holds_for_arrays_and_images(astronaut_face):
    for source in (astronaut_face, astronaut_face[:, :, 0], Image.fromarray(astronaut_face)):
        with pytest.raises(SourceTooLarge, match="224×224"):
            open_image(source, max_pixels=224 * 224 - 1)
        assert open_image(source, max_pixels=224 * 224).pixels.shape == (224, 224, 3)


def test_bytes_that_know_their_path_go_by_it(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.full((5, 4, 3), 7, np.uint8)).save(path)
    data = FileBytes.of(str(path), path.read_bytes())
    assert open_image(data).source == str(path)
    with pytest.raises(SourceError, match=r"x\.png: "):
        open_image(FileBytes.of(str(path), data[:40]))
