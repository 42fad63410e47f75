"""Summarise an audit in words, and write it as one self-contained HTML page."""

from __future__ import annotations

import io
import math
import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup, escape
from PIL import Image

from mesoscope.files.atomic import write_text
from mesoscope.media.image import open_image
from mesoscope.report import data_url, template_environment
from mesoscope.types.label import CLASSES, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesoscope.media.image import Source


_NO_BREAK = "\N{NO-BREAK SPACE}"
_TOLD = 0.55  # lower ends of the AUC's interval below this get no headline
_NEARLY = 0.05  # of AUC
SEVERITY_WORDS = ("severe", "warning", "note")


class Headline(NamedTuple):
    """Summary of an audit.

    Attributes:
        severity: Severity of the worst finding; ``good`` if none is above a note.
        line: First sentence.
        more: Second sentence.
    """

    severity: str
    line: str
    more: str


class AuditColumn(NamedTuple):
    """One row of the table of counts."""

    source: str
    split: str
    real: int
    fake: int


def headline(audit: Mapping[str, Any]) -> Headline:
    """Summarise an audit's JSON in two sentences."""
    counts = by_severity(audit)
    worst = next((name for name in ("severe", "warning") if counts[name]), "good")
    found = ", ".join(
        plural(counts[name], f"{name} finding" if name == "severe" else name)
        for name in SEVERITY_WORDS
        if counts[name]
    )
    more = f"{found[:1].upper()}{found[1:]}." if found else "Nothing else was found."
    return Headline(worst, _predictability(audit.get("together", ())), more)


def _predictability(together: Sequence[Mapping[str, Any]]) -> str:
    whole = next((one for one in together if not one["scope"]), None)
    parts = [one for one in together if one["scope"] and _is_predictive(one)]
    worst = max(parts, key=lambda one: number(one["accuracy"]), default=None)
    if whole is not None and _is_predictive(whole):
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


def _is_predictive(one: Mapping[str, Any]) -> bool:
    return number(one["low"]) > _TOLD


def by_severity(audit: Mapping[str, Any]) -> dict[str, int]:
    """Count findings by severity, the worst first."""
    return {
        name: sum(finding["severity"] == name for finding in audit["findings"])
        for name in SEVERITY_WORDS
    }


def census(audit: Mapping[str, Any]) -> list[AuditColumn]:
    """Return counts by source and split, and the total of several rows."""
    rows = [AuditColumn(p["source"], p["split"], p["real"], p["fake"]) for p in audit["parts"]]
    if len(rows) > 1:
        rows.append(AuditColumn("all", "", sum(r.real for r in rows), sum(r.fake for r in rows)))
    return rows


