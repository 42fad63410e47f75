"""Reading of a file's provenance: detection of the format, parsing and findings."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

from mesoscope.errors import OptionError, SourceError, SourceUnsupported
from mesoscope.media.chunks import Bounded, SpentError, Window
from mesoscope.media.image import open_file
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.media.provenance import exif, history, times
from mesoscope.media.provenance.box_parts import read_boxes
from mesoscope.media.provenance.chunk_parts import read_ebml, read_gif, read_png, read_riff
from mesoscope.media.provenance.credentials import credentials
from mesoscope.media.provenance.encoding import encoding
from mesoscope.media.provenance.exif import Tiff, read_tiff
from mesoscope.media.provenance.finding import WEIGHTS, Finding, Provenance
from mesoscope.media.provenance.further import further, thumbnail
from mesoscope.media.provenance.jpeg_parts import read_jpeg
from mesoscope.media.provenance.parts import Parts, Text, damaged
from mesoscope.media.provenance.software import generators
from mesoscope.media.provenance.xmp import read_xmp

_XMP_TAG, _IPTC_TAG, _RESOURCES_TAG, _C2PA_TAG = 0x02BC, 0x83BB, 0x8649, 0xCD41  # of a TIFF file
_BOXES = {"avif": "AVIF", "heif": "HEIF", "video": "MP4"}
_NOT_OF_ORIGIN = ("encoding", "damaged")
MOST_AT_ONCE = 64 << 20  # bytes of a JPEG or GIF; photographs have up to 40 million
_MOST_SIGNED = 1 << 30  # bytes of a file whose signature is validated, as the file is hashed
_MOST_PREVIEWS = 4  # each is compared with the picture
_EBML = b"\x1aE\xdf\xa3"
_JPEG_XL = b"\0\0\0\x0cJXL "


def read_provenance(
    source: str | os.PathLike[str] | bytes,
    *,
    place: bool = False,
    trust_anchors: str | None = None,
) -> Provenance:
    """Read the metadata, Content Credentials and encoding of a picture or clip.

    There is no network access, and the result is no score. Metadata are easily removed and forged,
    so their absence means nothing.

    Args:
        source: A path, or the bytes of a file.
        place: Whether to include coordinates; otherwise only their presence is reported.
        trust_anchors: Root certificates in PEM of trusted C2PA signers.

    Returns:
        The findings, strong ones first.

    Raises:
        SourceMissing: The file does not exist.
        SourceUnsupported: The format is not supported.
        SourceError: The file is empty, cannot be opened, or is neither picture nor clip.
        OptionError: The source is neither a path nor bytes, or ``trust_anchors`` are not
            certificates.
    """
    if not isinstance(source, str | bytes | os.PathLike):
        raise OptionError(f"cannot read a {type(source).__name__}: give a path or a file's bytes")
    name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
    with io.BytesIO(source) if isinstance(source, bytes) else open_file(source) as file:
        parts, data = _parse(file, name)
        findings = _findings(parts, data, place=place)
        if parts.c2pa is not None:
            large = file.seek(0, io.SEEK_END) > _MOST_SIGNED
            file.seek(0)
            findings += (
                [_too_large(parts.c2pa)]
                if large
                else credentials(file, parts.kind, parts.c2pa, trust_anchors=trust_anchors)
            )
    if all(finding.kind in _NOT_OF_ORIGIN for finding in findings):
        findings.append(_nothing(parts))
    # Remove equal findings of several fields.
    unique: dict[tuple[str, ...], Finding] = {}
    for found in findings:
        unique.setdefault((found.kind, found.value, found.where, found.meaning), found)
    ordered = sorted(unique.values(), key=lambda finding: WEIGHTS.index(finding.weight))
    return Provenance(name, parts.kind, tuple(ordered))


def _kind(head: bytes, name: str) -> str:
    if not head:
        raise SourceError(f"{name}: the file is empty: fetch it again")
    kind = "jxl" if head.startswith(_JPEG_XL) else sniff(head)
    if kind is None:
        raise SourceError(f"{name}: neither a picture nor a clip, whatever its name says")
    if kind == "other":
        raise SourceUnsupported(
            f"{name}: a kind of picture that is not taken apart: convert it, and look at its "
            "metadata with another program first, as converting may lose them"
        )
    return kind


def _parse(file: BinaryIO, name: str) -> tuple[Parts, bytes]:
    """Return the metadata, and the bytes of a JPEG or GIF; other formats are read by seeking."""
    head = file.read(SNIFF_BYTES) or b""
    parts = Parts(_kind(head, name))
    try:
        return _walk(Bounded(file), head, parts)  # type: ignore[arg-type]
    except SpentError as error:
        parts.left_out("file", str(error))
        return parts, b""


def _walk(file: BinaryIO, head: bytes, parts: Parts) -> tuple[Parts, bytes]:
    kind = parts.kind
    has_boxes = head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
    if kind in ("avif", "heif", "jxl") or (kind == "video" and has_boxes):
        where = "MOV" if head[8:12] == b"qt  " else _BOXES.get(kind, "JPEG XL")
        read_boxes(file, parts, where)
        return parts, b""
    if head.startswith(_EBML):
        read_ebml(file, parts)
        return parts, b""
    if head.startswith(b"RIFF"):  # WebP or AVI
        read_riff(file, parts)
        return parts, b""
    if kind == "video":
        parts.findings.append(_OTHER_CLIP)
        return parts, b""
    if kind == "png":
        read_png(file, parts)
        return parts, b""
    if kind == "tiff":
        _tiff_file(Window(file), parts)  # type: ignore[arg-type]
        return parts, b""
    data = head + file.read(MOST_AT_ONCE - len(head))
    if kind == "jpeg":
        read_jpeg(data, parts)
    elif kind == "gif":
        read_gif(data, parts)
    if file.read(1):
        parts.left_out(kind.upper(), f"only its first {MOST_AT_ONCE >> 20} MB")
    return parts, data


def _tiff_file(data: bytes, parts: Parts) -> None:
    """Read a TIFF file: its directories are those of EXIF, and other metadata are tags."""
    parts.exif.append(data)
    tiff = read_tiff(data)
    for tag, into in (
        (_XMP_TAG, parts.xmp),
        (_IPTC_TAG, parts.iptc),
        (_RESOURCES_TAG, parts.resources),
    ):
        if tiff.raw(tag):
            parts.add_block(into, tiff.raw(tag))
    if _C2PA_TAG in tiff.main:
        parts.c2pa = "TIFF tag"


def _findings(parts: Parts, data: bytes, *, place: bool) -> list[Finding]:
    """Return all findings except those of Content Credentials."""
    found = parts.findings
    texts = list(parts.texts)
    if parts.jpeg is not None:
        texts += [Text("JPEG", "comment", comment) for comment in parts.jpeg.comments[:3]]
    moments = times.container_moments(parts.times, _BOXES.get(parts.kind, "file"))
    blocks: list[Tiff] = []
    for raw in parts.exif:
        try:
            tiff = read_tiff(raw)
        except SpentError as error:
            parts.left_out("TIFF", str(error))
            continue
        blocks.append(tiff)
        size = parts.size if parts.kind != "tiff" else None
        found += exif.exif(tiff, size=size, place=place)
        moments += times.exif_moments(tiff)
        texts += exif.texts(tiff)
    packets = [read_xmp(raw) for raw in parts.xmp]
    found += further(parts, packets)
    for packet in packets:
        found += history.xmp(packet)
        if packet.text("exif:GPSLatitude"):
            spot = f"{packet.text('exif:GPSLatitude')}, {packet.text('exif:GPSLongitude')}"
            found.append(exif.location("exif:GPSLatitude", spot if place else None, "XMP"))
        moments += times.xmp_moments(packet)
        texts += history.texts(packet)
    found += _older(parts)
    found += generators(texts)
    found += _tags(parts.texts, place=place)
    found += times.times(moments)
    if parts.jpeg is not None:
        found += encoding(parts.jpeg, has_camera=any(map(exif.names_camera, blocks)))
        found += _previews(parts, blocks, data)
    return found


def _older(parts: Parts) -> list[Finding]:
    """Return the findings of IPTC-IIM records and Photoshop's resources."""
    found = []
    records = list(parts.iptc)
    for raw in parts.resources:
        blocks, complete = history.read_resources(raw)
        if not complete:
            found.append(damaged("Photoshop resources", "blocks", "they end before they should"))
        found += history.resources(blocks)
        records += [blocks[history.IPTC]] if history.IPTC in blocks else []
    for raw in records:
        record, complete = history.read_iptc(raw)
        if not complete:
            found.append(damaged("IPTC", "records", "they end before they should"))
        found += history.iptc(record)
    return found


