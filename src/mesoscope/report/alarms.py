"""What a threshold's alarms are worth, in the shapes of ``metrics.json``, page and terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.metrics import Alarms, Rate
    from mesoscope.types import Json

NAMES = {"label": "label fake", "card": "card's threshold", "here": "chosen on this data"}


class TrueShare(NamedTuple):
    """How many alarms are true where so many faces are forged.

    Attributes:
        prevalence: Share of all faces that are forged.
        share: Of the alarms that are true.
        interval: 95 %, by the intervals of both rates.
    """

    prevalence: float
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class AlarmReport:
    """One threshold on the evaluated faces.

    Attributes:
        name: ``label`` = the threshold of the label fake; ``card`` = the card's for the wanted
            false-positive rate; ``here`` = the one that gives that rate on the evaluated faces.
        fpr: The wanted rate; ``None`` for ``label``.
        alarms: What was counted; ``None`` where there is no such threshold.
        true_shares: One a prevalence that was asked about.
        by_source: The same count for each source.
        missing: Why there is no threshold.
    """

    name: str
    fpr: float | None = None
    alarms: Alarms | None = None
    true_shares: tuple[TrueShare, ...] = ()
    by_source: Mapping[str, Alarms] = field(default_factory=dict)
    missing: str = ""

    @property
    def title(self) -> str:
        """For people."""
        return NAMES[self.name] if self.fpr is None else f"{NAMES[self.name]}, FPR {self.fpr:g}"

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape."""
        found: dict[str, Json] = {"name": self.name, "wanted_fpr": self.fpr}
        if self.alarms is None:
            return {**found, "threshold": None, "missing": self.missing}
        by_source: dict[str, Json] = {
            name: {"fpr": _number(one.false.share), "tpr": _number(one.found.share)}
            for name, one in self.by_source.items()
        }
        shares: list[Json] = [
            {
                "prevalence": one.prevalence,
                "share": _number(one.share),
                "interval": _pair(one.interval),
            }
            for one in self.true_shares
        ]
        return {
            **found,
            "threshold": _number(self.alarms.threshold),
            **_rate("fpr", self.alarms.false),
            **_rate("tpr", self.alarms.found),
            "true_alarms": shares,
            "by_source": by_source,
        }


def alarm_rows(reports: tuple[AlarmReport, ...]) -> tuple[list[list[str]], list[str]]:
    """The reports as a table of text, its first row the heads, and what is missing from it."""
    prevalences = [one.prevalence for one in reports[0].true_shares] if reports else []
    rows = [["threshold", "p_fake from", "false-positive rate", "detection rate"]]
    rows[0] += [f"true alarms at {prevalence:g}" for prevalence in prevalences]
    rows += [
        [
            one.title,
            f"{one.alarms.threshold:.4f}",
            _shown(one.alarms.false.share, one.alarms.false.interval()),
            _shown(one.alarms.found.share, one.alarms.found.interval()),
            *(_shown(share.share, share.interval) for share in one.true_shares),
        ]
        for one in reports
        if one.alarms is not None
    ]
    return rows, [f"{one.title}: {one.missing}" for one in reports if one.missing]


def _shown(value: float, interval: tuple[float, float]) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def _rate(name: str, rate: Rate) -> dict[str, Json]:
    classes = {"fpr": ("n_real", "false_alarms"), "tpr": ("n_fake", "detections")}[name]
    return {
        classes[0]: rate.n,
        classes[1]: rate.hits,
        name: _number(rate.share),
        f"{name}_interval": _pair(rate.interval()) if rate.n else None,
    }


def _pair(interval: tuple[float, float]) -> Json:
    return None if math.isnan(interval[0]) else [_number(value) for value in interval]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