def severities(audit: Mapping[str, Any], families: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Return the severity of each cue that a finding covers, by name and source.

    Facts of one family give one finding. It covers the strongest of them, and those that are nearly
    as strong.

    Args:
        audit: JSON form of the audit.
        families: Families by cue name; a missing cue is its own family.
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
    """Return a figure of the JSON; NaN for null."""
    return math.nan if value is None else float(value)


def percent(value: float | None) -> str:
    """Format a share: ``99 %``; never 100 unless exact."""
    share = number(value)
    if math.isnan(share):
        return "–"
    if 0.995 <= share < 1:
        return f"{min(100 * share, 99.9):.1f}{_NO_BREAK}%"
    return f"{100 * share:.0f}{_NO_BREAK}%"


def format_auc_interval(one: Mapping[str, Any]) -> str:
    """Format an AUC with its interval: ``.93 [.91, .95]``."""
    value, low, high = (number(one[name]) for name in ("auc", "low", "high"))
    if math.isnan(value):
        return "–"
    return (
        format_auc(value)
        if math.isnan(low)
        else f"{format_auc(value)} [{format_auc(low)}, {format_auc(high)}]"
    )


def format_auc(value: float | None) -> str:
    """Format an AUC without the leading zero: ``.93``."""
    shown = number(value)
    if math.isnan(shown):
        return "–"
    return f"{shown:.3f}".lstrip("0") if 0.995 <= shown < 0.9995 else f"{shown:.2f}".lstrip("0")


_THUMBNAIL_PX = 176
_MOST_EXAMPLES = 12  # per finding
_MOST_CUES = 60  # rows of the table of the whole set


def options(text: str) -> Markup:
    """Mark up option names, between backticks in messages, as code, and as ``--option``."""

    def flag(found: re.Match[str]) -> str:
        return f"<code>--{found[1].replace('_', '-')}</code>"

    return Markup(re.sub(r"`([^`]+)`", flag, str(escape(text))))  # noqa: S704 - escaped


class AuditEntry(NamedTuple):
    """One example on the page.

    Attributes:
        address: The picture as a ``data:`` URL; empty if not shown.
        label: ``real`` or ``fake``.
        about: Source and split.
        path: Path of the file.
        says: What to look for.
    """

    address: str
    label: str
    about: str
    path: str
    says: str


class AuditBar(NamedTuple):
    """A bar of an AUC from .5 to 1, in per cent of its width."""

    width: float
    low: float
    high: float


def write_audit_page(
    audit: Mapping[str, Any],
    path: Path,
    *,
    pictures: Mapping[str, Source] | None = None,
    families: Mapping[str, str] | None = None,
    command: str = "",
    fix: str = "",
) -> Path:
    """Write the HTML page of an audit.

    Args:
        audit: JSON form, from ``Audit.to_dict``.
        path: The page to write.
        pictures: Sources for :func:`mesoscope.media.image.open_image` by example path; without them
            the page shows names only.
        families: Families by cue name: facts of one family give one finding.
        command: Command line that repeats the audit.
        fix: Command line that cleans the set.

    Returns:
        Path of the page.

    Raises:
        OutputError: The page is not writable.
    """
    environment = template_environment()
    environment.filters.update(percent=percent, area=format_auc_interval, two=format_auc, bar=bar)
    environment.filters.update(many=plural, options=options)
    severe = severities(audit, families or {})
    whole = [cue for cue in audit["cues"] if not cue["scope"]]
    scopes = [one["scope"] for one in audit["together"] if one["scope"]]
    text = environment.get_template("audit.html.jinja").render(
        audit=audit,
        name=Path(audit["root"]).name or "a data set",
        headline=headline(audit),
        counts=by_severity(audit),
        findings=[(finding, examples(finding, pictures)) for finding in audit["findings"]],
        with_pictures=pictures is not None,
        cues=[(cue, severe.get((cue["name"], ""), "")) for cue in whole[:_MOST_CUES]],
        left_out=max(0, len(whole) - _MOST_CUES),
        scopes=scopes,
        matrix=matrix(audit, scopes, severe),
        together={one["scope"]: one for one in audit["together"]},
        titles={cue["name"]: cue["title"] for cue in audit["cues"]},
        census=census(audit),
        sources=len({part["source"] for part in audit["parts"]}),
        command=command,
        fix=fix,
    )
    write_text(path, text)
    return path


def examples(
    finding: Mapping[str, Any], pictures: Mapping[str, Source] | None
) -> list[list[AuditEntry]]:
    """Group a finding's examples; those of one number form one list."""
    chosen = sorted(finding["examples"][:_MOST_EXAMPLES], key=lambda one: int(one["side_by_side"]))
    return [
        [_shown(one, pictures) for one in together]
        for _, together in groupby(chosen, key=lambda one: int(one["side_by_side"]))
    ]


def bar(cue: Mapping[str, Any]) -> AuditBar | None:
    """Return the bar of an AUC and its interval; ``None`` without a measurement."""
    value = number(cue["auc"])
    if math.isnan(value):
        return None
    low, high = (number(cue[name]) for name in ("low", "high"))
    ends = (value, value if math.isnan(low) else low, value if math.isnan(high) else high)
    return AuditBar(*(round(200 * (min(max(end, 0.5), 1) - 0.5), 1) for end in ends))


def matrix(
    audit: Mapping[str, Any],
    scopes: Sequence[str],
    severe: Mapping[tuple[str, str], str],
) -> list[tuple[str, list[tuple[Mapping[str, Any] | None, str]]]]:
    """Return a row per cue, the strongest first, with the severity in each source."""
    found = {(cue["name"], cue["scope"]): cue for cue in audit["cues"] if cue["scope"]}
    titles = {cue["name"]: cue["title"] for cue in audit["cues"] if cue["scope"]}
    rows = [
        (
            title,
            [(found.get((name, scope)), severe.get((name, scope), "")) for scope in scopes],
        )
        for name, title in titles.items()
    ]
    return sorted(rows, key=lambda row: -max(_strength(cue) for cue, _ in row[1]))


def _strength(cue: Mapping[str, Any] | None) -> float:
    value = math.nan if cue is None else number(cue["auc"])
    return 0.0 if math.isnan(value) else value


def _shown(example: Mapping[str, Any], pictures: Mapping[str, Source] | None) -> AuditEntry:
    source = None if pictures is None else pictures.get(example["path"])
    return AuditEntry(
        "" if source is None else _thumbnail(source),
        CLASSES[int(example["label"])],
        ", ".join(filter(None, (example["source"], example["split"]))),
        example["path"],
        example["says"],
    )


def _thumbnail(source: Source) -> str:
    """Return a thumbnail without metadata; empty if the file is not readable."""
    file = io.BytesIO()
    try:
        image = Image.fromarray(open_image(source).pixels)
        image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
        image.save(file, "JPEG", quality=80)
    except Exception:  # noqa: BLE001 - the page is written without this picture
        return ""
    return data_url(file.getvalue())
