"""An audit as one HTML page that needs nothing else: no network, no file beside it."""

from __future__ import annotations

import base64
import io
import math
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
from PIL import Image

from mesoscope.errors import SourceError
from mesoscope.media.image import open_image
from mesoscope.report import audit_words as words
from mesoscope.report.record import write_text
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesoscope.media.image import Source

_TEMPLATES = Path(__file__).parent / "templates"
_THUMBNAIL_PX = 176
_MOST_EXAMPLES = 12  # of a finding
_MOST_CUES = 60  # rows of the table of the whole set


class Shown(NamedTuple):
    """One example as the page shows it.

    Attributes:
        address: The picture as a ``data:`` address; empty where it is not shown.
        label: ``real`` or ``fake``.
        about: Source and split.
        path: Of the file.
        says: What to see in it.
    """

    address: str
    label: str
    about: str
    path: str
    says: str


class Bar(NamedTuple):
    """An AUC as a bar from chance to perfect, in hundredths of its width."""

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
    """Write the page of an audit.

    Args:
        audit: In JSON, as ``Audit.to_dict`` gives it.
        path: The page to write.
        pictures: What :func:`mesoscope.media.image.open_image` takes, by the paths of examples;
            without it the page shows names only.
        families: Of cues, by their names: facts of one family are one finding.
        command: The line that audits again.
        fix: The line that mends what can be mended.

    Returns:
        The page's path.

    Raises:
        OutputError: It cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=words.percent, area=words.area, two=words.two, bar=bar)
    environment.filters["many"] = words.plural
    severe = words.severities(audit, families or {})
    whole = [cue for cue in audit["cues"] if not cue["scope"]]
    scopes = [one["scope"] for one in audit["together"] if one["scope"]]
    text = environment.get_template("audit.html.jinja").render(
        audit=audit,
        name=Path(audit["root"]).name or "a data set",
        headline=words.headline(audit),
        counts=words.by_severity(audit),
        findings=[(finding, examples(finding, pictures)) for finding in audit["findings"]],
        with_pictures=pictures is not None,
        cues=[(cue, severe.get((cue["name"], ""), "")) for cue in whole[:_MOST_CUES]],
        left_out=max(0, len(whole) - _MOST_CUES),
        scopes=scopes,
        matrix=matrix(audit, scopes, severe),
        together={one["scope"]: one for one in audit["together"]},
        titles={cue["name"]: cue["title"] for cue in audit["cues"]},
        census=words.census(audit),
        sources=len({part["source"] for part in audit["parts"]}),
        command=command,
        fix=fix,
    )
    write_text(path, text)
    return path


def examples(
    finding: Mapping[str, Any], pictures: Mapping[str, Source] | None
) -> list[list[Shown]]:
    """A finding's examples, those that are looked at together as one list."""
    chosen = sorted(finding["examples"][:_MOST_EXAMPLES], key=lambda one: int(one["side_by_side"]))
    return [
        [_shown(one, pictures) for one in together]
        for _, together in groupby(chosen, key=lambda one: int(one["side_by_side"]))
    ]


def bar(cue: Mapping[str, Any]) -> Bar | None:
    """Where the bar of an AUC ends and its interval lies; ``None`` where nothing was measured."""
    value = words.number(cue["auc"])
    if math.isnan(value):
        return None
    low, high = (words.number(cue[name]) for name in ("low", "high"))
    ends = (value, value if math.isnan(low) else low, value if math.isnan(high) else high)
    return Bar(*(round(200 * (min(max(end, 0.5), 1) - 0.5), 1) for end in ends))


def matrix(
    audit: Mapping[str, Any],
    scopes: Sequence[str],
    severe: Mapping[tuple[str, str], str],
) -> list[tuple[str, list[tuple[Mapping[str, Any] | None, str]]]]:
    """Cues by source: a row a cue, the strongest first, a cell a source with its severity."""
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
    value = math.nan if cue is None else words.number(cue["auc"])
    return 0.0 if math.isnan(value) else value


def _shown(example: Mapping[str, Any], pictures: Mapping[str, Source] | None) -> Shown:
    source = None if pictures is None else pictures.get(example["path"])
    return Shown(
        "" if source is None else _thumbnail(source),
        CLASSES[int(example["label"])],
        ", ".join(filter(None, (example["source"], example["split"]))),
        example["path"],
        example["says"],
    )


def _thumbnail(source: Source) -> str:
    """A small picture without any metadata; empty where the file cannot be read."""
    try:
        image = Image.fromarray(open_image(source).pixels)
    except SourceError:
        return ""
    image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
