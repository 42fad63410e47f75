"""Results of an audit: findings with examples, cues with figures, and their JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mesoscope.types.schema import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.data.audit.facts import Facts
    from mesoscope.types import Json

Severity = Literal["severe", "warning", "note"]
Action = Literal["", "drop", "encode"]
SEVERITIES: tuple[Severity, ...] = ("severe", "warning", "note")  # the most severe first


@dataclass(frozen=True, slots=True)
class Example:
    """One picture as an example of a finding.

    Attributes:
        path: Path of the picture, as in the audited samples: relative to the data set's folder if
            it lies below, with ``/`` as separator.
        label: 1 = fake, 0 = real.
        source: Source of the picture.
        split: ``train``, ``validation`` or ``test``.
        says: What it shows, in a few words.
        side_by_side: Examples with equal numbers are shown together; from 0.
    """

    path: str
    label: int
    source: str
    split: str
    says: str
    side_by_side: int = 0

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "path": self.path,
            "label": self.label,
            "source": self.source,
            "split": self.split,
            "says": self.says,
            "side_by_side": self.side_by_side,
        }


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One problem of a data set, or one fact worth knowing.

    Attributes:
        kind: A stable code, such as ``cue.format`` or ``repeats.across_splits``.
        severity: ``severe``, ``warning`` or ``note``, by the rules of
            :mod:`mesoscope.data.audit.severity`.
        title: One line with the main figure.
        detail: Meaning and method, in a few sentences.
        fix: Recommended action, in a sentence; what ``fix`` does if ``action`` is not empty.
        count: Number of affected pictures.
        scope: Source of the pictures; empty for the whole set.
        action: What ``fix`` can do: ``drop`` the pictures of ``drop``, ``encode`` all in one
            format, size and quality, or nothing (empty).
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
        """Return the JSON form."""
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


@dataclass(frozen=True, slots=True)
class CueValue:
    """Counts of one value or range of a fact, by class."""

    value: str
    real: int
    fake: int


@dataclass(frozen=True, slots=True)
class Cue:
    """How well one file fact predicts the label.

    Attributes:
        name: A stable code, such as ``format``.
        title: Name for people, such as ``file format``.
        scope: Source of the pictures; empty for the whole set.
        auc: Area under the ROC curve, cross-fitted by group, so that .5 is chance regardless of
            direction.
        low: Lower end of its 95 % interval, by bootstrap over groups.
        high: Upper end of the interval.
        real: Number of reals with the fact.
        fake: Number of fakes with the fact.
        values: The commonest values, or ranges in ascending order.
    """

    name: str
    title: str
    scope: str
    auc: float
    low: float
    high: float
    real: int
    fake: int
    values: tuple[CueValue, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form."""
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


@dataclass(frozen=True, slots=True)
class CombinedCues:
    """How well all file facts together predict the label.

    Attributes:
        scope: Source of the pictures; empty for the whole set.
        auc: AUC of a gradient boosting classifier, cross-fitted by group.
        low: Lower end of its 95 % interval, by bootstrap over groups.
        high: Upper end of the interval.
        accuracy: Balanced accuracy.
        pictures: Number of pictures.
        uses: Names of cues and the fall of the AUC when one is permuted, the largest first.
    """

    scope: str
    auc: float
    low: float
    high: float
    accuracy: float
    pictures: int
    uses: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "scope": self.scope,
            "auc": _rounded(self.auc),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "accuracy": _rounded(self.accuracy),
            "pictures": self.pictures,
            "uses": [[name, round(fall, 4)] for name, fall in self.uses],
        }


@dataclass(frozen=True, slots=True)
class SplitCount:
    """Number of pictures in one split of one source, by class."""

    source: str
    split: str
    real: int
    fake: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of an audit.

    Attributes:
        root: The data set's folder, as given; empty where samples were given.
        pictures: Number of pictures.
        groups: Number of groups.
        parts: Counts by source and split.
        findings: The most severe first.
        cues: All measured cues, with or without a finding: the strongest first.
        together: All facts in one classifier: for the whole set, then for each source.
        not_done: Checks that were not made and why, a sentence each.
        seconds: Duration of each part.
        facts: Facts of each picture; not in the JSON, ``None`` when read from it.
    """

    root: str
    pictures: int
    groups: int
    parts: tuple[SplitCount, ...]
    findings: tuple[AuditFinding, ...]
    cues: tuple[Cue, ...] = ()
    together: tuple[CombinedCues, ...] = ()
    not_done: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    facts: Facts | None = field(default=None, repr=False, compare=False)

    @property
    def worst(self) -> Severity | None:
        """Highest severity among the findings; ``None`` without findings."""
        found = {finding.severity for finding in self.findings}
        return next((severity for severity in SEVERITIES if severity in found), None)

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form."""
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


def _rounded(value: float) -> float | None:
    """JSON has no NaN: missing figures are null."""
    return None if math.isnan(value) else round(value, 4)
