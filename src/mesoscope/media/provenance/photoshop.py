"""Photoshop's image resources, and the IPTC records (IIM 4.2) that travel in them."""

from __future__ import annotations

from mesoscope.media.provenance.parts import decode_text

IPTC, THUMBNAIL, QUALITY, VERSION = 0x0404, 0x040C, 0x0406, 0x0421
THUMBNAIL_HEADER = 28  # bytes before the preview's JPEG
_MOST = 2000
_CHARSET, _UTF8 = (1, 90), b"\x1b%G"


def read_resources(data: bytes) -> tuple[dict[int, bytes], bool]:
    """Image resource blocks by their number.

    Returns:
        The blocks, and whether they could be read to their end.
    """
    found: dict[int, bytes] = {}
    at = 0
    while at + 12 <= len(data) and len(found) < _MOST:
        if data[at : at + 4] not in (b"8BIM", b"PHUT", b"DCSR", b"AgHg", b"MeSa"):
            return found, False
        number = int.from_bytes(data[at + 4 : at + 6], "big")
        name = data[at + 6]
        at += 6 + (name + 2 & ~1)  # the name is padded to an even length with its own byte
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 4 + length]
        if len(body) != length:
            return found, False
        found.setdefault(number, body)
        at += 4 + (length + 1 & ~1)
    return found, True


def read_iptc(data: bytes) -> tuple[dict[tuple[int, int], str], bool]:
    """IPTC records by record and data set; of repeated ones the texts joined by a comma.

    Returns:
        The records, and whether they could be read to their end.
    """
    raw: dict[tuple[int, int], list[bytes]] = {}
    at, whole = 0, True
    while at + 5 <= len(data) and len(raw) < _MOST:
        if data[at] != 0x1C:
            whole = not data[at:].strip(b"\0")  # padding at the end is no fault
            break
        key, length = (data[at + 1], data[at + 2]), int.from_bytes(data[at + 3 : at + 5], "big")
        body = data[at + 5 : at + 5 + length]
        if length & 0x8000 or len(body) != length:
            whole = False
            break
        raw.setdefault(key, []).append(body)
        at += 5 + length
    utf8 = raw.get(_CHARSET, [b""])[0] == _UTF8
    return {
        key: ", ".join(_text(value, utf8=utf8) for value in values) for key, values in raw.items()
    }, whole


def _text(raw: bytes, *, utf8: bool) -> str:
    return raw.decode("utf-8", "replace") if utf8 else decode_text(raw)


def writer(block: bytes) -> str:
    """The program's name in the version block: a version, a flag, and a name in UTF-16."""
    count = int.from_bytes(block[5:9], "big")
    return block[9 : 9 + 2 * min(count, 200)].decode("utf-16-be", "replace").rstrip("\0")
