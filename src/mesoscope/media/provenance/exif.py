"""EXIF (CIPA DC-008) and its TIFF 6.0 structure: a parser for untrusted data, and findings."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Any

from mesoscope.media.provenance.finding import Finding
from mesoscope.media.provenance.parts import Text, damaged, decode_text
from mesoscope.media.provenance.software import program

Value = str | bytes | tuple[float, ...]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_FORMS = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
_MOST_ENTRIES = 1000
_MOST_NUMBERS = 64  # numbers per value; longer values, such as strip offsets, are cut
_LARGEST = 8 << 20  # bytes per value
_MOST_BYTES = 16 << 20  # bytes of all values of a directory
_BYTES = frozenset((1, 2, 7, 129))  # types that are kept as bytes or text
_EXIF, _GPS, _PREVIEW_AT, _PREVIEW_LENGTH = 0x8769, 0x8825, 0x0201, 0x0202


@dataclass(slots=True)
class Tiff:
    """The directories of a TIFF structure, with values by tag number.

    Attributes:
        main: First directory, of the picture.
        exif: EXIF directory.
        gps: GPS directory.
        preview: Second directory, of the embedded preview.
        thumbnail: JPEG of the preview; ``None`` without one.
        faults: Descriptions of what could not be read.
    """

    main: dict[int, Value] = field(default_factory=dict)
    exif: dict[int, Value] = field(default_factory=dict)
    gps: dict[int, Value] = field(default_factory=dict)
    preview: dict[int, Value] = field(default_factory=dict)
    thumbnail: bytes | None = None
    faults: list[str] = field(default_factory=list)

    def text(self, tag: int) -> str:
        """Return the text of a tag in the main or the EXIF directory; empty if missing."""
        value = self.main.get(tag, self.exif.get(tag))
        return value.strip() if isinstance(value, str) else ""

    def raw(self, tag: int) -> bytes:
        """Return the bytes of a tag in the main or the EXIF directory; empty if missing."""
        value = self.main.get(tag, self.exif.get(tag))
        if isinstance(value, tuple):  # bytes as numbers
            return bytes(int(v) & 255 for v in value)
        return value if isinstance(value, bytes) else b""

    def number(self, tag: int) -> float | None:
        """Return the first number of a tag in the EXIF or the main directory."""
        value = self.exif.get(tag, self.main.get(tag))
        return value[0] if isinstance(value, tuple) and value else None


def read_tiff(data: bytes) -> Tiff:
    """Read the directories; errors are added to ``faults``.

    Args:
        data: The TIFF structure, from the byte order mark on.
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
    """Unpack as ``struct.unpack_from``, also from a :class:`Window`."""
    return struct.unpack(form, data[at : at + struct.calcsize(form)])


def _directory(data: bytes, at: int, order: str, faults: list[str]) -> tuple[dict[int, Value], int]:
    """Read a directory; also return the offset of the next one, 0 for none."""
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
        if left <= 0:  # many tags can point to the same bytes
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


MAKE, MODEL, SOFTWARE, DESCRIPTION, ARTIST = 0x010F, 0x0110, 0x0131, 0x010E, 0x013B
PROCESSING, USER_COMMENT, XP_COMMENT = 0x000B, 0x9286, 0x9C9C
_WIDTH, _HEIGHT, _COMPOSITE = 0xA002, 0xA003, 0xA460
_EXPOSURE = (0x829A, 0x829D, 0x8827, 0x9201, 0x9202, 0x920A)  # time, aperture, ISO, focal length
_LATITUDE, _LONGITUDE = (0x0001, 0x0002), (0x0003, 0x0004)
_CHARSETS = {b"ASCII\0\0\0": "ascii", b"JIS\0\0\0\0\0": "iso2022_jp", b"\0" * 8: "utf-8"}
_WHERE = "EXIF"


def exif(tiff: Tiff, *, size: tuple[int, int] | None, place: bool) -> list[Finding]:
    """Return the findings of an EXIF block, except times.

    Args:
        tiff: The block.
        size: ``(width, height)`` of the stored picture in pixels.
        place: Whether to include coordinates.
    """
    found = [damaged(_WHERE, "structure", fault) for fault in dict.fromkeys(tiff.faults)]
    found += _camera(tiff)
    found += [
        program(tiff.text(tag), field, _WHERE)
        for tag, field in ((SOFTWARE, "Software"), (PROCESSING, "ProcessingSoftware"))
        if tiff.text(tag)
    ]
    found += _size(tiff, size)
    found += _composite(tiff)
    found += _place(tiff, show=place)
    if user_comment(tiff).strip() == "Screenshot":
        found.append(
            Finding(
                "metadata", "UserComment", "Screenshot", _WHERE,
                "Apple's systems write this into pictures of the screen. What was on the screen is "
                "not told.",
                "hint",
            )
        )  # fmt: skip
    return found


