"""Walks over files: each ends, whatever the file says of itself."""

import io
import struct

from hypothesis import given
from hypothesis import strategies as st

from mesoscope.media.chunks import (
    Window,
    boxes,
    chunks,
    gif_blocks,
    jpeg_segments,
    jpeg_without_metadata,
)


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


SCAN = segment(0xDA, b"\1") + b"\1\2\xff\0\3\xff\xd0\4"
JPEG = b"\xff\xd8" + segment(0xE1, b"Exif") + b"\xff\xff" + segment(0xDB, b"t") + SCAN


def test_a_jpeg_is_walked_to_its_first_scan_or_to_its_end():
    whole = JPEG + segment(0xC4, b"h") + SCAN + b"\xff\xd9behind"
    assert [marker for marker, _, _ in jpeg_segments(whole)] == [0xE1, 0xDB, 0xDA]
    every = [marker for marker, _, _ in jpeg_segments(whole, scans=True)]
    assert every == [0xE1, 0xDB, 0xDA, 0xC4, 0xDA, 0xD9]


def test_a_jpeg_without_metadata_keeps_tables_and_scan():
    bare = jpeg_without_metadata(JPEG + b"\xff\xd9")
    assert bare == b"\xff\xd8" + segment(0xDB, b"t") + SCAN + b"\xff\xd9"


def test_boxes_of_64_bits_of_the_rest_and_of_too_much():
    plain = struct.pack(">I4s", 10, b"abcd") + b"xy"
    wide = struct.pack(">I4sQ", 1, b"wide", 17) + b"z"
    assert list(boxes(plain + wide, 0, 27)) == [(b"abcd", 8, 10), (b"wide", 26, 27)]
    rest = plain + struct.pack(">I4s", 0, b"mdat") + b"12345"
    assert list(boxes(rest, 0, len(rest)))[1] == (b"mdat", 18, len(rest))
    beyond = struct.pack(">I4s", 99, b"moov")
    assert list(boxes(beyond, 0, 8)) == [(b"moov", 8, 99)]
    backwards = struct.pack(">I4s", 4, b"moov") * 9
    assert len(list(boxes(backwards, 0, len(backwards)))) == 1


def test_chunks_end_where_they_are_told_to():
    one = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    assert list(chunks(one * 2, 0, "little", 12)) == [(b"LIST", 8, 3)]
    assert [at for _, at, _ in chunks(one * 2, 0, "little")] == [8, 20]


def test_a_gif_that_is_cut_off_says_so():
    head = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0)
    comment = b"\x21\xfe\3abc\0"
    picture = b"\x2c" + bytes(9) + b"\2\1\0\0"
    whole = head + comment + picture + b"\x3b"
    assert [(kind, at) for kind, at, _ in gif_blocks(whole)] == [(0x21, 13), (0x2C, 20), (0x3B, 34)]
    *_, (kind, _, end) = gif_blocks(whole[:-4])
    assert kind == 0x2C
    assert end > len(whole[:-4])


@given(st.binary(max_size=300))
def test_any_bytes_are_walked_forwards(data: bytes):
    window = Window(io.BytesIO(data))
    assert len(list(boxes(window, 0, len(data)))) <= len(data) // 8
    assert list(chunks(window, 8, "big")) == list(chunks(data, 8, "big"))
    assert all(at < end for _, at, end in gif_blocks(data))
    places = [at for _, at, _ in jpeg_segments(b"\xff\xd8" + data, scans=True)]
    assert places == sorted(set(places))