def _tags(texts: list[Text], *, place: bool) -> list[Finding]:
    """Return the findings of a clip's camera and location tags."""
    by_key = {text.key: text for text in texts if text.where in ("MP4", "MOV")}
    found = []
    make, model = by_key.get("Make"), by_key.get("Model")
    if make or model:
        name = " ".join(tag.value for tag in (make, model) if tag)
        found.append(exif.camera(name, (make or model).where))  # type: ignore[union-attr]
    if "Place" in by_key:
        value = by_key["Place"].value if place else None
        found.append(exif.location("location", value, by_key["Place"].where))
    return found


def _previews(parts: Parts, blocks: list[Tiff], data: bytes) -> list[Finding]:
    """Compare the previews of EXIF and Photoshop with the picture."""
    previews = [("EXIF", tiff.thumbnail) for tiff in blocks if tiff.thumbnail]
    for raw in parts.resources:
        block = history.read_resources(raw)[0].get(history.THUMBNAIL, b"")
        if len(block) > history.THUMBNAIL_HEADER:
            previews.append(("Photoshop resources", block[history.THUMBNAIL_HEADER :]))
    if not previews:
        return []
    return [
        finding
        for where, jpeg in previews[:_MOST_PREVIEWS]
        for finding in thumbnail(jpeg, data, parts.size, where)
    ]


def _too_large(place: str) -> Finding:
    return Finding(
        "credentials", "manifest", "present, not checked: the file is larger than 1 GB", place,
        "The file carries Content Credentials: a signed statement of how it was made. To check "
        "them, all of the file has to be hashed: use a program of its own for that, as c2patool.",
        "hint",
    )  # fmt: skip


def _nothing(parts: Parts) -> Finding:
    """Return the finding that the file has no information about its origin."""
    some = any((parts.exif, parts.xmp, parts.iptc, parts.resources, parts.texts))
    return Finding(
        "metadata", "EXIF, XMP, IPTC, C2PA", "nothing of its origin" if some else "none", "file",
        "The file says nothing of its origin. Messengers and social networks remove metadata, "
        "screen shots and many generators write none. It speaks neither for nor against the "
        "picture.",
    )  # fmt: skip


_OTHER_CLIP = Finding(
    "metadata", "container", "not taken apart", "file",
    "Of clips, MP4, MOV, Matroska, WebM and AVI are looked into. What this one carries is not "
    "known.",
)  # fmt: skip
