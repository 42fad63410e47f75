"""What a file holds beside the picture that is shown: clips, gain maps, depth, more pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.media.provenance.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesoscope.media.provenance.parts import Parts
    from mesoscope.media.provenance.xmp import Xmp

_BY_NAME = {
    "GCamera:MotionPhoto": "a motion clip",
    "GCamera:MicroVideo": "a motion clip",
    "hdrgm:Version": "a gain map (HDR)",
    "HDRGainMap:HDRGainMapVersion": "a gain map (HDR)",
    "GDepth:Format": "a depth map",
}
_NOT_SET = ("", "0")
_MEANINGS = {
    "a motion clip": "Telephones record a second or two around a photo and keep them with it. Only "
    "the photo is judged here: save the clip as a file of its own to have it judged.",
    "a gain map (HDR)": "A second picture that says how bright each place is on a bright screen. "
    "Only the picture itself is judged.",
}
_MEANING = "The file holds more than the picture that is shown. Only that one is judged."


def further(parts: Parts, packets: Iterable[Xmp]) -> list[Finding]:
    """Findings about further contents, each once.

    Args:
        parts: Of the file.
        packets: Its XMP packets.
    """
    found = list(parts.further)
    for packet in packets:
        found += [
            ("XMP", what)
            for name, what in _BY_NAME.items()
            if packet.text(name).strip() not in _NOT_SET
        ]
    jpeg = parts.jpeg
    if jpeg is not None:
        if b"ftyp" in jpeg.appended[4:8]:
            found.append(("JPEG", "a motion clip"))
        if "MPF" in jpeg.order:
            found.append(("JPEG", "further pictures (MPO)"))
    held = {what: where for where, what in reversed(found)}
    return [
        Finding("metadata", "further content", what, where, _MEANINGS.get(what, _MEANING))
        for what, where in held.items()
    ]
