"""Metadata of files with chunks or elements: PNG, WebP, AVI, GIF, Matroska."""

from __future__ import annotations

import calendar
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

from mesoscope.media.chunks import Window, chunks, gif_blocks
from mesoscope.media.provenance.parts import LARGEST_TEXT, decode_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.media.provenance.parts import Parts


_XMP_KEY = "XML:com.adobe.xmp"
_LARGEST_CHUNK = 16 << 20
_MOST_CHUNKS = 20_000  # per list of a RIFF file
_MOST_PNG_CHUNKS = 300_000  # large pictures have so many of 8 kB
_GIF_XMP = b"XMP DataXMP"
_AVI_INFO = {b"ISFT": "Software", b"ICRD": "Creation date", b"ICMT": "Comment"}


def read_png(file: BinaryIO, parts: Parts) -> None:
    """Read the metadata of a PNG (PNG specification, third edition, 5.3), by seeking."""
    data, others = Window(file), 0
    for number, (name, at, length) in enumerate(chunks(data, 8, "big")):
        if number == _MOST_PNG_CHUNKS:
            parts.left_out("PNG", f"more than {_MOST_PNG_CHUNKS:,} chunks")
            return
        if at + length + 4 > len(data) or not name.isalpha():
            break
        if name == b"IHDR" and length >= 8:
            width, height = struct.unpack(">II", data[at : at + 8])
            parts.size = (width, height)
        elif name not in (b"IDAT", b"fdAT"):  # the decoder checks these
            others += 1
            if others > _MOST_CHUNKS:
                parts.left_out("PNG", f"more than {_MOST_CHUNKS:,} chunks beside the picture's")
                return
            if length > _LARGEST_CHUNK:
                parts.left_out(f"PNG {decode_text(name)}", "more than 16 MB in one chunk")
            else:
                chunk = data[at : at + length + 4]
                body, checksum = chunk[:-4], int.from_bytes(chunk[-4:], "big")
                _png_chunk(name, body, parts)
                if zlib.crc32(body, zlib.crc32(name)) != checksum:
                    parts.damaged("PNG", decode_text(name), "its checksum is wrong")
        if name == b"IEND":
            return
    parts.damaged("PNG", "chunks", "the file ends before the picture does")


def _png_chunk(name: bytes, body: bytes, parts: Parts) -> None:
    if name == b"eXIf":
        parts.add_block(parts.exif, body)
    elif name == b"caBX":
        parts.c2pa = "PNG caBX"
    elif name in (b"tEXt", b"zTXt", b"iTXt"):
        try:
            key, value = _png_text(name, body, parts)
        except (ValueError, IndexError, zlib.error):
            parts.damaged("PNG", decode_text(name), "its text cannot be unpacked")
            return
        if key == _XMP_KEY:
            parts.add_block(parts.xmp, value)
        elif key.startswith("Raw profile type "):
            _raw_profile(key, value, parts)
        else:
            # iTXt is UTF-8 and the others Latin-1, but many programs write UTF-8 in all.
            parts.add_text("PNG text", key, decode_text(value))


def _png_text(name: bytes, body: bytes, parts: Parts) -> tuple[str, bytes]:
    raw, _, rest = body.partition(b"\0")
    key = raw[:80].decode("latin-1")
    if name == b"tEXt":
        return key, rest
    if name == b"zTXt":
        return key, _unpack(rest[1:], parts)
    packed = rest[0]
    _language, _, rest = rest[2:].partition(b"\0")
    _translated, _, rest = rest.partition(b"\0")
    return key, _unpack(rest, parts) if packed else rest


def _unpack(packed: bytes, parts: Parts) -> bytes:
    """Decompress a text within a limit, as a few bytes could become gigabytes."""
    if parts.unpacked_left <= 0:
        raise ValueError("too much is packed into this file")
    most = min(4 * LARGEST_TEXT, parts.unpacked_left)
    unpacked = zlib.decompressobj().decompress(packed, most)
    parts.unpacked_left -= len(unpacked)
    return unpacked


