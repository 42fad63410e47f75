"""Findings of XMP, IPTC and Photoshop's resources: edits, origins, source type, credit."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mesoscope.media.provenance.finding import Finding
from mesoscope.media.provenance.parts import Text, damaged, decode_text
from mesoscope.media.provenance.software import names_generator, program, source_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.media.provenance.xmp import Value, Xmp


IPTC, THUMBNAIL, QUALITY, VERSION = 0x0404, 0x040C, 0x0406, 0x0421
THUMBNAIL_HEADER = 28  # bytes before the preview's JPEG
_MOST = 2000
_CHARSET, _UTF8 = (1, 90), b"\x1b%G"


def read_resources(data: bytes) -> tuple[dict[int, bytes], bool]:
    """Parse Photoshop's image resource blocks.

    Returns:
        The blocks by number, and whether they are complete.
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
    """Parse IPTC records; repeated values are joined by commas.

    Returns:
        Values by record and data set, and whether the records are complete.
    """
    raw: dict[tuple[int, int], list[bytes]] = {}
    at, complete = 0, True
    while at + 5 <= len(data) and len(raw) < _MOST:
        if data[at] != 0x1C:
            complete = not data[at:].strip(b"\0")  # padding at the end is valid
            break
        key, length = (data[at + 1], data[at + 2]), int.from_bytes(data[at + 3 : at + 5], "big")
        body = data[at + 5 : at + 5 + length]
        if length & 0x8000 or len(body) != length:
            complete = False
            break
        raw.setdefault(key, []).append(body)
        at += 5 + length
    utf8 = raw.get(_CHARSET, [b""])[0] == _UTF8
    return {
        key: ", ".join(_text(value, utf8=utf8) for value in values) for key, values in raw.items()
    }, complete


def _text(raw: bytes, *, utf8: bool) -> str:
    return raw.decode("utf-8", "replace") if utf8 else decode_text(raw)


def writer(block: bytes) -> str:
    """Read the program's name in the version block: a version, a flag, and a name in UTF-16."""
    count = int.from_bytes(block[5:9], "big")
    return block[9 : 9 + 2 * min(count, 200)].decode("utf-16-be", "replace").rstrip("\0")


_XMP, _IPTC, _RESOURCES = "XMP", "IPTC", "Photoshop resources"
_SOURCE_TYPES = ("Iptc4xmpExt:DigitalSourceType", "Iptc4xmpExt:DigitalSourcetype")
# Of IPTC Photo Metadata 2025.1, without the name of the prompt's author.
_AI_FIELDS = (
    "Iptc4xmpExt:AISystemUsed",
    "Iptc4xmpExt:AISystemVersionUsed",
    "Iptc4xmpExt:AIPromptInformation",
)
_CREDITS = ("photoshop:Credit", "dc:rights", "photoshop:Source")
_PROGRAM, _VERSION, _CREDIT, _INSTRUCTIONS = (2, 65), (2, 70), (2, 110), (2, 40)
_CREDITED = (
    "A line that names a generative AI as the origin, as such services write it. A line of text "
    "can be written into any file, and is easily removed."
)


def xmp(packet: Xmp) -> list[Finding]:
    """Return the findings of an XMP packet, except times."""
    found = [] if packet.fault is None else [damaged(_XMP, "packet", packet.fault)]
    found += [
        source_type(packet.text(name), name, _XMP) for name in _SOURCE_TYPES if packet.text(name)
    ]
    for name in _AI_FIELDS:
        if packet.text(name):
            says = "IPTC's field for what a generative AI was used with. It says that one was used."
            found.append(Finding("generator", name, packet.text(name), _XMP, says, "strong"))
    found += [
        Finding("generator", name, packet.text(name), _XMP, _CREDITED, "strong")
        for name in _CREDITS
        if names_generator(packet.text(name))
    ]
    found += [
        program(packet.text(name), name, _XMP)
        for name in ("xmp:CreatorTool", "tiff:Software")
        if packet.text(name)
    ]
    if "exiftool" in packet.toolkit.lower():
        found.append(program(packet.toolkit, "x:xmptk", _XMP))
    found += _history(packet)
    found += _origins(packet)
    found += _developed(packet)
    return found


def texts(packet: Xmp) -> list[Text]:
    """Return the texts in which generators write their settings."""
    names = ("exif:UserComment", "dc:description")
    return [Text(_XMP, name, packet.text(name)) for name in names if packet.text(name)]


def _history(packet: Xmp) -> list[Finding]:
    steps = [step for step in packet.items("xmpMM:History") if isinstance(step, dict)]
    found = []
    if steps:
        found.append(
            Finding(
                "history", "xmpMM:History", _steps(steps), _XMP,
                "Programs of Adobe and others log each save and conversion here, not what was "
                "changed in between. The log is lost when metadata are removed.",
                "hint",
            )
        )  # fmt: skip
    if packet.text("photoshop:History"):
        found.append(
            Finding(
                "history", "photoshop:History", packet.text("photoshop:History"), _XMP,
                "Photoshop's own log of edits, which its user had switched on.",
                "hint",
            )
        )  # fmt: skip
    return found


