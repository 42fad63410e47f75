"""Pictures of rarer kinds and codings: read right, or refused by name."""

import contextlib
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mesoscope.errors import SourceError, SourceUnsupported
from mesoscope.media.chunks import jpeg_frame, jpeg_held_bytes
from mesoscope.media.image import open_image
from mesoscope.media.open import open_media

WHITE = (0.9642, 1.0, 0.8249)  # D50, of profiles


def quarters():
    pixels = np.empty((96, 160, 3), np.uint8)
    pixels[:48, :80], pixels[:48, 80:] = (200, 40, 40), (40, 180, 40)
    pixels[48:, :80], pixels[48:, 80:] = (40, 40, 200), (128, 128, 128)
    return pixels


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def near(found, wanted, most=6.0):
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < most


def profile(kind, tags):
    """An ICC profile (ICC.1:2001) of these tags."""
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    head = bytearray(128)
    head[0:4] = struct.pack(">I", at + len(body))
    head[8:12], head[12:24], head[36:40] = b"\2\x10\0\0", kind, b"acsp"
    head[68:80] = b"".join(struct.pack(">i", round(v * 65536)) for v in WHITE)
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


def described():
    white = b"".join(struct.pack(">i", round(v * 65536)) for v in WHITE)
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"made\0" + bytes(78)
    return {b"wtpt": b"XYZ " + bytes(4) + white, b"desc": text}


def linear_grey():
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)  # no points: the identity
    return profile(b"mntrGRAYXYZ ", {**described(), b"kTRC": curve})


def ink(lightness_of_black):
    """CMYK to Lab by a table of two points a side: any ink is black of that lightness."""
    straight = bytes(range(256))
    table = bytes([255, 128, 128]) + bytes([lightness_of_black, 128, 128]) * 15
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    lut += struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    lut += straight * 4 + table + straight * 3
    return profile(b"prtrCMYKLab ", {**described(), b"A2B0": lut, b"A2B1": lut})


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        (b"\xffO\xffQ", "a JPEG 2000 picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (b"\xff\n", "a JPEG XL picture"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b"\0\0\1\0\1\0", "an icon"),
        (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
        (b"%PDF-1.7", "a PDF document"),
        (b"%!PS-Adobe-3.0", "a PostScript file"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "an SVG drawing"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg>", "an SVG drawing"),
        (b"<!DOCTYPE HTML>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"PK\3\4", "an archive"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"\x06\x0e+4\2\5\1\1\x0d\1\2", "an MXF clip"),
        (b"DKIF\0\0 \0VP80", "an IVF clip"),
        (b"YUV4MPEG2 W320", "a YUV4MPEG clip"),
        (b"nut/multimedia container\0", "a NUT clip"),
        (b".RMF\0\0\0", "a RealMedia clip"),
        (b"\x1f\7\0\xbf", "a DV clip without a container"),
        (b"\0\0\0\1\x67\x64", "H.264 without a container"),
        (b"\0\0\0\1\x40\1\x0c", "HEVC without a container"),
    ],
)
def test_kinds_that_are_not_read_are_named(first, said, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(first + bytes(300))
    for opened in (open_image, open_media):
        with pytest.raises(SourceError, match=said) as caught:
            opened(path)
        assert "\n" not in str(caught.value)


def test_of_a_tiff_of_several_pages_the_first_is_read():
    first, second = Image.fromarray(quarters()), Image.fromarray(quarters()[::-1])
    data = saved(first, "TIFF", save_all=True, append_images=[second])
    assert np.array_equal(open_media(data).pixels, quarters())


def test_of_an_avif_sequence_the_first_picture_is_read():
    first, second = Image.fromarray(quarters()), Image.fromarray(quarters()[::-1])
    data = saved(first, "AVIF", save_all=True, append_images=[second], duration=50)
    assert data[8:12] == b"avis"
    near(open_media(data).pixels, quarters())


@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"restart_marker_blocks": 2},
        {"restart_marker_rows": 1},
        {"keep_rgb": True},  # Adobe's marker says: not turned to YCC
        {"progressive": True},
        {"progressive": True, "restart_marker_blocks": 1},
    ],
    ids=str,
)
def test_codings_of_jpeg(options):
    data = saved(Image.fromarray(quarters()), "JPEG", quality=95, **options)
    near(open_image(data).pixels, quarters())


def test_a_jpeg_of_subsampling_440():
    kept = cv2.imencode(
        ".jpg",
        np.ascontiguousarray(quarters()[:, :, ::-1]),
        [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440],
    )[1].tobytes()
    near(open_image(kept).pixels, quarters())


