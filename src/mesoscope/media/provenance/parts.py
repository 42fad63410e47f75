"""The parts of a file that tell of its origin, taken out of whatever container holds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from mesoscope.media.provenance.finding import Finding

LARGEST_TEXT = 1 << 20  # bytes of one text; a longer one is cut
MOST_TEXTS = 500
MOST_UNPACKED = 32 << 20  # bytes of all that is unpacked: little can be packed into little
_MOST_CHARACTERS = 8 << 20  # of all texts together
_MOST_DAMAGED = 50
_MOST_BLOCKS = 32  # of EXIF, and as many of XMP
_MOST_METADATA = 32 << 20  # bytes of all blocks together


@dataclass(frozen=True, slots=True)
class Text:
    """A named text: ``where`` is as in a finding, ``key`` as the file calls it."""

    where: str
    key: str
    value: str


@dataclass(slots=True)
class JpegFacts:
    """How a JPEG was encoded.

    Attributes:
        width: In pixels, of the picture as stored.
        height: The same.
        progressive: Its frame is one of the progressive ones (ITU T.81, SOF2 and others).
        sampling: ``(horizontal, vertical)`` factors, one a component.
        table_of: Which quantisation table each component takes.
        tables: The quantisation tables by number, 64 values each, in zigzag order.
        order: Names of the application segments in the order of the file, as ``JFIF``, ``Exif``.
        comments: Texts of the comment segments.
        trailing: Bytes behind the end of the picture, zeros at the end aside.
        appended: The first of them.
    """

    width: int = 0
    height: int = 0
    progressive: bool = False
    sampling: tuple[tuple[int, int], ...] = ()
    table_of: tuple[int, ...] = ()
    tables: dict[int, tuple[int, ...]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    trailing: int = 0
    appended: bytes = b""


@dataclass(slots=True)
class Parts:
    """What was found in a file, before anything is made of it.

    Attributes:
        kind: The kind of file, as ``jpeg``.
        size: ``(width, height)`` in pixels as stored, where the container's walk met it.
        exif: Blocks of EXIF, each a TIFF structure.
        xmp: XMP packets.
        resources: Photoshop's image resource blocks.
        iptc: Bare IPTC records.
        texts: Named texts.
        c2pa: Where a C2PA manifest lies, as ``JPEG APP11``; ``None`` where there is none.
        jpeg: How it was encoded, of a JPEG.
        times: Names and times in the container, seconds since 1970 in UTC.
        further: What else the file holds, as ``a gain map``, by where it says so.
        findings: What the walk itself found, such as damaged parts.
        unpacked_left: Bytes that may still be unpacked.
        characters_left: Characters of texts that may still be kept.
        metadata_left: Bytes of blocks of metadata that may still be kept.
    """

    kind: str
    size: tuple[int, int] | None = None
    exif: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    resources: list[bytes] = field(default_factory=list)
    iptc: list[bytes] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    c2pa: str | None = None
    jpeg: JpegFacts | None = None
    times: list[tuple[str, float]] = field(default_factory=list)
    further: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unpacked_left: int = MOST_UNPACKED
    characters_left: int = _MOST_CHARACTERS
    metadata_left: int = _MOST_METADATA

    def add_block(self, into: list[bytes], block: bytes) -> None:
        """Keep a block of EXIF, XMP, IPTC or Photoshop's resources, within bounds."""
        if len(into) < _MOST_BLOCKS and len(block) <= self.metadata_left:
            self.metadata_left -= len(block)
            into.append(block)
        else:
            self.left_out("metadata", f"more than {_MOST_BLOCKS} blocks or 32 MB of metadata")

    def left_out(self, field: str, what: str) -> None:
        """Say once that something was not looked at."""
        finding = left_out(field, what)
        if finding not in self.findings:
            self.findings.append(finding)

    def add_text(self, where: str, key: str, value: str) -> None:
        """Keep a text, within bounds."""
        value = value[: min(LARGEST_TEXT, self.characters_left)]
        if len(self.texts) >= MOST_TEXTS or not self.characters_left:
            self.left_out("texts", f"more than {MOST_TEXTS} texts, or eight million characters")
        elif value.strip():
            self.characters_left -= len(value)
            self.texts.append(Text(where, key, value))

    def damaged(self, where: str, field: str, why: str) -> None:
        """Say that a part could not be read."""
        if len(self.findings) < _MOST_DAMAGED:  # a file can be made of nothing but damage
            self.findings.append(damaged(where, field, why))


def left_out(field: str, what: str) -> Finding:
    """That the file holds more than is read, as a finding."""
    return Finding(
        "metadata",
        field,
        f"not all was read: {what}",
        "file",
        "The file holds more than a picture or clip needs to say of itself. What lies behind the "
        "bound was not looked at, so something may be missing here.",
        "hint",
    )


def damaged(where: str, field: str, why: str) -> Finding:
    """A part that could not be read, as a finding."""
    return Finding(
        "damaged",
        field,
        why,
        where,
        "This part is damaged or written in a way of its own, so what it says is not known. "
        "Faulty programs and cut-off copies do that, and so does careless forging.",
        "hint",
    )


def decode_text(raw: bytes) -> str:
    """Bytes as text: UTF-8, or else Latin-1, which knows every byte."""
    raw = raw[:LARGEST_TEXT].rstrip(b"\0")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
