"""Files made of chunks: PNG, WebP, AVI and GIF."""

from __future__ import annotations

import contextlib
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

from mesoscope.media.provenance.parts import LARGEST_TEXT, decode_text

if TYPE_CHECKING:
    from mesoscope.media.provenance.parts import Parts

_XMP_KEY = "XML:com.adobe.xmp"
_LARGEST_CHUNK = 16 << 20
_MOST_CHUNKS = 20_000  # of one list of a RIFF file
_MOST_PNG_CHUNKS = 300_000  # a large picture has as many of 8 kB
_MOST_BLOCKS = 2_000_000  # of a GIF, of up to 255 bytes
_GIF_XMP = b"XMP DataXMP"
_AVI_INFO = {b"ISFT": "Software", b"ICRD": "Creation date", b"ICMT": "Comment"}


def read_png(file: BinaryIO, parts: Parts) -> None:
    """Walk a PNG's chunks (PNG specification, third edition, 5.3) into ``parts``, by seeking."""
    size, at, others = file.seek(0, 2), 8, 0
    for _ in range(_MOST_PNG_CHUNKS):
        if at + 12 > size:
            break
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if at + 12 + length > size or not name.isalpha():
            break
        if name == b"IHDR" and length >= 8:
            width, height = struct.unpack(">II", file.read(8))
            parts.size = (width, height)
        elif name not in (b"IDAT", b"fdAT"):  # the decoder checks those itself
            others += 1
            if others > _MOST_CHUNKS:
                parts.left_out("PNG", f"more than {_MOST_CHUNKS:,} chunks beside the picture's")
                return
            if length > _LARGEST_CHUNK:
                parts.left_out(f"PNG {decode_text(name)}", "more than 16 MB in one chunk")
            else:
                body = file.read(length)
                _png_chunk(name, body, parts)
                if zlib.crc32(body, zlib.crc32(name)) != int.from_bytes(file.read(4), "big"):
                    parts.damaged("PNG", decode_text(name), "its checksum is wrong")
        at += 12 + length
        if name == b"IEND":
            return
    else:
        parts.left_out("PNG", f"more than {_MOST_PNG_CHUNKS:,} chunks")
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
            # iTXt is UTF-8 and the others Latin-1, but many programs write UTF-8 all the same.
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
    """Inflate no more than a text may hold: a few bytes could become gigabytes."""
    if parts.unpacked_left <= 0:
        raise ValueError("too much is packed into this file")
    most = min(4 * LARGEST_TEXT, parts.unpacked_left)
    unpacked = zlib.decompressobj().decompress(packed, most)
    parts.unpacked_left -= len(unpacked)
    return unpacked


def _raw_profile(key: str, value: bytes, parts: Parts) -> None:
    """EXIF, IPTC and XMP as hexadecimal text, the way of ImageMagick."""
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
    """Walk the chunks of a WebP (RFC 9649) or an AVI into ``parts``, by seeking."""
    size = file.seek(0, 2)
    file.seek(4)
    told = 8 + int.from_bytes(file.read(4), "little")
    if size < told:
        parts.damaged("RIFF", "size", "the file is shorter than its header says")
    _riff(file, 12, min(size, told), parts)


def _riff(file: BinaryIO, at: int, end: int, parts: Parts, depth: int = 0) -> None:
    for _ in range(_MOST_CHUNKS):
        if at + 8 > end:
            return
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        body_end = min(at + 8 + length, end)
        if name == b"LIST" and depth < 4:
            if file.read(4) != b"movi":
                _riff(file, at + 12, body_end, parts, depth + 1)
        elif name in (b"EXIF", b"XMP ", b"C2PA", *_AVI_INFO):
            body = file.read(min(body_end - at - 8, _LARGEST_CHUNK))
            if name == b"EXIF":
                parts.add_block(parts.exif, body.removeprefix(b"Exif\0\0"))
            elif name == b"XMP ":
                parts.add_block(parts.xmp, body)
            elif name == b"C2PA":
                parts.c2pa = "RIFF C2PA"
            else:
                parts.add_text("AVI", _AVI_INFO[name], decode_text(body))
        at += 8 + length + (length & 1)
    parts.left_out("RIFF", f"more than {_MOST_CHUNKS:,} chunks in one list")


def read_gif(data: bytes, parts: Parts) -> None:
    """Walk the extensions of a GIF (GIF89a, sections 23 to 26) into ``parts``."""
    with contextlib.suppress(IndexError):
        flags = data[10]
        parts.size = struct.unpack_from("<HH", data, 6) if len(data) >= 10 else None
        at = 13 + _colours(flags)
        for _ in range(_MOST_CHUNKS):
            if data[at] == 0x3B:
                return
            if data[at] == 0x2C:  # a picture: its own colours, then its pixels
                at = _skip(data, at + 11 + _colours(data[at + 9]))
            elif data[at] == 0x21:
                at = _extension(data, at, parts)
            else:
                break
        else:
            parts.left_out("GIF", f"more than {_MOST_CHUNKS:,} pictures and extensions")
            return
    parts.damaged("GIF", "blocks", "the file ends before the picture does")


def _colours(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip(data: bytes, at: int) -> int:
    for _ in range(_MOST_BLOCKS):
        if not data[at]:
            return at + 1
        at += 1 + data[at]
    raise IndexError("a picture of more blocks than are read")


def _extension(data: bytes, at: int, parts: Parts) -> int:
    label, first = data[at + 1], at + 2
    end = _skip(data, first)
    application = data[first + 1 : first + 12]
    if label == 0xFE:
        parts.add_text("GIF", "Comment", decode_text(_blocks(data, first)))
    elif label == 0xFF and application == _GIF_XMP:
        packet = data[first + 12 : end]
        parts.add_block(
            parts.xmp, packet[: packet.rfind(b">") + 1]
        )  # behind it stand 258 magic bytes
    elif label == 0xFF and application.startswith(b"C2PA_GIF"):
        parts.c2pa = "GIF C2PA"
    return end


def _blocks(data: bytes, at: int) -> bytes:
    text = bytearray()
    while data[at] and len(text) < LARGEST_TEXT:
        text += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    return bytes(text)