def _steps(steps: list[dict[str, Value]]) -> str:
    """Summarise a log in one line: number of steps, actions, times and programs."""

    def values(name: str) -> list[str]:
        return [value for step in steps if isinstance(value := step.get(name), str) and value]

    actions = values("stEvt:action")
    counts = [f"{count} × {action}" for action, count in Counter(actions).items()]
    when = sorted(values("stEvt:when"))
    parts = [f"{len(steps)} step{'' if len(steps) == 1 else 's'}: {', '.join(counts[:8])}"]
    if when:
        parts.append(when[0] if when[0] == when[-1] else f"{when[0]} to {when[-1]}")
    if tools := list(dict.fromkeys(values("stEvt:softwareAgent"))):
        parts.append("by " + ", ".join(tools[:4]))
    return "; ".join(parts)


def _origins(packet: Xmp) -> list[Finding]:
    found = []
    ancestors = len(packet.items("photoshop:DocumentAncestors"))
    ancestors += len(packet.items("xmpMM:Ingredients"))
    if ancestors:
        found.append(
            Finding(
                "history", "photoshop:DocumentAncestors, xmpMM:Ingredients",
                f"{ancestors} other document{'' if ancestors == 1 else 's'}", _XMP,
                "Content of other documents was pasted or placed into this one. Which, and whether "
                "it still shows, is not told.",
                "hint",
            )
        )  # fmt: skip
    if packet.items("photoshop:TextLayers"):
        found.append(
            Finding(
                "history", "photoshop:TextLayers",
                ", ".join(_layer(layer) for layer in packet.items("photoshop:TextLayers")), _XMP,
                "Text was laid over the picture.",
                "hint",
            )
        )  # fmt: skip
    document, original = packet.text("xmpMM:DocumentID"), packet.text("xmpMM:OriginalDocumentID")
    if packet.items("xmpMM:DerivedFrom") or (document and original and document != original):
        found.append(
            Finding(
                "history", "xmpMM:DerivedFrom", original or "another document", _XMP,
                "This file was made from another one, as by a conversion or by saving under "
                "another name.",
            )
        )  # fmt: skip
    if packet.text("dcterms:provenance"):
        found.append(
            Finding(
                "credentials", "dcterms:provenance", packet.text("dcterms:provenance"), _XMP,
                "The file says that a C2PA manifest about it is kept at this address. It was not "
                "fetched: mesoscope asks nobody about your files.",
                "hint",
            )
        )  # fmt: skip
    return found


def _layer(layer: Value) -> str:
    if isinstance(layer, dict):
        text = layer.get("photoshop:LayerText") or layer.get("photoshop:LayerName")
        return f'"{text}"' if isinstance(text, str) else "a layer"
    return f'"{layer}"'


def _developed(packet: Xmp) -> list[Finding]:
    """Return the finding about edits in Camera Raw and Lightroom."""
    done = []
    if packet.text("crs:HasCrop").lower() == "true":
        done.append("cropped")
    if packet.items("crs:RetouchAreas") or packet.items("crs:RetouchInfo"):
        done.append("places healed or cloned")
    if packet.items("crs:MaskGroupBasedCorrections") or packet.items("crs:PaintBasedCorrections"):
        done.append("parts changed with a mask or brush")
    if not done:
        return []
    return [
        Finding(
            "history", "crs", ", ".join(done), _XMP,
            "Settings of Camera Raw or Lightroom. Photographers do such things to most pictures.",
            "hint" if len(done) > 1 or done != ["cropped"] else "note",
        )
    ]  # fmt: skip


def iptc(records: Mapping[tuple[int, int], str]) -> list[Finding]:
    """Return the findings of IPTC-IIM records."""
    found = []
    if records.get(_PROGRAM):
        name = f"{records[_PROGRAM]} {records.get(_VERSION, '')}".strip()
        found.append(program(name, "2:65 Originating Program", _IPTC))
    if names_generator(records.get(_CREDIT, "")):
        found.append(
            Finding("generator", "2:110 Credit", records[_CREDIT], _IPTC, _CREDITED, "strong")
        )
    if records.get(_INSTRUCTIONS, "").startswith("FBMD"):
        found.append(
            Finding(
                "metadata", "2:40 Special Instructions", records[_INSTRUCTIONS], _IPTC,
                "A mark that Facebook and Instagram write into pictures which they serve. They "
                "encode pictures anew and drop other metadata, so what came before is lost.",
                "hint",
            )
        )  # fmt: skip
    return found


def resources(blocks: Mapping[int, bytes]) -> list[Finding]:
    """Return the findings of Photoshop's image resources."""
    found = []
    if VERSION in blocks:
        name = writer(blocks[VERSION])
        if name:
            found.append(program(name, "Version Info", _RESOURCES))
    block = blocks.get(QUALITY, b"")
    if len(block) >= 2:
        level = int.from_bytes(block[:2], "big", signed=True) + 4
        if 0 <= level <= 12:
            found.append(
                Finding(
                    "software", "JPEG Quality", f"{level} of 12", _RESOURCES,
                    "The quality that Photoshop saved with: the file was written by it.",
                    "hint",
                )
            )  # fmt: skip
    return found
