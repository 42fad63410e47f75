"""The TIFF structure (TIFF 6.0) that EXIF is written in, read within bounds and without trust."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Any

from mesoscope.media.provenance.parts import decode_text

Value = str | bytes | tuple[float, ...]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_FORMS = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
_MOST_ENTRIES = 1000
_MOST_NUMBERS = 64  # the strips of a large picture are no concern here
_LARGEST = 8 << 20  # bytes of one value
_MOST_BYTES = 16 << 20  # of all values of a directory
_BYTES = frozenset((1, 2, 7, 129))  # types that are kept as they stand
_EXIF, _GPS, _PREVIEW_AT, _PREVIEW_LENGTH = 0x8769, 0x8825, 0x0201, 0x0202


@dataclass(slots=True)
class Tiff:
    """The directories of a TIFF structure; each maps a tag's number to its value.

    Attributes:
        main: The first directory, of the picture.
        exif: The EXIF directory.
        gps: The GPS directory.
        preview: The second directory, of the embedded preview.
        thumbnail: The preview's JPEG, where there is one.
        faults: What could not be read.
    """

    main: dict[int, Value] = field(default_factory=dict)
    exif: dict[int, Value] = field(default_factory=dict)
    gps: dict[int, Value] = field(default_factory=dict)
    preview: dict[int, Value] = field(default_factory=dict)
    thumbnail: bytes | None = None
    faults: list[str] = field(default_factory=list)

    def text(self, tag: int) -> str:
        """The text of a tag in the main or the EXIF directory, or nothing."""
        value = self.main.get(tag, self.exif.get(tag))
        return value.strip() if isinstance(value, str) else ""

    def raw(self, tag: int) -> bytes:
        """The bytes of a tag in the main or the EXIF directory, or nothing."""
        value = self.main.get(tag, self.exif.get(tag))
        if isinstance(value, tuple):  # numbers that stand for bytes
            return bytes(int(v) & 255 for v in value)
        return value if isinstance(value, bytes) else b""

    def number(self, tag: int) -> float | None:
        """The first number of a tag in the main or the EXIF directory."""
        value = self.exif.get(tag, self.main.get(tag))
        return value[0] if isinstance(value, tuple) and value else None


def read_tiff(data: bytes) -> Tiff:
    """Read the directories; what is wrong stands in ``faults``, and nothing is raised.

    Args:
        data: From the byte order mark on.
    """
    tiff = Tiff()
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None or len(data) < 8 or _unpack(order + "H", data, 2)[0] != 42:
        tiff.faults.append("it does not begin as EXIF does")
        return tiff
    (at,) = _unpack(order + "I", data, 4)
    tiff.main, after = _directory(data, at, order, tiff.faults)
    for tag, place in ((_EXIF, "exif"), (_GPS, "gps")):
        if tag in tiff.main:
            pointer = tiff.main[tag]
            if isinstance(pointer, tuple) and pointer and pointer[0] not in (0, at):
                inner, _ = _directory(data, int(pointer[0]), order, tiff.faults)
                setattr(tiff, place, inner)
    if after and after != at:
        tiff.preview, _ = _directory(data, after, order, tiff.faults)
        start, length = tiff.preview.get(_PREVIEW_AT), tiff.preview.get(_PREVIEW_LENGTH)
        if isinstance(start, tuple) and isinstance(length, tuple) and start and length:
            tiff.thumbnail = bytes(data[int(start[0]) : int(start[0]) + int(length[0])][:_LARGEST])
    return tiff


def _unpack(form: str, data: bytes, at: int) -> tuple[Any, ...]:
    """As ``struct.unpack_from``, also of a file's bytes that are read by slices."""
    return struct.unpack(form, data[at : at + struct.calcsize(form)])


def _directory(data: bytes, at: int, order: str, faults: list[str]) -> tuple[dict[int, Value], int]:
    """One directory, and where the next one begins (0: nowhere)."""
    found: dict[int, Value] = {}
    left = _MOST_BYTES
    if at < 0 or at + 2 > len(data):
        faults.append("a directory lies beyond its end")
        return found, 0
    (count,) = _unpack(order + "H", data, at)
    end = at + 2 + 12 * count
    if count > _MOST_ENTRIES or end > len(data):
        faults.append("a directory is longer than what is there")
        return found, 0
    for entry in range(at + 2, end, 12):
        tag, kind, number = _unpack(order + "HHI", data, entry)
        size = _SIZES.get(kind, 0) * number
        if size == 0:
            continue
        start = entry + 8 if size <= 4 else _unpack(order + "I", data, entry + 8)[0]
        if start + size > len(data):
            faults.append(f"the value of tag {tag:#06x} lies beyond its end")
            continue
        if tag in found:
            continue
        if left <= 0:  # many tags can point at the same bytes
            faults.append("a directory holds more than is read here")
            break
        size = min(size, _LARGEST)
        found[tag] = _value(data, start, kind, number, size, order)
        left -= size if kind in _BYTES else 0
    following = _unpack(order + "I", data, end)[0] if end + 4 <= len(data) else 0
    return found, following


def _value(data: bytes, at: int, kind: int, count: int, size: int, order: str) -> Value:
    if kind in (2, 129):
        return decode_text(bytes(data[at : at + size]).partition(b"\0")[0])
    if kind in (1, 7):
        return bytes(data[at : at + size])
    count = min(count, _MOST_NUMBERS)
    if kind in (5, 10):
        pairs = _unpack(f"{order}{2 * count}{'I' if kind == 5 else 'i'}", data, at)
        halves = zip(pairs[::2], pairs[1::2], strict=True)
        return tuple(a / b if b else 0.0 for a, b in halves)
    numbers = _unpack(f"{order}{count}{_FORMS[kind]}", data, at)
    return tuple(number if math.isfinite(number) else 0.0 for number in numbers)
