"""What a file says of itself, as facts in plain words: :class:`Finding` and :class:`Provenance`."""

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
LONGEST_VALUE = 400  # characters; a prompt or a history can be a book


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a file says of itself, or that its make-up shows. Never a score.

    Attributes:
        kind: What it is about, a key of :data:`TITLES`.
        field: The field as its standard calls it, such as ``Software`` or ``xmpMM:History``.
        value: What stands there: printable, on one line, at most :data:`LONGEST_VALUE` characters.
        where: Where it was read: ``EXIF``, ``XMP``, ``IPTC``, ``PNG text``, ``C2PA``, ``JPEG`` ….
        meaning: What that means, and what it does not, in sentences.
        weight: ``strong`` where the file says in so many words how it was made, or where a
            signature was checked; ``hint`` where something is worth a look and may be harmless;
            ``note`` for plain facts.
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
        # Fields and values come out of files of strangers and go to terminals and pages.
        object.__setattr__(self, "field", plain(self.field, 80))
        object.__setattr__(self, "value", plain(self.value))

    @property
    def title(self) -> str:
        """The kind in words, for a heading."""
        return TITLES[self.kind]

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape."""
        return dict(asdict(self))


@dataclass(frozen=True, slots=True)
class Provenance:
    """All that one file says of itself. It stands beside a verdict and never changes it.

    Attributes:
        source: The path, or ``<bytes>``.
        kind: The kind of file by its content, as ``jpeg``; ``None`` where it could not be read.
        findings: Strong ones first, then hints, then notes.
        error: ``{"code", "message"}`` where the source could not be read.
    """

    source: str
    kind: str | None
    findings: tuple[Finding, ...] = ()
    error: Mapping[str, str] | None = field(default=None)

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape, schema 1."""
        return {
            "schema": VERSIONS["provenance"][-1],
            "source": self.source,
            "kind": self.kind,
            "findings": [finding.to_dict() for finding in self.findings],
            "error": None if self.error is None else dict(self.error),
        }

    def to_json(self) -> str:
        """One line of JSON in plain ASCII."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> Provenance:
        """Read back what :meth:`to_dict` gave.

        Raises:
            OptionError: Not such an object, or of a schema that this version does not know.
        """
        if not isinstance(data, dict) or "schema" not in data:
            raise OptionError("not provenance: it is no object with a schema")
        rest = dict(data)
        refuse_version("provenance", rest.pop("schema"), OptionError, where="provenance of schema")
        return read(cls, rest, OptionError, what="not provenance")


def plain(text: str, longest: int = LONGEST_VALUE) -> str:
    """Text of a file, made safe to show: one line, printable, cut where it is long.

    Control characters and the invisible ones that turn the direction of writing become spaces.
    """
    text = text[: 8 * longest]
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