def _raw_profile(key: str, value: bytes, parts: Parts) -> None:
    """Read EXIF, IPTC or XMP in ImageMagick's hexadecimal text."""
    try:
        _name, _length, digits = value.strip().split(b"\n", 2)
        raw = bytes.fromhex(digits.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        parts.damaged("PNG text", key, "it is not the hexadecimal text that it should be")
        return
    form = key.rsplit(" ", 1)[-1].lower()
    if form in ("exif", "app1") and raw.startswith(b"Exif\0\0"):
        parts.add_block(parts.exif, raw[6:])
    elif form == "xmp":
        parts.add_block(parts.xmp, raw)
    elif form in ("iptc", "8bim"):
        parts.add_block(parts.resources if raw.startswith(b"8BIM") else parts.iptc, raw)


def read_riff(file: BinaryIO, parts: Parts) -> None:
    """Read the metadata of a WebP (RFC 9649) or an AVI, by seeking."""
    data = Window(file)
    declared = 8 + int.from_bytes(data[4:8], "little")
    if len(data) < declared:
        parts.damaged("RIFF", "size", "the file is shorter than its header says")
    _riff(data, 12, min(len(data), declared), parts)


def _riff(data: Window, at: int, end: int, parts: Parts, depth: int = 0) -> None:
    for number, (name, body_at, length) in enumerate(chunks(data, at, "little", end)):
        if number == _MOST_CHUNKS:
            parts.left_out("RIFF", f"more than {_MOST_CHUNKS:,} chunks in one list")
            return
        body_end = min(body_at + length, end)
        if name == b"LIST" and depth < 4:
            if data[body_at : body_at + 4] != b"movi":
                _riff(data, body_at + 4, body_end, parts, depth + 1)
        elif name in (b"EXIF", b"XMP ", b"C2PA", *_AVI_INFO):
            body = data[body_at : min(body_end, body_at + _LARGEST_CHUNK)]
            if name == b"EXIF":
                parts.add_block(parts.exif, body.removeprefix(b"Exif\0\0"))
            elif name == b"XMP ":
                parts.add_block(parts.xmp, body)
            elif name == b"C2PA":
                parts.c2pa = "RIFF C2PA"
            else:
                parts.add_text("AVI", _AVI_INFO[name], decode_text(body))


def read_gif(data: bytes, parts: Parts) -> None:
    """Read the extensions of a GIF (GIF89a, sections 23 to 26)."""
    parts.size = struct.unpack_from("<HH", data, 6) if len(data) >= 10 else None
    for number, (introducer, at, end) in enumerate(gif_blocks(data)):
        if introducer == 0x3B:
            return
        if number == _MOST_CHUNKS:
            parts.left_out("GIF", f"more than {_MOST_CHUNKS:,} pictures and extensions")
            return
        if end > len(data):
            break
        if introducer == 0x21:
            _extension(data, at, end, parts)
    parts.damaged("GIF", "blocks", "the file ends before the picture does")


def _extension(data: bytes, at: int, end: int, parts: Parts) -> None:
    label, first = data[at + 1], at + 2
    application = data[first + 1 : first + 12]
    if label == 0xFE:
        parts.add_text("GIF", "Comment", decode_text(_blocks(data, first)))
    elif label == 0xFF and application == _GIF_XMP:
        packet = data[first + 12 : end]
        # The packet is followed by 258 magic bytes.
        parts.add_block(parts.xmp, packet[: packet.rfind(b">") + 1])
    elif label == 0xFF and application.startswith(b"C2PA_GIF"):
        parts.c2pa = "GIF C2PA"


def _blocks(data: bytes, at: int) -> bytes:
    text = bytearray()
    while data[at] and len(text) < LARGEST_TEXT:
        text += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    return bytes(text)


_SEGMENT, _INFO, _TAGS, _TAG, _SIMPLE = 0x18538067, 0x1549A966, 0x1254C367, 0x7373, 0x67C8
_NAME, _STRING, _DATE = 0x45A3, 0x4487, 0x4461
_TEXTS = {0x4D80: "MuxingApp", 0x5741: "WritingApp", 0x7BA9: "Title"}
_OPENED = frozenset((_SEGMENT, _INFO, _TAGS, _TAG))
_SINCE_2001_S = calendar.timegm((2001, 1, 1, 0, 0, 0))
_DEEPEST = 8
_MOST_ELEMENTS = 200_000  # long clips have a cluster every few seconds
_WHERE = "Matroska"


class _Walk:
    """A traversal of the elements that skips frames."""

    def __init__(self, file: BinaryIO, parts: Parts) -> None:
        self.file, self.parts = file, parts
        self.size = file.seek(0, 2)
        self.left = _MOST_ELEMENTS

    def elements(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the number, and start and end of the content, of each element."""
        while at < end and self.left > 0:
            self.left -= 1
            self.file.seek(at)
            head = self.file.read(12)
            wide = _width(head[:1], most=4)
            length = _width(head[wide : wide + 1], most=8)
            if not wide or not length or len(head) < wide + length:
                self.fault()
                return
            number = int.from_bytes(head[:wide], "big")
            size = int.from_bytes(head[wide : wide + length], "big") & (1 << 7 * length) - 1
            body = at + wide + length
            unknown = size == (1 << 7 * length) - 1  # in live streams
            if not unknown and body + size > end:
                self.fault()
            if unknown and number != _SEGMENT:
                return
            at = end if unknown else body + size
            yield number, body, min(at, end)
        if self.left <= 0:
            self.parts.left_out(_WHERE, f"more than {_MOST_ELEMENTS:,} elements")

    def fault(self) -> None:
        if not any(f.where == _WHERE for f in self.parts.findings):
            self.parts.damaged(_WHERE, "elements", "the file ends before the clip does")

    def content(self, at: int, end: int) -> bytes:
        self.file.seek(at)
        return self.file.read(min(end - at, LARGEST_TEXT))

    def visit(self, at: int, end: int, depth: int = 0) -> None:
        for number, body, stop in self.elements(at, end):
            if number in _OPENED and depth < _DEEPEST:
                self.visit(body, stop, depth + 1)
            elif number == _SIMPLE:
                self.tag(body, stop)
            elif number in _TEXTS:
                text = decode_text(self.content(body, stop))
                self.parts.add_text(_WHERE, _TEXTS[number], text)
            elif number == _DATE:
                since = int.from_bytes(self.content(body, stop)[:8], "big", signed=True)
                self.parts.times.append(("created", _SINCE_2001_S + since / 1e9))

    def tag(self, at: int, end: int) -> None:
        texts = {
            number: decode_text(self.content(body, stop))
            for number, body, stop in self.elements(at, end)
            if number in (_NAME, _STRING)
        }
        self.parts.add_text(_WHERE, texts.get(_NAME, ""), texts.get(_STRING, ""))


def _width(first: bytes, *, most: int) -> int:
    """Return the length of an EBML number by the leading zeros of its first byte; 0 if invalid."""
    width = 9 - first[0].bit_length() if first else 0
    return width if 1 <= width <= most else 0


def read_ebml(file: BinaryIO, parts: Parts) -> None:
    """Read the metadata of a Matroska or WebM file."""
    walk = _Walk(file, parts)
    walk.visit(0, walk.size)
