"""Small files that ask for much: without bounds each of these ends in a crash, or nearly never."""

import io
import struct
import tracemalloc
import zlib

import pytest

from mesoscope.media.provenance.box_parts import read_boxes
from mesoscope.media.provenance.exif import read_tiff
from mesoscope.media.provenance.jpeg_parts import read_jpeg
from mesoscope.media.provenance.parts import MOST_UNPACKED, Parts

MIB = 1 << 20


def box(name, *bodies):
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), name) + body


def directory(*entries):
    """A TIFF of one directory, each entry being ``tag, type, count, four bytes``."""
    body = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4)


@pytest.mark.parametrize(
    ("tag", "kind", "raw"),
    [
        (0x8769, 9, struct.pack("<i", -1)),
        (0x8825, 9, struct.pack("<i", -(1 << 31))),
        (0x8769, 11, struct.pack("<f", float("nan"))),
        (0x8825, 11, struct.pack("<f", float("inf"))),
        (0x9286, 11, struct.pack("<f", float("inf"))),
        (0xA002, 11, struct.pack("<f", float("nan"))),
    ],
)
def test_numbers_that_lead_nowhere(made, told, tag, kind, raw):
    block = b"Exif\0\0" + directory((tag, kind, 1, raw), (0x0131, 2, 4, b"GIMP"))
    data = made.insert(made.encode(), made.segment(0xE1, block))
    (found,) = told(data, "software")
    assert found.value == "GIMP"


def test_a_time_of_the_satellites_that_is_no_number(made, told):
    main = directory((0x8825, 4, 1, struct.pack("<I", 26)))
    values = 26 + 2 + 2 * 12 + 4
    gps = struct.pack("<H", 2) + struct.pack("<HHII", 0x0007, 11, 3, values)
    gps += struct.pack("<HHII", 0x001D, 2, 11, values + 12) + bytes(4)
    block = main + gps + struct.pack("<3f", *3 * [float("inf")]) + b"2026:01:01\0"
    data = made.insert(made.encode(), made.segment(0xE1, b"Exif\0\0" + block))
    assert told(data, "encoding")


def test_tags_that_all_hold_the_same_bytes():
    big = 16 * MIB
    at = 8 + 2 + 12 * 900 + 4
    data = directory(*((1000 + n, 7, big, struct.pack("<I", at)) for n in range(900))) + bytes(big)
    tracemalloc.start()
    tiff = read_tiff(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(tiff.main) == 2
    assert peak < 100 * MIB
    assert any("more than is read" in fault for fault in tiff.faults)


def test_matroska_within_matroska_without_end(told):
    nested = b"\x18\x53\x80\x67\xff" * 3000  # each of unknown length
    assert told(b"\x1aE\xdf\xa3\x80" + nested, "metadata")


@pytest.mark.parametrize("name", [b"parameters", b"XML:com.adobe.xmp"])
def test_a_png_of_many_packed_texts(made, told, name):
    packed = zlib.compress(b"Steps: " + b"1" * 4 * MIB, 9)
    chunks = [made.chunk(b"zTXt", name + b"\0\0" + packed)] * 300
    data = made.with_chunks(made.encode("PNG"), *chunks)
    tracemalloc.start()
    found = told(data, "damaged")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert any(f.value == "its text cannot be unpacked" for f in found)
    assert peak < 4 * MOST_UNPACKED


def test_items_of_extents_without_bytes():
    entries = b"".join(struct.pack(">HHH", n, 0, 0xFFFF) for n in range(10_000))
    iloc = box(b"iloc", bytes(4), b"\0\0", struct.pack(">H", 10_000), entries)
    iinf = box(b"iinf", bytes(4), struct.pack(">H", 0))
    parts = Parts("heif")
    read_boxes(io.BytesIO(box(b"meta", bytes(4), iinf, iloc)), parts, "HEIF")
    assert parts.exif == []


def test_items_that_all_lie_in_the_same_place():
    count, size = 200, MIB
    entries = b"".join(
        box(b"infe", b"\2\0\0\0", struct.pack(">HH", n, 0), b"Exif\0") for n in range(count)
    )
    iinf = box(b"iinf", bytes(4), struct.pack(">H", count), entries)
    spots = b"".join(struct.pack(">HHHII", n, 0, 1, 0, size) for n in range(count))
    iloc = box(b"iloc", bytes(4), b"\x44\0", struct.pack(">H", count), spots)
    data = box(b"meta", bytes(4), iinf, iloc) + box(b"mdat", bytes(size))
    parts = Parts("heif")
    read_boxes(io.BytesIO(data), parts, "HEIF")
    assert sum(map(len, parts.exif)) <= 16 * MIB


def test_extended_xmp_in_a_hundred_thousand_pieces(made):
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32
    pieces = (made.segment(0xE1, head + struct.pack(">II", 0, n)) for n in range(100_000))
    parts = Parts("jpeg")
    read_jpeg(b"\xff\xd8" + b"".join(pieces) + b"\xff\xd9", parts)
    assert not parts.xmp


def test_a_file_of_nothing_but_damage(made):
    from mesoscope.media.provenance.chunk_parts import read_png

    wrong = struct.pack(">I4sI", 0, b"tEXt", 1)
    parts = Parts("png")
    read_png(io.BytesIO(made.with_chunks(made.encode("PNG"), wrong * 10_000)), parts)
    assert 0 < len(parts.findings) < 100


def test_a_history_of_many_kinds_of_steps(made, told):
    steps = "".join(
        f'<rdf:li stEvt:action="a{n}" rdf:parseType="Resource"/>' for n in range(40_000)
    )
    body = f"<xmpMM:History><rdf:Seq>{steps}</rdf:Seq></xmpMM:History>"
    text = made.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + made.packet(body))
    (found,) = told(made.with_chunks(made.encode("PNG"), text), "history")
    assert found.value.startswith("40000 steps: 1 × a0, 1 × a1")


def test_a_long_avi_is_not_read_whole():
    class Counting(io.BytesIO):
        most = 0

        def read(self, size=-1):
            data = super().read(size)
            type(self).most = max(type(self).most, len(data))
            return data

    from mesoscope.media.provenance.chunk_parts import read_riff

    def chunk(name, body):
        return struct.pack("<4sI", name, len(body)) + body

    info = chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"Lavf61.7.100"))
    body = b"AVI " + chunk(b"LIST", b"movi" + bytes(8 * MIB)) + info
    parts = Parts("video")
    file = Counting(chunk(b"RIFF", body))
    read_riff(file, parts)
    assert [text.value for text in parts.texts] == ["Lavf61.7.100"]
    assert Counting.most < MIB
