"""The machine-readable record in a report, and verification of reports.

The record is JSON in plain ASCII, without ``<``, ``>`` and ``&``, so HTML and PDF hold the same
text. Its first line ends in ``"items":[``, each item is a line, and the last line is ``]}``; so a
record of any length can be read line by line.
"""

from __future__ import annotations

import json
import mmap
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from mesoscope.errors import ReportError, SourceError, SourceMissing
from mesoscope.errors.failures import cause
from mesoscope.files.escape import escape_name
from mesoscope.report.case.contents import ModelFacts, model_facts, settings_sha256
from mesoscope.report.case.items import hash_source
from mesoscope.report.case.seal import Seal, fingerprint, read_seal
from mesoscope.report.case.words import reason_of
from mesoscope.types.schema import VERSIONS, refuse_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mesoscope.report.case.contents import CaseDetails, ReportSettings
    from mesoscope.report.case.items import ReportItem, Tally
    from mesoscope.types import Json, Verdict


_READ = {"made", "mesoscope", "settings", "settings_sha256"}  # fields needed for verification
_LONGEST = 64 << 20  # bytes of one line; a verdict on a long clip has a few million
_START = b'{"mesoscope_report":'
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


@dataclass(frozen=True, slots=True)
class ReportedSource:
    """A source file of a report.

    Attributes:
        source: Its path as given.
        sha256: Its digest when the report was made; ``None`` if it was not readable.
        judged_sha256: Its digest when it was judged, if known and different.
    """

    source: str
    sha256: str | None
    judged_sha256: str | None = None


def record_head(
    details: CaseDetails,
    models: Sequence[ModelFacts],
    settings: ReportSettings | None,
    tally: Tally,
) -> str:
    """Return the record's first line."""
    data: dict[str, Json] = {
        "mesoscope_report": VERSIONS["report"][-1],
        "mesoscope": details.version,
        "made": details.made,
        "title": details.title,
        "case": details.reference,
        "analyst": details.analyst,
        "models": [model.to_dict() for model in models],
        "settings": None if settings is None else dict(settings.values),
        "settings_sha256": None if settings is None else settings.sha256,
        "counts": {str(answer): count for answer, count in tally.labels.items()},
    }
    return f'{_json(data)[:-1]},"items":['


def record_rows(
    items: Iterable[ReportItem], evidence: dict[int, tuple[int, Verdict]]
) -> Iterator[str]:
    """Yield the record's lines of items, with commas, and its end.

    Args:
        items: All items.
        evidence: For items with evidence, by index: number in the report, from 1, and the whole
            verdict.
    """
    before = ""
    for at, item in enumerate(items):
        verdict = item.verdict
        number, whole = evidence.get(at, (None, None))
        row: dict[str, Json] = {
            "source": verdict.source,
            "standing": verdict.answer,
            "p_fake": None if verdict.p_fake is None else round(verdict.p_fake, 6),
            "reason": verdict.reason,
            "kind": verdict.kind,
            "faces": len(verdict.faces),
            "model": verdict.model,
            "bytes": None if item.file is None else item.file.n_bytes,
            "sha256": None if item.file is None else item.file.sha256,
        }
        if (plain := escape_name(verdict.source)) != verdict.source:
            row["shown"] = plain
        if item.earlier is not None:
            row["judged_sha256"] = item.earlier
        if verdict.error is not None:
            row["error"] = {
                "code": verdict.error["code"],
                "message": escape_name(reason_of(verdict)),
            }
        if verdict.notes:
            row["notes"] = [escape_name(note) for note in verdict.notes]
        if verdict.kind == "clip":
            row["persons"] = len(verdict.persons)
        if number is not None and whole is not None:
            row["number"] = number
            row["verdict"] = whole.to_dict()
        yield before + _json(row)
        before = ",\n"
    yield "\n]}"


