"""Findings about a file's provenance: :class:`Finding` and :class:`Provenance`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from mesoscope.errors import OptionError
from mesoscope.types.card import Json
from mesoscope.types.schema import VERSIONS, read, refuse_version

Weight = Literal["strong", "hint", "note"]
FindingKind = Literal[
    "credentials", "generator", "source_type", "history", "software", "camera", "time", "place",
    "thumbnail", "encoding", "metadata", "damaged",
]  # fmt: skip

WEIGHTS: tuple[Weight, ...] = get_args(Weight)
TITLES: dict[FindingKind, str] = {
    "credentials": "Content Credentials (C2PA)",
    "generator": "Generator",
    "source_type": "Digital source type",
    "history": "Edit history",
    "software": "Software",
    "camera": "Camera",
    "time": "Time",
    "place": "Place",
    "thumbnail": "Embedded preview",
    "encoding": "Encoding",
    "metadata": "Metadata",
    "damaged": "Damaged part",
}
LONGEST_VALUE = 400  # characters; prompts and histories can be very long


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement of a file's metadata, or a property of its encoding.

    Attributes:
        kind: Subject, a key of :data:`TITLES`.
        field: Standard name of the field, such as ``Software`` or ``xmpMM:History``.
        value: Value: printable, one line, at most :data:`LONGEST_VALUE` characters.
        where: Part of the file: ``EXIF``, ``XMP``, ``IPTC``, ``PNG text``, ``C2PA``, ``JPEG`` ….
        meaning: Interpretation and its limits, in sentences.
        weight: ``strong`` if the file states explicitly how it was made, or for a validated
            signature; ``hint`` if it is worth a look and may be harmless; ``note`` for plain facts.

    Raises:
        OptionError: The kind or the weight is unknown.
    """

    kind: FindingKind
    field: str
    value: str
    where: str
    meaning: str
    weight: Weight = "note"

    def __post_init__(self) -> None:
        if self.kind not in TITLES:
            raise OptionError(f"a finding's kind must be one of {', '.join(TITLES)}: {self.kind!r}")
        if self.weight not in WEIGHTS:
            raise OptionError(
                f"a finding's weight must be one of {', '.join(WEIGHTS)}: {self.weight!r}"
            )
        # Fields and values are untrusted and are written to terminals and pages.
        object.__setattr__(self, "field", plain(self.field, 80))
        object.__setattr__(self, "value", plain(self.value))

    @property
    def title(self) -> str:
        """Title of the kind."""
        return TITLES[self.kind]

    def to_dict(self) -> dict[str, Json]:
        """Return the finding as JSON values."""
        return dict(asdict(self))


@dataclass(frozen=True, slots=True)
class Provenance:
    """All findings about a file. They do not affect a verdict.

    Attributes:
        source: Path, or ``<bytes>``.
        kind: Detected format, such as ``jpeg``; ``None`` if the file could not be read.
        findings: Strong ones first, then hints, then notes.
        error: ``{"code", "message"}`` if the file could not be read.
    """

    source: str
    kind: str | None
    findings: tuple[Finding, ...] = ()
    error: Mapping[str, str] | None = field(default=None)

    def to_dict(self) -> dict[str, Json]:
        """Return the findings as JSON values, schema 1."""
        return {
            "schema": VERSIONS["provenance"][-1],
            "source": self.source,
            "kind": self.kind,
            "findings": [finding.to_dict() for finding in self.findings],
            "error": None if self.error is None else dict(self.error),
        }

    def to_json(self) -> str:
        """Return one line of JSON in ASCII."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> Provenance:
        """Read the result of :meth:`to_dict`.

        Raises:
            OptionError: The object is not valid, or has an unknown schema.
        """
        if not isinstance(data, dict) or "schema" not in data:
            raise OptionError("not provenance: it is no object with a schema")
        rest = dict(data)
        refuse_version("provenance", rest.pop("schema"), OptionError, where="provenance of schema")
        return read(cls, rest, OptionError, what="not provenance")


def plain(text: str, longest: int = LONGEST_VALUE) -> str:
    """Convert untrusted text to one printable line of limited length.

    Control characters and bidirectional controls become spaces.
    """
    text = text[: 8 * longest]
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
