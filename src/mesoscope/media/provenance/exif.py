"""Findings in EXIF (CIPA DC-008): camera, software, place, and what does not fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.media.provenance.finding import Finding
from mesoscope.media.provenance.parts import Text, damaged
from mesoscope.media.provenance.software import program

if TYPE_CHECKING:
    from mesoscope.media.provenance.tiff import Tiff

MAKE, MODEL, SOFTWARE, DESCRIPTION, ARTIST = 0x010F, 0x0110, 0x0131, 0x010E, 0x013B
PROCESSING, USER_COMMENT, XP_COMMENT = 0x000B, 0x9286, 0x9C9C
_WIDTH, _HEIGHT, _COMPOSITE = 0xA002, 0xA003, 0xA460
_EXPOSURE = (0x829A, 0x829D, 0x8827, 0x9201, 0x9202, 0x920A)  # time, aperture, ISO, focal length
_LATITUDE, _LONGITUDE = (0x0001, 0x0002), (0x0003, 0x0004)
_CHARSETS = {b"ASCII\0\0\0": "ascii", b"JIS\0\0\0\0\0": "iso2022_jp", b"\0" * 8: "utf-8"}
_WHERE = "EXIF"


def exif(tiff: Tiff, *, size: tuple[int, int] | None, place: bool) -> list[Finding]:
    """Findings of an EXIF block; its times are :mod:`~mesoscope.media.provenance.times`'.

    Args:
        tiff: The block.
        size: ``(width, height)`` of the picture as stored, in pixels.
        place: Show coordinates.
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
    """The texts in which generators write their settings."""
    named = [
        ("UserComment", user_comment(tiff)),
        ("XPComment", tiff.raw(XP_COMMENT).decode("utf-16-le", "replace").strip("\0")),
        ("ImageDescription", tiff.text(DESCRIPTION)),
        ("Make", tiff.text(MAKE)),  # ComfyUI writes its graphs into these two
        ("Model", tiff.text(MODEL)),
    ]
    return [Text(_WHERE, key, value) for key, value in named if value.strip()]


def user_comment(tiff: Tiff) -> str:
    """The user's comment: eight bytes that name its character set, then the text."""
    raw = tiff.raw(USER_COMMENT)
    charset, text = raw[:8], raw[8:]
    if charset == b"UNICODE\0":
        # Neither standard nor programs agree on the order of bytes; zeros stand in the high one.
        big = text[::2].count(0) >= text[1::2].count(0)
        return text.decode("utf-16-be" if big else "utf-16-le", "replace").strip("\0 ")
    if charset in _CHARSETS:
        return text.decode(_CHARSETS[charset], "replace").strip("\0 ")
    return raw.decode("utf-8", "replace").strip("\0 ")


def names_camera(tiff: Tiff) -> bool:
    """Whether a maker or model is named that could be a camera's."""
    return bool(_camera_name(tiff))


def camera(name: str, where: str) -> Finding:
    """A camera that is named."""
    return Finding(
        "camera", "Make, Model", name, where,
        "The file says that this camera or telephone took it. Software keeps that through every "
        "edit, and anyone can write it.",
    )  # fmt: skip


def place_told(field: str, value: str | None, where: str) -> Finding:
    """A place that is told; ``None`` where it is not to be shown."""
    return Finding(
        "place", field, "present, not shown" if value is None else value, where,
        "The file says where it was taken. Before you pass the file on, consider whom that gives "
        "away. Anyone can write it.",
    )  # fmt: skip


def _camera_name(tiff: Tiff) -> str:
    make, model = tiff.text(MAKE), tiff.text(MODEL)
    if "{" in make + model or len(make + model) > 120:  # a graph of ComfyUI, and no camera
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
    return [place_told("GPSLatitude, GPSLongitude", value, _WHERE)]


def _degrees(tiff: Tiff, reference: int, value: int) -> float | None:
    parts, side = tiff.gps.get(value), tiff.gps.get(reference)
    if not isinstance(parts, tuple) or len(parts) < 3:
        return None
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    return -degrees if isinstance(side, str) and side[:1] in ("S", "W") else degrees
