"""Clips and pictures made of boxes: times, tags, EXIF and XMP within them."""

import struct

import pytest
from PIL import features

EXIF = b"II*\0\x08\0\0\0\x01\0\x31\x01\x02\0\x0b\0\0\0\x1a\0\0\0\0\0\0\0Midjourney\0"
BRAND = b"isom\0\0\0\0isom"


def box(name, *bodies):
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), name) + body


def mvhd(created, modified):
    return box(b"mvhd", bytes(4), struct.pack(">II", created, modified), bytes(88))


def clip(*boxes, brand=BRAND):
    return box(b"ftyp", brand) + box(b"moov", *boxes) + box(b"mdat", bytes(64))


def test_times_of_a_clip(told):
    # 2024-01-01T00:00:00Z is 3786912000 s after 1904; the clip was saved again two days later.
    data = clip(mvhd(3786912000, 3786912000 + 2 * 86400))
    taken, saved = told(data, "time")
    assert (taken.field, taken.value, taken.where) == ("created", "2024-01-01T00:00:00Z", "MP4")
    assert saved.value == "2024-01-03T00:00:00Z, 2 days later"


def test_times_that_no_program_set(told):
    assert told(clip(mvhd(0, 0)), "time") == []


def test_the_encoder_in_itunes_tags(told):
    tag = box(b"\xa9too", box(b"data", struct.pack(">II", 1, 0), b"Lavf60.3.100"))
    data = clip(box(b"udta", box(b"meta", bytes(4), box(b"hdlr", bytes(24)), box(b"ilst", tag))))
    (found,) = told(data, "software")
    assert (found.field, found.value) == ("Encoder", "Lavf60.3.100")


def test_a_telephones_clip(told):
    """QuickTime's keys and values: make, model, software, place."""
    names = ["make", "model", "software", "location.ISO6709"]
    values = [b"Apple", b"iPhone 15", b"17.1", b"+47.37+008.54/"]
    keys = b"".join(box(b"mdta", f"com.apple.quicktime.{n}".encode()) for n in names)
    items = b"".join(
        box(struct.pack(">I", n), box(b"data", struct.pack(">II", 1, 0), value))
        for n, value in enumerate(values, 1)
    )
    meta = box(
        b"meta",
        box(b"hdlr", bytes(24)),
        box(b"keys", struct.pack(">II", 0, len(names)), keys),
        box(b"ilst", items),
    )
    data = clip(meta, brand=b"qt  \0\0\0\0qt  ")
    values = {f.kind: f.value for f in told(data)}
    assert values["camera"] == "Apple iPhone 15"
    assert values["place"] == "present, not shown"
    assert values["software"] == "17.1"
    assert told(data, "place", place=True)[0].value == "+47.37+008.54/"


def test_a_comfyui_clip_carries_its_graph(told):
    graph = b'{"prompt": {"1": {"class_type": "KSampler"}}}'
    tag = box(b"\xa9cmt", box(b"data", struct.pack(">II", 1, 0), graph))
    data = clip(box(b"udta", box(b"meta", bytes(4), box(b"hdlr", bytes(24)), box(b"ilst", tag))))
    (found,) = told(data, "generator")
    assert "ComfyUI" in found.meaning


def test_xmp_in_a_clip(made, told):
    packet = made.packet(attributes='xmp:CreatorTool="Adobe Premiere Pro 2024"')
    uuid = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
    for data in (clip() + box(b"uuid", uuid, packet), clip(box(b"udta", box(b"XMP_", packet)))):
        (found,) = told(data, "software")
        assert found.value == "Adobe Premiere Pro 2024"


def test_a_box_of_64_bits_and_one_to_the_end(told):
    data = box(b"ftyp", BRAND) + struct.pack(">I4sQ", 1, b"mdat", 16 + 8) + bytes(8)
    data += struct.pack(">I4s", 0, b"moov") + mvhd(3786912000, 3786912000)
    assert [f.value for f in told(data, "time")] == ["2024-01-01T00:00:00Z"]


def test_a_clip_cut_short_is_said(told):
    (found,) = told(clip(mvhd(1, 1))[:-10], "damaged")
    assert found.field == "mdat"


