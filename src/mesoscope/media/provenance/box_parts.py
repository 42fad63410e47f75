"""Metadata of files with boxes (ISO/IEC 14496-12): MP4, MOV, HEIF, AVIF, JPEG XL."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from mesoscope.media.chunks import Window, boxes
from mesoscope.media.provenance.parts import LARGEST_TEXT, decode_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.media.provenance.parts import Parts

_MOST_BOXES = 20_000
_DEEPEST = 8
_LARGEST = 16 << 20  # bytes of one part, and of all items in total
_MOST_EXTENTS = 10_000
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_SINCE_1904_S = 2_082_844_800
_OPENED = frozenset((b"moov", b"udta", b"ilst", b"trak", b"mdia"))
_AUXILIARY = {
    b"aux:hdrgainmap": "a gain map (HDR)",
    b"auxid:2": "a depth map",
    b"aux:portraiteffectsmatte": "a portrait matte",
    b"auxid:1": "an alpha plane",
}
_TAGS = {
    b"\xa9too": "Encoder", b"\xa9swr": "Software", b"\xa9mak": "Make", b"\xa9mod": "Model",
    b"\xa9cmt": "Comment", b"\xa9des": "Description", b"\xa9xyz": "Place",
    b"\xa9day": "Creation date", b"desc": "Description",
}  # fmt: skip
_KEYS = {
    "com.apple.quicktime.make": "Make",
    "com.apple.quicktime.model": "Model",
    "com.apple.quicktime.software": "Software",
    "com.apple.quicktime.creationdate": "Creation date",
    "com.apple.quicktime.location.ISO6709": "Place",
    "com.apple.quicktime.comment": "Comment",
    "com.apple.quicktime.description": "Description",
    "com.android.manufacturer": "Make",
    "com.android.model": "Model",
    "comment": "Comment",
    "prompt": "prompt",
    "workflow": "workflow",
}


@dataclass(slots=True)
class _Box:
    name: bytes
    body: int
    end: int


class _Walk:
    """A traversal of a file's boxes, bounded in number and depth."""

    def __init__(self, file: BinaryIO, parts: Parts, where: str) -> None:
        self.data, self.parts, self.where = Window(file), parts, where
        self.left = _MOST_BOXES
        self.keys: list[str] = []

    def bytes_of(self, start: int, end: int, most: int = _LARGEST) -> bytes:
        return self.data[start : max(start, min(end, start + most))]

    def boxes(self, at: int, end: int) -> Iterator[_Box]:
        for name, body, stop in boxes(self.data, at, end):
            self.left -= 1
            if self.left < 0:
                self.parts.left_out(self.where, f"more than {_MOST_BOXES:,} boxes")
                return
            if not body <= stop <= end:
                if end == len(self.data):
                    self.parts.damaged(
                        self.where, decode_text(name), "the file is shorter than this part says"
                    )
                return
            yield _Box(name, body, stop)

    def visit(self, at: int, end: int, depth: int = 0) -> None:
        for box in self.boxes(at, end):
            if box.name in _OPENED and depth < _DEEPEST:
                self.visit(box.body, box.end, depth + 1)
            elif box.name == b"meta" and depth < _DEEPEST:
                self.meta(box, depth)
            else:
                self.leaf(box)

    def leaf(self, box: _Box) -> None:
        parts = self.parts
        if box.name == b"uuid":
            self.uuid(box)
        elif box.name in (b"XMP_", b"xml "):
            parts.add_block(parts.xmp, self.bytes_of(box.body, box.end))
        elif box.name == b"Exif":  # JPEG XL: an offset and the TIFF structure
            self.exif(self.bytes_of(box.body, box.end))
        elif box.name == b"jumb" and b"c2pa" in self.bytes_of(box.body, box.body + 64):
            parts.c2pa = f"{self.where} jumb"
        elif box.name == b"mvhd":
            self.times(self.bytes_of(box.body, box.body + 20))
        elif box.name in _TAGS:
            self.tag(_TAGS[box.name], box)
        elif self.keys:  # boxes are numbered instead of named
            number = int.from_bytes(box.name, "big") - 1
            key = self.keys[number] if 0 <= number < len(self.keys) else ""
            if key in _KEYS:
                self.tag(_KEYS[key], box)

    def uuid(self, box: _Box) -> None:
        kind = self.bytes_of(box.body, box.body + 16)
        if kind == _C2PA:
            self.parts.c2pa = f"{self.where} uuid"
        elif kind == _XMP:
            self.parts.add_block(self.parts.xmp, self.bytes_of(box.body + 16, box.end))

    def tag(self, key: str, box: _Box) -> None:
        """Read a text: iTunes' ``data`` box, or QuickTime's length, language and text."""
        body = self.bytes_of(box.body, box.end, LARGEST_TEXT)
        if body[4:8] == b"data":
            text = body[16 : int.from_bytes(body[:4], "big")]
        else:
            text = body[4 : 4 + int.from_bytes(body[:2], "big")]
        self.parts.add_text(self.where, key, decode_text(text))

    def times(self, body: bytes) -> None:
        """Read the times of the movie header; 0 is no time."""
        form = ">QQ" if body[:1] == b"\1" else ">II"
        if len(body) < 4 + struct.calcsize(form):
            self.parts.damaged(self.where, "mvhd", "it is too short for what it should hold")
            return
        created, modified = struct.unpack_from(form, body, 4)
        for name, seconds in (("created", created), ("modified", modified)):
            if seconds:
                self.parts.times.append((name, float(seconds - _SINCE_1904_S)))

    def exif(self, body: bytes) -> None:
        start = 4 + int.from_bytes(body[:4], "big")
        self.parts.add_block(self.parts.exif, body[start:].removeprefix(b"Exif\0\0"))

    def meta(self, box: _Box, depth: int) -> None:
        """Read a ``meta`` box: keys and values of a clip, or items of a picture."""
        # QuickTime's has no version and flags.
        plain = self.bytes_of(box.body + 4, box.body + 8) in (b"hdlr", b"keys", b"ilst")
        inner = list(self.boxes(box.body + (0 if plain else 4), box.end))
        by_name = {b.name: b for b in inner}
        if b"keys" in by_name:
            self.keys = _names(self.bytes_of(by_name[b"keys"].body, by_name[b"keys"].end))
        if b"iprp" in by_name:
            properties = self.bytes_of(by_name[b"iprp"].body, by_name[b"iprp"].end, 1 << 20)
            for mark, what in _AUXILIARY.items():
                if mark in properties:
                    self.parts.further.append((self.where, what))
        if b"iinf" in by_name and b"iloc" in by_name:
            self.items(by_name)
        for part in inner:
            if part.name == b"ilst":
                self.visit(part.body, part.end, depth + 1)
            elif part.name in (b"uuid", b"xml "):
                self.leaf(part)
        self.keys = []

    def items(self, by_name: dict[bytes, _Box]) -> None:
        """Read the EXIF and XMP items of HEIF and AVIF."""
        info, place = by_name[b"iinf"], by_name[b"iloc"]
        version = self.bytes_of(info.body, info.body + 1)
        first = info.body + (6 if version == b"\0" else 8)
        wanted = {}
        for entry in self.boxes(first, info.end):
            body = self.bytes_of(entry.body, entry.end, 256)
            wide = body[:1] == b"\3"
            kind = body[10:14] if wide else body[8:12]
            number = int.from_bytes(body[4:8] if wide else body[4:6], "big")
            if kind == b"Exif" or (kind == b"mime" and b"application/rdf+xml" in body):
                wanted[number] = kind
        idat = by_name.get(b"idat")
        try:
            spots = _locations(self.bytes_of(place.body, place.end))
        except (struct.error, IndexError):
            self.parts.damaged(self.where, "iloc", "it is too short for what it should hold")
            return
        left = _LARGEST  # bounds items with the same location
        for number, kind in wanted.items():
            raw = bytearray()
            for inside, start, length in spots.get(number, ()):
                at = start + (idat.body if inside and idat else 0)
                raw += self.bytes_of(at, min(at + length, len(self.data)), left)
                left = max(0, left - length)
            if kind == b"Exif":
                self.exif(bytes(raw))
            elif raw:
                self.parts.add_block(self.parts.xmp, bytes(raw))


