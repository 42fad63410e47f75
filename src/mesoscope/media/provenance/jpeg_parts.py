"""Metadata and encoding of a JPEG, by its segments (ITU T.81, annex B)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mesoscope.media.chunks import ALONE, is_jpeg_frame, jpeg_segments
from mesoscope.media.provenance.parts import JpegFacts, decode_text

if TYPE_CHECKING:
    from mesoscope.media.provenance.parts import Parts

_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_EXIF = b"Exif\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_MORE = b"http://ns.adobe.com/xmp/extension/\0"
_RESOURCES = b"Photoshop 3.0\0"
_MOST_SEGMENTS = 50_000
_APPENDED = 1 << 16  # bytes after the picture that are kept
_MOST_PIECES = 300  # of up to 64 kB each
_NAMES = (
    (0xE0, b"JFIF\0", "JFIF"),
    (0xE0, b"JFXX\0", "JFXX"),
    (0xE1, _EXIF, "Exif"),
    (0xE1, _XMP, "XMP"),
    (0xE1, _XMP_MORE, "extended XMP"),
    (0xE2, b"ICC_PROFILE\0", "ICC profile"),
    (0xE2, b"MPF\0", "MPF"),
    (0xEB, b"JP", "JUMBF"),
    (0xEC, b"Ducky", "Ducky"),
    (0xED, _RESOURCES, "Photoshop"),
    (0xEE, b"Adobe", "Adobe"),
)


def read_jpeg(data: bytes, parts: Parts) -> None:
    """Read the segments of a JPEG; damaged ones become findings."""
    facts = parts.jpeg = JpegFacts()
    resources = bytearray()
    more: dict[bytes, dict[int, bytes]] = {}
    for number, (marker, at, length) in enumerate(jpeg_segments(data, scans=True)):
        if number == _MOST_SEGMENTS:
            parts.left_out("JPEG", f"more than {_MOST_SEGMENTS:,} segments")
            break
        if marker == 0xD9:
            facts.trailing = len(data[at + 2 :].rstrip(b"\0"))
            facts.appended = data[at + 2 : at + 2 + _APPENDED]
            break
        if marker in ALONE:
            continue
        body = data[at + 4 : at + 2 + length]
        if length < 2 or len(body) != length - 2:
            parts.damaged("JPEG", f"segment {marker:#04x}", "its length leads beyond the file")
            break
        try:
            _segment(marker, body, facts, parts, resources, more)
        except (struct.error, IndexError, ValueError):
            parts.damaged(
                "JPEG", f"segment {marker:#04x}", "it is too short for what it should hold"
            )
    else:
        parts.damaged("JPEG", "segments", "the file ends before the picture does")
    if resources:
        parts.add_block(parts.resources, bytes(resources))
    _join_xmp(more, parts)
    parts.size = (facts.width, facts.height) if facts.width else None


def _segment(
    marker: int,
    body: bytes,
    facts: JpegFacts,
    parts: Parts,
    resources: bytearray,
    more: dict[bytes, dict[int, bytes]],
) -> None:
    if is_jpeg_frame(marker):
        _frame(marker, body, facts)
    elif marker == 0xDB:
        _tables(body, facts)
    elif marker == 0xFE:
        if len(facts.comments) < 100:
            facts.comments.append(decode_text(body))
    elif 0xE0 <= marker <= 0xEF:
        name = _name(marker, body)
        if name not in facts.order[-1:]:  # long parts have several segments
            facts.order.append(name)
        _application(name, body, parts, resources, more)


def _application(
    name: str,
    body: bytes,
    parts: Parts,
    resources: bytearray,
    more: dict[bytes, dict[int, bytes]],
) -> None:
    if name == "Exif":
        parts.add_block(parts.exif, body[6:])
    elif name == "XMP":
        parts.add_block(parts.xmp, body[len(_XMP) :])
    elif name == "extended XMP":
        rest = body[len(_XMP_MORE) :]
        _full, offset = struct.unpack(">II", rest[32:40])
        pieces = more.setdefault(rest[:32], {})
        if len(pieces) < _MOST_PIECES:
            pieces[offset] = rest[40:]
    elif name == "Photoshop":
        resources += body[len(_RESOURCES) :]
    elif name == "JUMBF" and b"jumb" in body[:24] and b"c2pa" in body[:64]:
        parts.c2pa = "JPEG APP11"


def _name(marker: int, body: bytes) -> str:
    for of, start, name in _NAMES:
        if marker == of and body.startswith(start):
            return name
    return f"APP{marker - 0xE0}"


def _frame(marker: int, body: bytes, facts: JpegFacts) -> None:
    """Parse the frame header (B.2.2)."""
    _precision, facts.height, facts.width, count = struct.unpack(">BHHB", body[:6])
    components = [body[6 + 3 * n : 9 + 3 * n] for n in range(count)]
    facts.progressive = marker in _PROGRESSIVE
    facts.sampling = tuple((c[1] >> 4, c[1] & 15) for c in components)
    facts.table_of = tuple(c[2] for c in components)


def _tables(body: bytes, facts: JpegFacts) -> None:
    """Parse quantisation tables (B.2.4.1); only the first of each number is kept."""
    at = 0
    while at < len(body):
        wide, number = body[at] >> 4, body[at] & 15
        at += 1
        form = ">64H" if wide else "64B"
        table = struct.unpack_from(form, body, at)
        facts.tables.setdefault(number, table)
        at += struct.calcsize(form)


def _join_xmp(more: dict[bytes, dict[int, bytes]], parts: Parts) -> None:
    """Join the pieces of extended XMP (XMP specification, part 3, 1.1.3.1)."""
    for pieces in more.values():
        packet = bytearray()
        for offset in sorted(pieces):
            if offset != len(packet):
                parts.damaged("XMP", "extended XMP", "a piece of it is missing")
                break
            packet += pieces[offset]
        else:
            parts.add_block(parts.xmp, bytes(packet))