@contextmanager
def open_record(path: Path) -> Iterator[tuple[dict[str, Any], Iterator[ReportedSource]]]:
    """Read a report's record: its first line, and an iterator over its items.

    Raises:
        ReportError: The record is missing, damaged, or of a newer version.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            start = data.find(_START)
            if start < 0:
                raise ReportError(f"{path}: holds no record: it is not a mesoscope report")
            data.seek(start)
            yield _first(_line(data, path), path), _items(data, path)
    except (OSError, ValueError) as error:
        why = cause(error) if isinstance(error, OSError) else "it is empty"
        raise ReportError(f"{path}: cannot be read: {why}: check the path") from error


def _line(data: mmap.mmap, path: Path) -> bytes:
    at = data.tell()
    if len(data) - at > _LONGEST and data.find(b"\n", at, at + _LONGEST) < 0:
        raise ReportError(f"{path}: its record is damaged: ask for the report again")
    return data.readline()


def _first(line: bytes, path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(line.rstrip() + b"]}")
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path}: its record is damaged: ask for the report again") from error
    if not isinstance(found, dict) or "mesoscope_report" not in found:
        raise ReportError(f"{path}: its record is damaged: ask for the report again")
    refuse_version(
        "report", found["mesoscope_report"], ReportError, where=f"{path}: its record has version"
    )
    models = found.get("models")
    whole = isinstance(models, list) and all(
        isinstance(model, dict) and {"id", "sha256"} <= model.keys() for model in models
    )
    if not whole or _READ - found.keys():
        raise ReportError(f"{path}: its record is damaged: ask for the report again")
    return found


def _items(data: mmap.mmap, path: Path) -> Iterator[ReportedSource]:
    while line := _line(data, path):
        if line.startswith(b"]}"):
            return
        if line.isspace():  # a report without items
            continue
        try:
            found = _source(json.loads(line.rstrip().rstrip(b",")))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ReportError(f"{path}: its record is damaged: ask for the report again") from error
        yield found
    raise ReportError(f"{path}: its record is cut off: ask for the report again")


def _source(row: dict[str, Any]) -> ReportedSource:
    found = ReportedSource(row["source"], row["sha256"], row.get("judged_sha256"))
    if not isinstance(found.source, str) or not isinstance(found.sha256, str | None):
        raise TypeError("a path and a hash are texts")
    return found


def _json(data: dict[str, Json]) -> str:
    """Return one line of ASCII JSON that is safe in an HTML ``script``."""
    return json.dumps(data, separators=(",", ":")).translate(_ESCAPES)


State = Literal["unchanged", "changed", "missing", "unknown"]
Signature = Literal["good", "other_key", "broken", "absent", "unsigned", "by_unknown"]


@dataclass(slots=True)
class Check:
    """Result of verifying a report.

    Attributes:
        seal: State of the digest and signature.
        signature: ``good``: by the given key. ``other_key``: valid, but by another key.
            ``by_unknown``: valid, and no key was given. ``broken``: it does not match the report.
            ``absent``: a key was given, and there is no signature. ``unsigned``: neither.
        files: Number of source files by state; ``unknown`` if the report holds no hash.
        models: State of each model by id; ``missing`` if its file is not available.
        settings_match: Whether the settings have their hash; ``None`` without settings.
        made: Time of creation in the report.
        version: Version of mesoscope that made it.
    """

    seal: Seal
    signature: Signature
    files: Counter[State] = field(default_factory=Counter)
    models: dict[str, State] = field(default_factory=dict)
    settings_match: bool | None = None
    made: str = ""
    version: str = ""

    @property
    def trusted(self) -> bool:
        """Whether the report is unchanged, as far as this check can tell."""
        seal_holds = self.seal.intact and self.settings_match is not False
        return seal_holds and self.signature in ("good", "unsigned", "by_unknown")


def verify(
    path: Path,
    *,
    key: bytes | None = None,
    root: Path | None = None,
    model: Path | None = None,
    files: bool = True,
    watch: Callable[[str, State], None] | None = None,
) -> Check:
    """Verify a report, HTML or PDF.

    Args:
        path: The report.
        key: Expected public key, 32 bytes.
        root: Base folder of relative source paths; default the working directory.
        model: A model file to compare with the report's, besides the shipped ones.
        files: Verify the source files, too.
        watch: Called with each source file and its state.

    Raises:
        ReportError: The file is no report.
    """
    seal = read_seal(path)
    found = Check(seal, _signature(seal, key))
    with open_record(path) as (first, items):
        found.made, found.version = str(first["made"]), str(first["mesoscope"])
        found.settings_match = _settings_match(first)
        found.models = _models(first, model)
        for one in items if files else ():
            state = _state(one.source, one.sha256, root)
            found.files[state] += 1
            if watch is not None:
                watch(one.source, state)
    return found


def _signature(seal: Seal, key: bytes | None) -> Signature:
    if not seal.signed:
        return "unsigned" if key is None else "absent"
    if not (seal.signature_holds and seal.intact):
        return "broken"
    if key is None:
        return "by_unknown"
    return "good" if seal.key_fingerprint == fingerprint(key) else "other_key"


def _settings_match(first: Mapping[str, Json]) -> bool | None:
    settings = first["settings"]
    if not isinstance(settings, dict):
        return None
    return settings_sha256(settings) == first["settings_sha256"]


def _models(first: Mapping[str, Json], at_hand: Path | None) -> dict[str, State]:
    """Return the state of a report's models, compared by digest."""
    models = [model for model in cast("list[Json]", first["models"]) if isinstance(model, dict)]
    here = {one.id: one for one in model_facts((str(m["id"]) for m in models), at_hand=at_hand)}
    return {str(m["id"]): _model_state(str(m["sha256"]), here[str(m["id"])]) for m in models}


def _model_state(sha256: str, here: ModelFacts) -> State:
    if not sha256:
        return "unknown"
    if not here.sha256:
        return "missing"
    return "unchanged" if here.sha256 == sha256 else "changed"


def _state(source: str, sha256: str | None, root: Path | None) -> State:
    if sha256 is None:
        return "unknown"
    path = source if root is None else os.path.join(root, source)  # noqa: PTH118 - names in bytes
    try:
        return "unchanged" if hash_source(path).sha256 == sha256 else "changed"
    except SourceMissing:
        return "missing"
    except SourceError:
        return "unknown"