def _names(body: bytes) -> list[str]:
    """Parse the ``keys`` box of QuickTime's metadata."""
    names: list[str] = []
    at = 8
    while at + 8 <= len(body) and len(names) < 1000:
        length = int.from_bytes(body[at : at + 4], "big")
        if length < 8:
            break
        names.append(decode_text(body[at + 8 : at + length]))
        at += length
    return names


def _locations(body: bytes) -> dict[int, list[tuple[bool, int, int]]]:
    """Parse the ``iloc`` box: extents of each item, as (in ``idat``, offset, length)."""
    version, sizes = body[0], struct.unpack_from(">H", body, 4)[0]
    wide = version == 2
    offset_size, length_size = sizes >> 12, sizes >> 8 & 15
    base_size, index_size = sizes >> 4 & 15, (sizes & 15 if version else 0)
    at = 6
    spots: dict[int, list[tuple[bool, int, int]]] = {}
    extents = _MOST_EXTENTS

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(body):
            raise IndexError
        at += size
        return int.from_bytes(body[at - size : at], "big")

    for _ in range(min(number(4 if wide else 2), 10_000)):
        item = number(4 if wide else 2)
        inside = bool(version and number(2) & 15 == 1)
        number(2)  # data reference
        base = number(base_size)
        for _extent in range(number(2)):
            number(index_size)
            offset, length = number(offset_size), number(length_size)
            spots.setdefault(item, []).append((inside, base + offset, length))
            extents -= 1
            if not extents:  # extents can have a size of 0 in the file
                return spots
    return spots


def read_boxes(file: BinaryIO, parts: Parts, where: str) -> None:
    """Read the metadata of a file with boxes.

    Args:
        file: File open for reading and seeking.
        parts: Filled with the metadata.
        where: Name of the container in findings, such as ``MP4``.
    """
    walk = _Walk(file, parts, where)
    walk.visit(0, len(walk.data))