def test_boxes_within_boxes_without_end(told):
    data = b""
    for _ in range(3000):
        data = box(b"moov", data)
    assert told(box(b"ftyp", BRAND) + data, "metadata")


def heif(construction):
    """A HEIF with EXIF as an item, in the file (0) or in its own ``idat`` box (1)."""
    payload = bytes(4) + EXIF
    entry = box(b"infe", b"\2\0\0\0", struct.pack(">HH", 7, 0), b"Exif\0")
    iinf = box(b"iinf", bytes(4), struct.pack(">H", 1), entry)

    def whole(at):
        extent = struct.pack(">HHHHII", 7, construction, 0, 1, at, len(payload))
        iloc = box(b"iloc", b"\1\0\0\0\x44\0", struct.pack(">H", 1), extent)
        idat = box(b"idat", payload) if construction else b""
        meta = box(b"meta", bytes(4), box(b"hdlr", bytes(24)), iinf, iloc, idat)
        return box(b"ftyp", b"heic\0\0\0\0mif1heic") + meta

    start = len(whole(0)) + 8
    return whole(0 if construction else start) + (b"" if construction else box(b"mdat", payload))


@pytest.mark.parametrize("construction", [0, 1])
def test_exif_in_heif(told, construction):
    (found,) = told(heif(construction), "generator")
    assert (found.where, found.value) == ("EXIF", "Midjourney")


@pytest.mark.skipif("avif" not in features.get_supported(), reason="this Pillow has no AVIF")
def test_exif_and_xmp_in_avif(made, told):
    packet = made.packet(attributes='xmp:CreatorTool="ComfyUI"')
    found = told(made.encode("AVIF", exif=EXIF, xmp=packet), "generator")
    assert {f.value for f in found} == {"Midjourney", "ComfyUI"}


def test_exif_in_jpeg_xl(told):
    data = b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    (found,) = told(data + box(b"Exif", bytes(4), EXIF), "generator")
    assert found.value == "Midjourney"


def test_an_avis_program(told):
    info = b"ISFT" + struct.pack("<I", 12) + b"Lavf60.3.100"
    listed = b"LIST" + struct.pack("<I", 4 + len(info)) + b"INFO" + info
    data = b"RIFF" + struct.pack("<I", 4 + len(listed)) + b"AVI " + listed
    (found,) = told(data, "software")
    assert found.value == "Lavf60.3.100"


def element(number, *bodies, known=True):
    """An EBML element with a length of eight bytes, or one that is not known."""
    body = b"".join(bodies)
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return raw + (b"\x01" + len(body).to_bytes(7, "big") if known else b"\x01" + b"\xff" * 7) + body


def matroska(*parts, known=True):
    return element(0x1A45DFA3, b"") + element(0x18538067, *parts, known=known)


@pytest.mark.parametrize("known", [True, False])
def test_programs_and_time_of_matroska(told, known):
    date = (86400 * 10**9).to_bytes(8, "big")  # a day after 2001-01-01
    info = element(0x1549A966, element(0x5741, b"HandBrake 1.7"), element(0x4461, date))
    data = matroska(element(0xEC, bytes(50)), info, element(0x1F43B675, bytes(500)), known=known)
    (program,) = told(data, "software")
    assert (program.field, program.value, program.where) == (
        "WritingApp", "HandBrake 1.7", "Matroska",
    )  # fmt: skip
    assert [f.value for f in told(data, "time")] == ["2001-01-02T00:00:00Z"]
    assert told(data, "damaged") == []


def test_tags_behind_the_pictures_of_matroska(told):
    tag = element(
        0x67C8, element(0x45A3, b"COMMENT"), element(0x4487, b'{"class_type": "KSampler"}')
    )
    data = matroska(element(0x1F43B675, bytes(500)), element(0x1254C367, element(0x7373, tag)))
    (found,) = told(data, "generator")
    assert (found.field, found.where) == ("COMMENT", "Matroska")
    (fault,) = told(data[:-5], "damaged")
    assert "ends before" in fault.value


def test_other_clips_are_said_not_to_be_taken_apart(told):
    (found,) = told(b"OggS" + bytes(60), "metadata")
    assert found.value == "not taken apart"
