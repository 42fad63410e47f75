"""What an audit says: findings with examples, cues with their figures, and all of it as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from mesoscope.errors import ReportError
from mesoscope.types.schema import VERSIONS, refuse_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.data.audit.facts import Facts
    from mesoscope.types import Json

Severity = Literal["severe", "warning", "note"]
Action = Literal["", "drop", "encode"]
SEVERITIES: tuple[Severity, ...] = ("severe", "warning", "note")  # the worst first


@dataclass(frozen=True, slots=True)
class Example:
    """One picture that shows a finding.

    Attributes:
        path: Of the picture, as the audited samples name it: relative to the data set's folder
            where it lies below, with ``/`` between.
        label: 1 = fake, 0 = real.
        source: The set that it comes from.
        split: ``train``, ``validation`` or ``test``.
        says: What to see in it, in a few words.
        side_by_side: Examples of one number are to be looked at together; from 0.
    """

    path: str
    label: int
    source: str
    split: str
    says: str
    side_by_side: int = 0

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape."""
        return {
            "path": self.path,
            "label": self.label,
            "source": self.source,
            "split": self.split,
            "says": self.says,
            "side_by_side": self.side_by_side,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Example:
        """The way back."""
        return cls(**_known(cls, data))


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing that is wrong with a data set, or worth knowing.

    Attributes:
        kind: A stable code, such as ``cue.format`` or ``repeats.across_splits``.
        severity: ``severe``, ``warning`` or ``note``, by the rules in
            :mod:`mesoscope.data.audit.severity`.
        title: One line with the plain figure.
        detail: What it means and how it was measured, a few sentences.
        fix: What to do, in a sentence; what ``fix`` does where ``action`` is not empty.
        count: How many pictures it touches.
        scope: The source that it was found in; empty for the whole set.
        action: What ``fix`` can do: ``drop`` the pictures of ``drop``, ``encode`` all anew in one
            format, size and quality, or nothing.
        drop: Paths that ``fix`` leaves out, named as in :class:`Example`.
        examples: A few pictures.
    """

    kind: str
    severity: Severity
    title: str
    detail: str
    fix: str
    count: int
    scope: str = ""
    action: Action = ""
    drop: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "title": self.title,
            "detail": self.detail,
            "fix": self.fix,
            "count": self.count,
            "scope": self.scope,
            "action": self.action,
            "drop": list(self.drop),
            "examples": [example.to_dict() for example in self.examples],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AuditFinding:
        """The way back."""
        known = _known(cls, data)
        known["drop"] = tuple(data["drop"])
        known["examples"] = tuple(Example.from_dict(one) for one in data["examples"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Value:
    """How often a fact has one value, or lies in one range, in each class."""

    value: str
    real: int
    fake: int


@dataclass(frozen=True, slots=True)
class Cue:
    """How well one fact of the files alone tells real from fake.

    Attributes:
        name: A stable code, such as ``format``.
        title: In words, such as ``file format``.
        scope: The source that it was measured in; empty for the whole set.
        auc: Area under the ROC curve, cross-fitted by group, so that .5 is chance whatever the
            direction.
        low: Lower end of its 95 % interval, by bootstrap over groups.
        high: Upper end.
        real: How many real pictures have the fact.
        fake: How many fakes.
        values: Its commonest values, or ranges from small to large.
    """

    name: str
    title: str
    scope: str
    auc: float
    low: float
    high: float
    real: int
    fake: int
    values: tuple[Value, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape."""
        return {
            "name": self.name,
            "title": self.title,
            "scope": self.scope,
            "auc": _rounded(self.auc),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "real": self.real,
            "fake": self.fake,
            "values": [{"value": v.value, "real": v.real, "fake": v.fake} for v in self.values],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cue:
        """The way back."""
        known = _known(cls, data)
        known |= {name: _number(data[name]) for name in ("auc", "low", "high")}
        known["values"] = tuple(Value(**_known(Value, one)) for one in data["values"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Together:
    """How well all facts of the files together tell real from fake.

    Attributes:
        scope: The source that it was measured in; empty for the whole set.
        auc: Of a gradient-boosted model, cross-fitted by group.
        low: Lower end of its 95 % interval, by bootstrap over groups.
        high: Upper end.
        accuracy: Balanced: the mean of both classes' shares told rightly. ".99" is "99 % of this
            set can be told without looking at a face".
        pictures: How many it was measured on.
        uses: Names of cues and by how much the AUC falls when one is shuffled, the largest first.
    """

    scope: str
    auc: float
    low: float
    high: float
    accuracy: float
    pictures: int
    uses: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape."""
        return {
            "scope": self.scope,
            "auc": _rounded(self.auc),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "accuracy": _rounded(self.accuracy),
            "pictures": self.pictures,
            "uses": [[name, round(fall, 4)] for name, fall in self.uses],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Together:
        """The way back."""
        known = _known(cls, data)
        known |= {name: _number(data[name]) for name in ("auc", "low", "high", "accuracy")}
        known["uses"] = tuple((str(name), float(fall)) for name, fall in data["uses"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Part:
    """How many pictures one split of one source holds."""

    source: str
    split: str
    real: int
    fake: int


@dataclass(frozen=True, slots=True)
class Audit:
    """All that an audit found.

    Attributes:
        root: The data set's folder, as given; empty where samples were given.
        pictures: How many pictures it holds.
        groups: How many groups they form.
        parts: Counts by source and split.
        findings: The worst first.
        cues: All that were measured, whether a finding or not: the strongest first.
        together: All cues in one model: for the whole set, then for each source.
        not_done: What was not looked at and why, a sentence each.
        seconds: How long each part took.
        facts: What was read of each picture; not in the JSON, ``None`` on the way back.
    """

    root: str
    pictures: int
    groups: int
    parts: tuple[Part, ...]
    findings: tuple[AuditFinding, ...]
    cues: tuple[Cue, ...] = ()
    together: tuple[Together, ...] = ()
    not_done: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    facts: Facts | None = field(default=None, repr=False, compare=False)

    @property
    def worst(self) -> Severity | None:
        """The worst severity among the findings; ``None`` without any."""
        found = {finding.severity for finding in self.findings}
        return next((severity for severity in SEVERITIES if severity in found), None)

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape."""
        return {
            "shape": VERSIONS["audit"][-1],
            "root": self.root,
            "pictures": self.pictures,
            "groups": self.groups,
            "parts": [
                {"source": p.source, "split": p.split, "real": p.real, "fake": p.fake}
                for p in self.parts
            ],
            "findings": [finding.to_dict() for finding in self.findings],
            "cues": [cue.to_dict() for cue in self.cues],
            "together": [one.to_dict() for one in self.together],
            "not_done": list(self.not_done),
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Audit:
        """The way back.

        Raises:
            ReportError: It is no audit, or one of a later shape.
        """
        try:
            refuse_version("audit", data["shape"], ReportError, where="an audit of shape")
            return cls(
                root=data["root"],
                pictures=data["pictures"],
                groups=data["groups"],
                parts=tuple(Part(**_known(Part, one)) for one in data["parts"]),
                findings=tuple(AuditFinding.from_dict(one) for one in data["findings"]),
                cues=tuple(Cue.from_dict(one) for one in data["cues"]),
                together=tuple(Together.from_dict(one) for one in data["together"]),
                not_done=tuple(data["not_done"]),
                seconds=dict(data["seconds"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ReportError(f"not an audit in JSON ({error!r}): audit again") from error


def _known(cls: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are fields of the class: a later version may write more."""
    return {one.name: data[one.name] for one in fields(cls) if one.name in data}


def _rounded(value: float) -> float | None:
    """JSON knows no ``nan``: what is not known is null."""
    return None if math.isnan(value) else round(value, 4)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
