"""An audit in plain words: its headline, its figures as they are shown, who stands where."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_BREAK = "\N{NO-BREAK SPACE}"
_TOLD = 0.55  # below this lower end of the AUC's interval, nothing worth a headline is told
_NEARLY = 0.05  # of AUC
SEVERITY_WORDS = ("severe", "warning", "note")


class Headline(NamedTuple):
    """What an audit comes to.

    Attributes:
        severity: Of the worst finding; ``good`` where there is none worse than a note.
        line: One sentence.
        more: A second one.
    """

    severity: str
    line: str
    more: str


class Column(NamedTuple):
    """The counts of one row of the census."""

    source: str
    split: str
    real: int
    fake: int


def headline(audit: Mapping[str, Any]) -> Headline:
    """Say in two sentences what an audit in JSON comes to."""
    counts = by_severity(audit)
    worst = next((name for name in ("severe", "warning") if counts[name]), "good")
    found = ", ".join(
        plural(counts[name], f"{name} finding" if name == "severe" else name)
        for name in SEVERITY_WORDS
        if counts[name]
    )
    more = f"{found[:1].upper()}{found[1:]}." if found else "Nothing else was found."
    return Headline(worst, _told(audit.get("together", ())), more)


def _told(together: Sequence[Mapping[str, Any]]) -> str:
    whole = next((one for one in together if not one["scope"]), None)
    parts = [one for one in together if one["scope"] and _tells(one)]
    worst = max(parts, key=lambda one: number(one["accuracy"]), default=None)
    if whole is not None and _tells(whole):
        line = (
            f"{percent(whole['accuracy'])} of this set can be told without looking at a face; "
            f"guessing gives 50{_NO_BREAK}%."
        )
        if worst is not None and number(worst["accuracy"]) > number(whole["accuracy"]) + 0.02:
            line += f" In {worst['scope']} it is {percent(worst['accuracy'])}."
        return line
    if worst is not None:
        return (
            f"{percent(worst['accuracy'])} of {worst['scope']} can be told without looking at a "
            f"face; guessing gives 50{_NO_BREAK}%."
        )
    if whole is None:
        return "Whether the files alone tell real from fake could not be measured."
    return (
        "What the files say of themselves does not tell real from fake: "
        f"{percent(whole['accuracy'])} told rightly, and guessing gives 50{_NO_BREAK}%."
    )


def _tells(one: Mapping[str, Any]) -> bool:
    return number(one["low"]) > _TOLD


def by_severity(audit: Mapping[str, Any]) -> dict[str, int]:
    """How many findings there are of each severity, the worst first."""
    return {
        name: sum(finding["severity"] == name for finding in audit["findings"])
        for name in SEVERITY_WORDS
    }


def census(audit: Mapping[str, Any]) -> list[Column]:
    """Counts by source and split, and the sum where there is more than one row."""
    rows = [Column(p["source"], p["split"], p["real"], p["fake"]) for p in audit["parts"]]
    if len(rows) > 1:
        rows.append(Column("all", "", sum(r.real for r in rows), sum(r.fake for r in rows)))
    return rows


def severities(audit: Mapping[str, Any], families: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Which cues a finding stands for, by name and source, and how severe it is.

    Facts of one family are one finding. It speaks for the strongest of them, and for those that
    tell nearly as much.

    Args:
        audit: In JSON.
        families: By the names of cues; a cue that is not there is a family of its own.
    """
    found = {
        (finding["kind"], finding["scope"]): str(finding["severity"])
        for finding in audit["findings"]
    }
    best: dict[tuple[str, str], float] = {}
    for cue in audit["cues"]:
        family = families.get(cue["name"], cue["name"]), cue["scope"]
        best[family] = max(best.get(family, 0.0), number(cue["auc"]))
    named = {}
    for cue in audit["cues"]:
        family = families.get(cue["name"], cue["name"])
        severity = found.get((f"cue.{family}", cue["scope"]), "")
        if severity and number(cue["auc"]) > best[family, cue["scope"]] - _NEARLY:
            named[cue["name"], cue["scope"]] = severity
    return named


def number(value: float | None) -> float:
    """A figure of the JSON; ``nan`` where it is null."""
    return math.nan if value is None else float(value)


def percent(value: float | None) -> str:
    """A share as shown: ``99 %``; never 100 where one is missing."""
    share = number(value)
    if math.isnan(share):
        return "–"
    if 0.995 <= share < 1:
        return f"{min(100 * share, 99.9):.1f}{_NO_BREAK}%"
    return f"{100 * share:.0f}{_NO_BREAK}%"


def area(one: Mapping[str, Any]) -> str:
    """An AUC with its interval: ``.93 [.91, .95]``."""
    value, low, high = (number(one[name]) for name in ("auc", "low", "high"))
    if math.isnan(value):
        return "–"
    return two(value) if math.isnan(low) else f"{two(value)} [{two(low)}, {two(high)}]"


def two(value: float | None) -> str:
    """An AUC as shown, without the nought: ``.93``."""
    shown = number(value)
    if math.isnan(shown):
        return "–"
    return f"{shown:.3f}".lstrip("0") if 0.995 <= shown < 0.9995 else f"{shown:.2f}".lstrip("0")


def plural(count: int, noun: str) -> str:
    """``1 picture``, ``2,000 pictures``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
