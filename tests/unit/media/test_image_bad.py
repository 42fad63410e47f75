"""Whatever is wrong with a file ends in a SourceError that names it: no crash, no half picture."""

import io
import os
import socket
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile, features
from PIL import __version__ as pillow_version

from mesoscope.errors import SourceError, SourceMissing, SourceTooLarge, SourceUnsupported
from mesoscope.media.image import decode, open_image
from mesoscope.media.open import open_media
from mesoscope.media.video import open_clip

OLD_PILLOW = int(pillow_version.split(".")[0]) < 12

FORMATS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]
FORMATS += ["AVIF"] if "avif" in features.get_supported() else []


def encode(image, form, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def pattern(height=24, width=32):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def refused(source, error=SourceError, **options):
    """The message of the error, which must be one line and name the source."""
    with pytest.raises(SourceError) as caught:
        open_image(source, **options)
    assert type(caught.value) is error
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("<bytes>" if isinstance(source, bytes) else os.fspath(source))
    return message


# --- damaged files


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("thumbnail", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_jpeg(progressive, thumbnail, share, astronaut_face):
    # A thumbnail in the EXIF block ends with a JPEG's end marker of its own.
    inner = encode(astronaut_face[:32, :32], "JPEG")
    exif = {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + inner} if thumbnail else {}
    data = encode(astronaut_face, "JPEG", quality=90, progressive=progressive, **exif)
    assert open_image(data).pixels.shape == astronaut_face.shape
    refused(data[: int(len(data) * share)])


def test_a_jpeg_cut_anywhere_in_its_headers(astronaut_face):
    data = encode(astronaut_face, "JPEG")
    for length in range(3, 700, 7):
        refused(data[:length])


def test_a_jpeg_without_its_end_marker(astronaut_face):
    assert "truncated" in refused(encode(astronaut_face, "JPEG")[:-2])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_truncated_file_of_any_kind(form, share):
    data = encode(pattern(), form)
    refused(data[: int(len(data) * share)])


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    assert "empty" in refused(path)
    assert "empty" in refused(b"")


def test_a_text_file_called_jpg(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("BM or not, this is text\n")
    refused(path)
    path.write_text("this is text\n")
    assert "not a picture" in refused(path)


def test_clips_and_other_kinds_are_unsupported_and_not_read_whole(tmp_path):
    path = tmp_path / "big.mp4"
    with path.open("wb") as file:
        file.write(b"\0\0\0\x18ftypisom\0\0\0\0isommp42")
        file.truncate(1 << 40)  # sparse: a terabyte that nobody should try to read
    assert "a clip" in refused(path, SourceUnsupported)
    assert "raw" in refused(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", SourceUnsupported)
    assert "raw" in refused(b"II*\0\x10\0\0\0CR\2\0" + bytes(40), SourceUnsupported)
    assert "HEIF" in refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", SourceError)
    assert "convert" in refused(b"8BPS\0\1" + bytes(40), SourceUnsupported)


@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
def test_random_damage_gives_a_picture_or_a_source_error(form, data):
    file = bytearray(encode(pattern(), form))
    places = st.one_of(st.integers(0, 80), st.integers(0, len(file) - 1))
    for at, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        file[min(at, len(file) - 1)] = value
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(file))))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            pixels = decode(bytes(file[:cut]), "x", max_pixels=100_000)
        except SourceError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        else:
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            assert pixels.shape[0] * pixels.shape[1] <= 100_000
    assert not seen


@pytest.mark.parametrize("form", FORMATS[1:])  # libjpeg itself writes to stderr
def test_damage_prints_nothing(form, capfd):
    if form == "AVIF" and OLD_PILLOW:
        pytest.skip("the dav1d within Pillow 11 itself writes to stderr")
    rng = np.random.default_rng(5)
    intact = encode(pattern(), form)
    for _ in range(60):
        file = bytearray(intact)
        for at in rng.integers(8, len(file), 5):
            file[at] = rng.integers(256)
        try:
            decode(bytes(file), "x", max_pixels=100_000)
        except SourceError:
            continue
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_lazily_opened_image_that_turns_out_truncated(astronaut_face):
    data = encode(astronaut_face, "PNG")
    with pytest.raises(SourceError, match=r"<image>: damaged or truncated: .*: fetch it again$"):
        open_image(Image.open(io.BytesIO(data[: len(data) // 2])))


def test_a_pillow_without_the_codec(monkeypatch, astronaut_face):
    data = encode(astronaut_face, "PNG")
    Image.init()
    monkeypatch.delitem(Image.OPEN, "PNG")
    assert "of a variant that is not read" in refused(data)


# --- more pixels than the limit


def png_header(width, height):
    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body
            + struct.pack(">I", zlib.crc32(name + body))
        )  # fmt: skip

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def with_huge_size(form):
    """A small file whose header claims 16,000 × 16,000 pixels or more."""
    file = bytearray(encode(pattern(), form))
    if form == "JPEG":
        at = file.index(b"\xff\xc0") + 5
        file[at : at + 4] = struct.pack(">HH", 30_000, 30_000)
    elif form == "PNG":
        return png_header(30_000, 30_000)
    elif form == "GIF":
        file[6:10] = struct.pack("<HH", 30_000, 30_000)
    elif form == "WEBP":
        assert file[12:16] == b"VP8 "
        file[26:30] = struct.pack("<HH", 16_000, 16_000)
    elif form == "BMP":
        file[18:26] = struct.pack("<ii", 30_000, -30_000)
    elif form == "TIFF":
        first = struct.unpack_from("<I", file, 4)[0]
        for entry in range(
            first + 2, first + 2 + 12 * struct.unpack_from("<H", file, first)[0], 12
        ):
            if struct.unpack_from("<H", file, entry)[0] in (256, 257):  # width and length
                struct.pack_into("<HII", file, entry + 2, 4, 1, 30_000)
    else:
        at = file.index(b"ispe") + 8
        file[at : at + 8] = struct.pack(">II", 16_000, 16_000)
    return bytes(file)


@pytest.mark.parametrize("form", FORMATS)
def test_a_huge_picture_is_refused_before_it_is_decoded(form, monkeypatch):
    def decoded(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", decoded)
    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded)
    message = refused(with_huge_size(form), SourceTooLarge)
    assert "megapixels, and the limit is 120" in message
    assert "`max_pixels`" in message


@pytest.mark.parametrize("header", [b"VP8X", b"VP8L"])
def test_a_huge_webp_is_refused_by_each_of_its_headers(header):
    if header == b"VP8L":
        body = b"\x2f" + struct.pack("<I", 16_000 - 1 | (16_000 - 1) << 14)
    else:
        body = b"\0\0\0\0" + 2 * (16_000 - 1).to_bytes(3, "little")
    data = b"RIFF\0\0\0\0WEBP" + header + struct.pack("<I", len(body)) + body + bytes(20)
    assert "16000×16000" in refused(data, SourceTooLarge)


def test_a_gif_whose_first_frame_outgrows_its_canvas():
    file = bytearray(encode(pattern(), "GIF"))
    at = file.index(b"\x2c", 13 + 3 * 256)  # the image descriptor follows the palette
    file[at + 5 : at + 9] = struct.pack("<HH", 11_000, 11_000)  # a little over the limit
    assert "11000×11000" in refused(bytes(file), SourceTooLarge)
    file[at + 5 : at + 9] = struct.pack("<HH", 60_000, 60_000)  # Pillow itself stops
    assert "more than 240 megapixels" in refused(bytes(file), SourceTooLarge)


@pytest.mark.parametrize("form", FORMATS)
def test_the_limit_can_be_set(form):
    data = encode(pattern(24, 32), form)
    refused(data, SourceTooLarge, max_pixels=24 * 32 - 1)
    assert open_image(data, max_pixels=24 * 32).pixels.shape == (24, 32, 3)


@pytest.mark.skipif(OLD_PILLOW, reason="Pillow 11 counts the pixels of crops, too")
def test_a_raised_limit_lets_more_through_than_pillow_would(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert open_image(encode(pattern(), "PNG"), max_pixels=1000).pixels.shape == (24, 32, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_without_pixels(size):
    refused(png_header(*size))
    with pytest.raises(SourceError, match="0"):
        open_image(Image.new("RGB", size))


# --- what lies at a path


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not a regular file" in refused(tmp_path / "pipe.jpg")  # and does not wait for a writer
    assert "not a regular file" in refused("/dev/null")
    assert "a folder" in refused(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert "cannot be opened" in refused(tmp_path / "s")


def test_nothing_there(tmp_path):
    assert "no such file" in refused(tmp_path / "gone.jpg", SourceMissing)
    (tmp_path / "broken.jpg").symlink_to("gone.jpg")
    assert "points nowhere" in refused(tmp_path / "broken.jpg", SourceMissing)
    (tmp_path / "file").touch()
    refused(tmp_path / "file/face.jpg", SourceMissing)


def test_paths_that_cannot_be_opened(tmp_path, monkeypatch):
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert "cannot be opened" in refused(tmp_path / "loop.jpg")
    assert "null" in refused("face\0.jpg")
    assert "cannot be opened" in refused(tmp_path / ("n" * 300))

    def deny(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    assert "Permission denied" in refused("secret.jpg")


@pytest.mark.parametrize("door", [open_image, open_media, open_clip])
@pytest.mark.parametrize("head", [b"\xff\xd8\xff\xe0", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_a_file_of_terabytes_that_begins_as_a_picture_is_not_read(tmp_path, door, head):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(1 << 40)  # a hole: it takes no room on the disk
    with pytest.raises(SourceTooLarge, match=r"megabytes are more than .* `max_pixels`"):
        door(path)


# --- settings of the process


def test_threads_leave_pillow_and_warnings_as_they_were(astronaut_face):
    before = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    files = [encode(astronaut_face, form) for form in ("PNG", "TIFF", "GIF")] * 8
    with ThreadPoolExecutor(4) as pool:
        shapes = {frame.pixels.shape for frame in pool.map(open_image, files)}
    assert shapes == {astronaut_face.shape}
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS) == before
