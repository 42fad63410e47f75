"""Collect the contents of a case report, independent of its format."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from mesoscope.errors import ModelError
from mesoscope.models.file import file_sha256, find_model, read_card, shipped
from mesoscope.report.case.evidence import Evidence, collect_evidence
from mesoscope.report.case.items import Tally, tally
from mesoscope.types import DetectOptions, ModelCard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from mesoscope.report.case.evidence import Judge
    from mesoscope.report.case.items import ReportItem
    from mesoscope.types import Json, Thresholds, Verdict


__all__ = ["CaseDetails", "ModelFacts", "ReportSettings", "model_facts", "settings_of"]


@dataclass(frozen=True, slots=True)
class CaseDetails:
    """Details of the case.

    Attributes:
        title: Title of the report.
        reference: Number or name of the case; empty where there is none.
        analyst: Name of the analyst; may be empty.
        made: Time of creation in UTC, ISO 8601.
        version: Version of mesoscope.
    """

    title: str
    reference: str
    analyst: str
    made: str
    version: str

    @classmethod
    def now(
        cls, title: str, *, version: str, reference: str = "", analyst: str = ""
    ) -> CaseDetails:
        """Return details with the current time."""
        made = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(title, reference, analyst, made, version)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Identity and card of a model.

    Attributes:
        id: ``name@first 8 digits of the file's SHA-256``, as in verdicts.
        sha256: Digest of the whole file; empty if the file is not available.
        card: The model's card; ``None`` if the file is not available.
    """

    id: str
    sha256: str = ""
    card: ModelCard | None = None

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form for the report's record."""
        graph = "" if self.card is None else self.card.graph_sha256
        return {"id": self.id, "sha256": self.sha256, "graph_sha256": graph}


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """The detector's settings and their hash.

    Attributes:
        values: Settings by name, including the thresholds.
        sha256: Of ``values`` as JSON with sorted keys, without spaces.
    """

    values: Mapping[str, Json]
    sha256: str


def settings_of(options: DetectOptions, thresholds: Thresholds | None) -> ReportSettings:
    """Return the settings of a detector, with its thresholds if known."""
    values = options.deciding()
    if thresholds is not None:
        values |= {"real_below": thresholds.real_below, "fake_above": thresholds.fake_above}
    return ReportSettings(values, settings_sha256(values))


def settings_sha256(values: Mapping[str, Json]) -> str:
    """Return the SHA-256 of settings as JSON with sorted keys and without spaces."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def model_facts(ids: Iterable[str], *, at_hand: Path | None = None) -> tuple[ModelFacts, ...]:
    """Return facts of models named in verdicts, as far as their files are available.

    Args:
        ids: Model ids of verdicts.
        at_hand: A model file besides the shipped ones.
    """
    files = [*([at_hand] if at_hand else []), *shipped().values()]
    known: dict[str, ModelFacts] = {}
    for path in files:
        try:
            digest, card = file_sha256(path), read_card(path)
        except ModelError:
            continue
        one = ModelFacts(f"{card.name}@{digest[:8]}", digest, card)
        known.setdefault(one.id, one)
    return tuple(known.get(name, ModelFacts(name)) for name in ids)


def model_path(model_id: str, *, at_hand: Path | None = None) -> Path | None:
    """Return the file of a model id; ``None`` if it is not available."""
    for path in [*([at_hand] if at_hand else []), *shipped().values()]:
        try:
            if f"{read_card(path).name}@{file_sha256(path)[:8]}" == model_id:
                return find_model(path)
        except ModelError:
            continue
    return None


PICTURES = 24  # default number of items with evidence


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents of a report.

    Attributes:
        details: Details of the case.
        items: All items in order; iterated several times.
        tally: Counts of the items, and the choice of items with evidence.
        evidence: Evidence of the chosen items, in order.
        models: Models of the verdicts.
        settings: Settings of the detector; ``None`` if unknown.
        thresholds: Thresholds of the detector; ``None`` if unknown.
    """

    details: CaseDetails
    items: Iterable[ReportItem]
    tally: Tally
    evidence: Sequence[Evidence]
    models: tuple[ModelFacts, ...]
    settings: ReportSettings | None
    thresholds: Thresholds | None

    @property
    def numbered_verdicts(self) -> dict[int, tuple[int, Verdict]]:
        """Map item indices to the number in the report, from 1, and the verdict."""
        places = zip(self.tally.pictured, self.evidence, strict=True)
        return {place: (n, one.verdict) for n, (place, one) in enumerate(places, 1)}


def collect(
    items: Iterable[ReportItem],
    details: CaseDetails,
    *,
    models: Callable[[Iterable[str]], tuple[ModelFacts, ...]],
    settings: ReportSettings | None = None,
    thresholds: Thresholds | None = None,
    judge: Judge | None = None,
    pictures: int = PICTURES,
    watch: Callable[[int, int], None] | None = None,
) -> Contents:
    """Count the items, and collect evidence for the most suspicious ones.

    Args:
        items: All items; iterated several times, as
            :class:`~mesoscope.report.case.items.VerdictSpool`.
        details: Details of the case.
        models: Returns model facts for the ids in verdicts.
        settings: Settings of the detector, if known.
        thresholds: Thresholds of the detector, if known.
        judge: Judges again, for evidence maps.
        pictures: Largest number of items with evidence.
        watch: Called after each of these with the number done and the total.
    """
    counted = tally(items, pictures=pictures)
    wanted = set(counted.pictured)
    gathered: dict[int, Evidence] = {}
    for place, item in enumerate(items):
        if place in wanted:
            gathered[place] = collect_evidence(item, judge)
            if watch is not None:
                watch(len(gathered), len(wanted))
            if len(gathered) == len(wanted):
                break
    return Contents(
        details=details,
        items=items,
        tally=counted,
        evidence=[gathered[place] for place in counted.pictured],
        models=models(counted.models),
        settings=settings,
        thresholds=thresholds,
    )
