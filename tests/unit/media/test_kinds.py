"""Kinds and sizes are told from the first bytes."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mesoscope.media.chunks import jpeg_frame, webp_size
from mesoscope.media.kinds import SNIFF_BYTES, demuxer, sniff


def encode(form, size=(30, 20), mode="RGB", **options):
    file = io.BytesIO()
    Image.new(mode, size).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_what_pillow_writes(form):
    assert sniff(encode(form)[:SNIFF_BYTES]) == form.lower()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "avif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "avif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "heif"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heif"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video"),
        (b"\x1aE\xdf\xa3\x01\0\0\0", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"FLV\x01\x05\0\0\0\x09", "video"),
        (b"\0\0\x01\xba\x44", "video"),
        ((b"G" + bytes(187)) * 3, "video"),
        ((bytes(4) + b"G" + bytes(187)) * 3, "video"),
        (b"Gin and tonic" + bytes(400), None),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"MM\0+\0\x08\0\0", "tiff"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "other"),
        (b"\0\0\x01\0\x01\0  ", "other"),
        (b"", None),
        (b"\xff\xd8", None),
        (b"%PDF-1.7", None),
        (b"GIF88a", None),
        (b"<svg xmlns=", None),
    ],
)
def test_first_bytes(head, kind):
    assert sniff(head) == kind


def packets(step, count):
    return b"".join(
        b"G\x01\x00\x10" + bytes([n % 71 + 128]) * 184 + bytes(step - 188) for n in range(count)
    )


@pytest.mark.parametrize("step", [188, 192, 204])
def test_a_transport_stream_that_begins_anywhere(step):
    stream = packets(step, 40)
    for cut in range(0, 2 * step, 7):
        assert demuxer(stream[cut:][:SNIFF_BYTES]) == "mpegts"


@pytest.mark.parametrize(
    "pack", [b"\x44" + bytes(8) + b"\xfa" + b"\xff" * 2, b"\x21" + bytes(7)], ids=["2", "1"]
)
def test_a_program_stream_that_begins_anywhere(pack):
    stream = bytes(range(1, 256)) * 4 + b"\0\0\1\xba" + pack + b"\0\0\1\xe0" + bytes(30)
    assert sniff(stream) == "video"
    assert demuxer(stream) == "mpeg"
    assert sniff(stream.replace(b"\xe0", b"\x07")) is None


def test_text_is_no_stream():
    for text in (b"GATTACA" * 600, b"G" * 4096, b"GGGGP" * 800, "Größe G ".encode() * 500):
        assert sniff(text[:SNIFF_BYTES]) is None


def test_brands_are_read_from_their_box_alone():
    head = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + b"\0\0\0\x08avif" * 9
    assert sniff(head) == "heif"


def test_every_clip_has_a_reader_and_nothing_else_does():
    heads = {
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42": "mov", b"\0\0\0\x08wide\0\0\0\0mdat": "mov",
        b"\x1aE\xdf\xa3\x01\0\0\0": "matroska", b"RIFF\0\0\0\0AVI LIST": "avi",
        (b"G" + bytes(187)) * 3: "mpegts", b"OggS\0": "ogg", b"0&\xb2u\x8e": "asf",
    }  # fmt: skip
    for head, name in heads.items():
        assert (sniff(head), demuxer(head)) == ("video", name)
    for form in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"):
        assert demuxer(encode(form)) is None


@given(st.binary(max_size=64))
def test_any_bytes_have_a_kind_or_none(data):
    sniff(data)
    jpeg_frame(b"\xff\xd8\xff" + data)
    webp_size(b"RIFF\0\0\0\0WEBP" + data)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(("mode", "components"), [("L", 1), ("RGB", 3), ("CMYK", 4)])
def test_jpeg_size_and_first_scan(progressive, mode, components):
    data = encode("JPEG", (30, 20), mode, progressive=progressive, exif=b"Exif\0\0" + bytes(50))
    width, height, count, scan_at = jpeg_frame(data)
    assert (width, height, count) == (30, 20, components)
    assert data[scan_at : scan_at + 2] == b"\xff\xda"


def test_jpeg_markers_that_lead_nowhere():
    data = encode("JPEG")
    assert jpeg_frame(data[:100]) is None
    assert jpeg_frame(b"\xff\xd8\xff\xe0\0\x10nothing more") is None
    assert jpeg_frame(data[:2] + b"\0" + data[2:]) is None
    assert jpeg_frame(data[:2] + b"\xff" * 5 + data[2:]) is not None  # fill bytes are lawful


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"mode": "RGBA", "lossless": True}])
@pytest.mark.parametrize("size", [(1, 1), (30, 20), (300, 7)])
def test_webp_size(options, size):
    assert webp_size(encode("WEBP", size, **options)) == size


def test_webp_size_of_an_animation():
    frames = [Image.fromarray(np.full((5, 9, 3), v, np.uint8)) for v in (0, 255)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    assert file.getvalue()[12:16] == b"VP8X"
    assert webp_size(file.getvalue()) == (9, 5)
