"""The metadata of a file, extracted from its container, within bounds."""

from __future__ import annotations

from dataclasses import dataclass, field

from mesoscope.media.provenance.finding import Finding

LARGEST_TEXT = 1 << 20  # bytes per text; longer texts are cut
MOST_TEXTS = 500
MOST_UNPACKED = 32 << 20  # decompressed bytes in total
_MOST_CHARACTERS = 8 << 20  # characters of all texts in total
_MOST_DAMAGED = 50
_MOST_BLOCKS = 32  # per kind of metadata
_MOST_METADATA = 32 << 20  # bytes of all blocks in total


@dataclass(frozen=True, slots=True)
class Text:
    """A named text; ``where`` as in a finding, and ``key`` as in the file."""

    where: str
    key: str
    value: str


@dataclass(slots=True)
class JpegFacts:
    """The encoding of a JPEG.

    Attributes:
        width: Width of the stored picture in pixels.
        height: Height of the stored picture in pixels.
        progressive: Whether the frame is progressive (ITU T.81, SOF2 and others).
        sampling: ``(horizontal, vertical)`` sampling factors per component.
        table_of: Number of the quantisation table per component.
        tables: Quantisation tables by number, 64 values each, in zigzag order.
        order: Names of the application segments in file order, such as ``JFIF``, ``Exif``.
        comments: Texts of the comment segments.
        trailing: Number of bytes after the end of the picture, without zeros at the end.
        appended: The first of these bytes.
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
    """Raw metadata of a file.

    Attributes:
        kind: Format of the file, such as ``jpeg``.
        size: ``(width, height)`` of the stored picture in pixels; ``None`` if unknown.
        exif: EXIF blocks, each a TIFF structure.
        xmp: XMP packets.
        resources: Photoshop's image resource blocks.
        iptc: IPTC records outside of these.
        texts: Named texts.
        c2pa: Location of a C2PA manifest, such as ``JPEG APP11``; ``None`` without one.
        jpeg: Encoding of a JPEG.
        times: Names and times of the container, in seconds since 1970 (UTC).
        further: Further contents, as (where, what), such as ``a gain map``.
        findings: Findings of the parsers, such as damaged parts.
        unpacked_left: Remaining bytes that may be decompressed.
        characters_left: Remaining characters of texts.
        metadata_left: Remaining bytes of metadata blocks.
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
        """Add a block of EXIF, XMP, IPTC or Photoshop's resources, within bounds."""
        if len(into) < _MOST_BLOCKS and len(block) <= self.metadata_left:
            self.metadata_left -= len(block)
            into.append(block)
        else:
            self.left_out("metadata", f"more than {_MOST_BLOCKS} blocks or 32 MB of metadata")

    def left_out(self, field: str, what: str) -> None:
        """Add a finding, once, that something was not read."""
        finding = left_out(field, what)
        if finding not in self.findings:
            self.findings.append(finding)

    def add_text(self, where: str, key: str, value: str) -> None:
        """Add a text, within bounds."""
        value = value[: min(LARGEST_TEXT, self.characters_left)]
        if len(self.texts) >= MOST_TEXTS or not self.characters_left:
            self.left_out("texts", f"more than {MOST_TEXTS} texts, or eight million characters")
        elif value.strip():
            self.characters_left -= len(value)
            self.texts.append(Text(where, key, value))

    def damaged(self, where: str, field: str, why: str) -> None:
        """Add a finding about a damaged part, within bounds."""
        if len(self.findings) < _MOST_DAMAGED:
            self.findings.append(damaged(where, field, why))


def left_out(field: str, what: str) -> Finding:
    """Return the finding that not all metadata were read."""
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
    """Return the finding about a damaged part."""
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
    """Decode bytes as UTF-8, or else as Latin-1."""
    raw = raw[:LARGEST_TEXT].rstrip(b"\0")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
