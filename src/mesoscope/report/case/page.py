"""Write a case report as one self-contained HTML page, without network."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jinja2
from markupsafe import Markup

from mesoscope.draw import clock
from mesoscope.files.escape import escape_name
from mesoscope.report import TEMPLATES, data_url, template_environment
from mesoscope.report.case import words
from mesoscope.report.case.items import BINS, SHOWN, distribution
from mesoscope.report.case.record import record_head, record_rows
from mesoscope.report.case.seal import blank_seal, fingerprint, public_bytes, sealed
from mesoscope.report.case.words import size
from mesoscope.types.label import ANSWER_NAMES, REASON_TEXTS, reason_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mesoscope.report.case.contents import Contents
    from mesoscope.report.case.evidence import CloseUp, Evidence
    from mesoscope.report.case.items import ReportItem
    from mesoscope.types import Answer, Thresholds, Verdict

_LINES_AT_ONCE = 200


class ReportColumn(NamedTuple):
    """A column of the table: key in the record, and heading."""

    key: str
    title: str


COLUMNS = (
    ReportColumn("standing", "Verdict"),
    ReportColumn("p_fake", "p_fake"),
    ReportColumn("source", "File"),
    ReportColumn("reason", "Why"),
    ReportColumn("faces", "Faces"),
    ReportColumn("bytes", "Size"),
    ReportColumn("sha256", "SHA-256"),
)
WEIGHTS = {"strong": "says it outright", "hint": "worth a look", "note": "a plain fact"}


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """Text of an item with its evidence."""

    evidence: Evidence
    thresholds: Thresholds | None

    @property
    def item(self) -> ReportItem:
        """The item."""
        return self.evidence.item

    @property
    def label(self) -> Answer:
        """Its answer in the counts."""
        return self.item.verdict.answer

    @property
    def name(self) -> str:
        """Its path as shown."""
        return escape_name(self.item.verdict.source)

    @property
    def p_fake(self) -> str:
        """Its score, or a dash."""
        return words.score(self.item.verdict.p_fake)

    @property
    def reason(self) -> str:
        """The reason without a clear label; empty with one."""
        return escape_name(words.reason_of(self.item.verdict))

    @property
    def sentence(self) -> str:
        """The verdict in a sentence."""
        return escape_name(words.sentence(self.item.verdict, self.thresholds))

    @property
    def notes(self) -> list[str]:
        """Further notes."""
        return [escape_name(n) for n in (*self.item.verdict.notes, *self.evidence.notes)]

    @property
    def sha256(self) -> str:
        """Digest of its file; empty without one."""
        return "" if self.item.file is None else self.item.file.sha256

    @property
    def size(self) -> str:
        """Size of its file; empty without one."""
        return "" if self.item.file is None else size(self.item.file.n_bytes)

    @property
    def cuts(self) -> tuple[float, ...]:
        """Thresholds in ascending order; empty if unknown."""
        return cuts(self.thresholds)

    @property
    def people_or_faces(self) -> int:
        """Number of judged faces; of a clip the number of persons."""
        verdict = self.item.verdict
        return len(verdict.persons if verdict.kind == "clip" else verdict.faces)

    @property
    def people(self) -> str:
        """Number of persons, as alternative text of the timeline."""
        count = len(self.item.verdict.persons)
        return f"{count} persons" if count > 1 else "one person"


def write_page(contents: Contents, path: Path, *, key: Ed25519PrivateKey | None = None) -> str:
    """Write the report as HTML.

    Args:
        contents: Contents of the report.
        path: The file to write; replaced if it exists.
        key: Signing key.

    Returns:
        The digest in the seal.

    Raises:
        OutputError: The report is not writable.
    """
    with (
        sealed(path, key) as sealing,
        sealing.fresh.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        stream = _environment().get_template("case.html.jinja").stream(_values(contents, key))
        stream.enable_buffering(_LINES_AT_ONCE)
        file.writelines(stream)
    return sealing.digest


def cuts(thresholds: Thresholds | None) -> tuple[float, ...]:
    """Return the thresholds to draw: both, or the one cut."""
    if thresholds is None:
        return ()
    return tuple(sorted({thresholds.real_below, thresholds.fake_above}))


def _environment() -> jinja2.Environment:
    environment = template_environment()
    filters: dict[str, Callable[..., str]] = {
        "jpeg": lambda shot: data_url(shot.jpeg),
        "shown": escape_name,
        "clock": clock,
        "threshold": _threshold,
        "face_caption": face_caption,
        "score": words.score,
        "rule": words.rule,
        "threshold_text": words.threshold_text,
        "reason": reason_text,
    }
    environment.filters.update(filters)
    return environment


def _values(contents: Contents, key: Ed25519PrivateKey | None) -> dict[str, object]:
    tally = contents.tally
    bars, most = distribution(tally)
    one = [ReportEntry(evidence, contents.thresholds) for evidence in contents.evidence]
    css, js = _asset("case.css"), _asset("case.js")
    ui = json.dumps({"words": ANSWER_NAMES, "reasons": REASON_TEXTS})
    return {
        "details": contents.details,
        "made": contents.details.made.replace("T", " ").replace("Z", " UTC"),
        "models": contents.models,
        "settings": contents.settings,
        "settings_rows": words.settings_rows(contents.settings.values) if contents.settings else (),
        "tally": tally,
        "summary": words.summary(tally),
        "caption": words.summary(tally),
        "selection_text": words.selection_text(tally),
        "pictured": len(one),
        "shown": one,
        "has_heat": any(close.heat for evidence in contents.evidence for close in evidence.faces),
        "labels": SHOWN,
        "words": ANSWER_NAMES,
        "weights": WEIGHTS,
        "meanings": words.MEANINGS,
        "what_it_means": words.WHAT_IT_MEANS,
        "where_it_fails": words.WHERE_IT_FAILS,
        "heat_says": words.HEAT_SAYS,
        "by_kind": words.BY_KIND,
        "no_settings": words.NO_SETTINGS,
        "signed": words.signed("" if key is None else fingerprint(public_bytes(key))),
        "weak": {m.id: words.weaknesses(m.card) for m in contents.models if m.card is not None},
        "columns": COLUMNS,
        "bars": bars,
        "most": most,
        "bins": BINS,
        "cuts": cuts(contents.thresholds),
        "fingerprint": "" if key is None else fingerprint(public_bytes(key)),
        "css": Markup(css),  # noqa: S704 - our own file
        "js": Markup(js),  # noqa: S704 - our own file
        "css_hash": _csp(css),
        "js_hash": _csp(js),
        "ui": Markup(ui),  # noqa: S704 - our own text, in ASCII
        "seal": Markup(blank_seal(key)),  # noqa: S704 - digits
        # JSON; record.py has escaped what could end a script.
        "head": Markup(record_head(contents.details, contents.models, contents.settings, tally)),  # noqa: S704
        "rows": (Markup(row) for row in record_rows(contents.items, contents.numbered_verdicts)),  # noqa: S704
    }


def face_caption(close: CloseUp, verdict: Verdict) -> str:
    """Return the caption of a face."""
    face = close.face
    parts = [f"Face {close.number}: {words.score(face.p_fake)}"]
    if verdict.kind == "clip":
        parts = [f"Person {face.person + 1}: {words.score(face.p_fake)}"]
        if face.time_s is not None:
            parts.append(f"at {clock(face.time_s)}")
    x1, y1, x2, y2 = face.box
    parts.append(f"{round(x2 - x1)} × {round(y2 - y1)} px")
    return ", ".join(parts)


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _csp(text: str) -> str:
    """Return the CSP hash that allows one script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _threshold(value: float) -> str:
    return f"{value:.3g}"