@pytest.mark.parametrize(
    ("marker", "bits", "said"),
    [
        (0xC1, 12, "of 12 bits"),
        (0xC3, 8, "without loss"),
        (0xCA, 8, "in arithmetic coding"),
        (0xC5, 8, "in a hierarchy"),
    ],
)
def test_rare_codings_of_jpeg_are_named_and_not_called_damage_alone(marker, bits, said):
    data = bytearray(saved(Image.fromarray(quarters()), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, bits
    with pytest.raises(SourceUnsupported, match=said):
        open_image(bytes(data))


def test_progressive_jpegs_are_counted_with_their_coefficients():
    for mode, components in (("L", 1), ("RGB", 3), ("CMYK", 4)):
        for progressive in (False, True):
            data = saved(Image.new(mode, (32, 32)), "JPEG", progressive=progressive)
            held = jpeg_held_bytes(data, components, jpeg_frame(data)[3])
            assert held == (2 * components if progressive else 0)


@pytest.mark.parametrize("kind", ["L", "LA", "1", "I;16", "JPEG"])
def test_grey_pictures_are_turned_by_their_profile(kind):
    grey = np.full((64, 64), 88, np.uint8)
    image, wanted = Image.fromarray(grey), 159  # 88 of linear light, in sRGB's curve
    if kind == "JPEG":
        data = saved(image, "JPEG", quality=95, icc_profile=linear_grey())
    elif kind == "I;16":
        data = saved(Image.fromarray(grey.astype(np.uint16) << 8), "PNG", icc_profile=linear_grey())
    elif kind == "1":
        image, wanted = Image.new("1", (64, 64), 1), 255
        data = saved(image, "PNG", icc_profile=linear_grey())
    else:
        data = saved(image.convert(kind), "PNG", icc_profile=linear_grey())
    found = open_image(data).pixels
    assert np.abs(found.astype(int) - wanted).max() <= 1
    colours = Image.fromarray(quarters())  # whose profile cannot be theirs
    assert np.array_equal(
        open_image(saved(colours, "JPEG", icc_profile=linear_grey())).pixels,
        open_image(saved(colours, "JPEG")).pixels,
    )


def test_transparent_grey_of_16_bits_shows_white():
    deep = np.full((32, 32), 88 << 8, np.uint16)
    deep[:16] = 7
    data = saved(Image.fromarray(deep), "PNG")
    body = b"tRNS" + struct.pack(">H", 7)
    chunk = struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
    found = open_image(data[:33] + chunk + data[33:]).pixels
    assert (found[:16] == 255).all()
    assert (found[16:] == 88).all()


def test_a_cmyk_picture_is_turned_by_its_profile():
    inks = Image.new("CMYK", (64, 64), (0, 0, 0, 255))
    plain = open_image(saved(inks, "TIFF")).pixels
    assert plain.max() == 0
    found = open_image(saved(inks, "TIFF", icc_profile=ink(128))).pixels  # L* of 50
    assert np.abs(found.astype(int) - 119).max() <= 3
    jpeg = open_image(saved(inks, "JPEG", quality=95, icc_profile=ink(128))).pixels
    assert np.abs(jpeg.astype(int) - 119).max() <= 4


def test_sixteen_bits_of_colour_are_turned_by_their_profile(tmp_path):
    deep = np.full((32, 32, 3), 88 * 257, np.uint16)
    data = cv2.imencode(".png", deep)[1].tobytes()
    assert (open_image(data).pixels == 88).all()


@pytest.mark.parametrize(
    ("form", "mode", "options", "least"),
    [
        ("WEBP", "RGBA", {"lossless": True}, 16),
        ("AVIF", "RGB", {}, 12),
        ("JPEG", "RGB", {}, 6),
        ("JPEG", "RGB", {"progressive": True}, 12),
        ("JPEG", "CMYK", {"progressive": True}, 15),
    ],
)
def test_each_kind_asks_for_what_it_was_measured_to_take(form, mode, options, least, monkeypatch):
    """In bytes a pixel; measured by ``benchmarks/decoding_memory.py``."""
    asked = []

    def taken(size_bytes):
        asked.append(size_bytes)
        return contextlib.nullcontext()

    monkeypatch.setattr("mesoscope.media.image.decoding.taken", taken)
    open_image(saved(Image.new(mode, (64, 64)), form, **options))
    assert max(asked) >= least * 64 * 64