def texts(tiff: Tiff) -> list[Text]:
    """Return the texts in which generators write their settings."""
    named = [
        ("UserComment", user_comment(tiff)),
        ("XPComment", tiff.raw(XP_COMMENT).decode("utf-16-le", "replace").strip("\0")),
        ("ImageDescription", tiff.text(DESCRIPTION)),
        ("Make", tiff.text(MAKE)),  # ComfyUI writes its graphs to these two
        ("Model", tiff.text(MODEL)),
    ]
    return [Text(_WHERE, key, value) for key, value in named if value.strip()]


def user_comment(tiff: Tiff) -> str:
    """Decode the user comment: eight bytes for the character set, then the text."""
    raw = tiff.raw(USER_COMMENT)
    charset, text = raw[:8], raw[8:]
    if charset == b"UNICODE\0":
        # The byte order is not standardised; for most texts the high bytes are 0.
        big = text[::2].count(0) >= text[1::2].count(0)
        return text.decode("utf-16-be" if big else "utf-16-le", "replace").strip("\0 ")
    if charset in _CHARSETS:
        return text.decode(_CHARSETS[charset], "replace").strip("\0 ")
    return raw.decode("utf-8", "replace").strip("\0 ")


def names_camera(tiff: Tiff) -> bool:
    """Whether EXIF names a camera."""
    return bool(_camera_name(tiff))


def camera(name: str, where: str) -> Finding:
    """Return the finding about a camera's name."""
    return Finding(
        "camera", "Make, Model", name, where,
        "The file says that this camera or telephone took it. Software keeps that through every "
        "edit, and anyone can write it.",
    )  # fmt: skip


def location(field: str, value: str | None, where: str) -> Finding:
    """Return the finding about coordinates; ``None`` hides the value."""
    return Finding(
        "place", field, "present, not shown" if value is None else value, where,
        "The file says where it was taken. Before you pass the file on, consider whom that gives "
        "away. Anyone can write it.",
    )  # fmt: skip


def _camera_name(tiff: Tiff) -> str:
    make, model = tiff.text(MAKE), tiff.text(MODEL)
    if "{" in make + model or len(make + model) > 120:  # a graph of ComfyUI
        return ""
    return model if model.startswith(make) else f"{make} {model}".strip()


def _camera(tiff: Tiff) -> list[Finding]:
    name = _camera_name(tiff)
    if not name:
        return []
    found = [camera(name, _WHERE)]
    if not any(tag in tiff.exif for tag in _EXPOSURE):
        found.append(
            Finding(
                "camera", "exposure", "none", _WHERE,
                "A camera is named, but none of what cameras write with it: no exposure time, "
                "aperture, sensitivity or focal length. Some programs drop these; and so does "
                "who writes only a name.",
                "hint",
            )
        )  # fmt: skip
    return found


def _size(tiff: Tiff, size: tuple[int, int] | None) -> list[Finding]:
    width, height = tiff.number(_WIDTH), tiff.number(_HEIGHT)
    if size is None or not width or not height or {width, height} == set(size):
        return []
    return [
        Finding(
            "encoding", "PixelXDimension, PixelYDimension",
            f"{width:.0f}×{height:.0f}, the picture is {size[0]}×{size[1]}", _WHERE,
            "EXIF tells another size than the picture has: it was cropped or resized by a program "
            "that left EXIF as it was.",
            "hint",
        )
    ]  # fmt: skip


def _composite(tiff: Tiff) -> list[Finding]:
    value = tiff.number(_COMPOSITE)
    says = {2: "a composite of several pictures", 3: "a composite that was taken while shooting"}
    if value not in says:
        return []
    return [
        Finding(
            "source_type", "CompositeImage", f"{value:.0f}", _WHERE,
            f"The file says it is {says[int(value)]}. Telephones write this for night and "
            "high-contrast shots.",
        )
    ]  # fmt: skip


def _place(tiff: Tiff, *, show: bool) -> list[Finding]:
    latitude, longitude = _degrees(tiff, *_LATITUDE), _degrees(tiff, *_LONGITUDE)
    if latitude is None or longitude is None:
        return []
    value = f"{latitude:.5f}, {longitude:.5f}" if show else None
    return [location("GPSLatitude, GPSLongitude", value, _WHERE)]


def _degrees(tiff: Tiff, reference: int, value: int) -> float | None:
    parts, side = tiff.gps.get(value), tiff.gps.get(reference)
    if not isinstance(parts, tuple) or len(parts) < 3:
        return None
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    return -degrees if isinstance(side, str) and side[:1] in ("S", "W") else degrees
