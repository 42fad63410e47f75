"""All that a report shows, put together once for whatever form it is written in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from mesoscope.errors import ModelError
from mesoscope.models.file import file_sha256, find_model, read_card, shipped
from mesoscope.report.case.evidence import Evidence, gather
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
    """What the person who makes a report says of it.

    Attributes:
        title: Of the report.
        reference: Number or name of the case; empty where there is none.
        analyst: Who hands it over; empty where it is not said.
        made: When, in UTC, ISO 8601.
        version: mesoscope's.
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
        """Details of a report that is made now."""
        made = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(title, reference, analyst, made, version)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model as a report names it.

    Attributes:
        id: ``name@first 8 digits of the file's SHA-256``, as verdicts have it.
        sha256: Of the whole file; empty where the file was not at hand.
        card: Its card; ``None`` where the file was not at hand.
    """

    id: str
    sha256: str = ""
    card: ModelCard | None = None

    def to_dict(self) -> dict[str, Json]:
        """As in the report's record."""
        graph = "" if self.card is None else self.card.graph_sha256
        return {"id": self.id, "sha256": self.sha256, "graph_sha256": graph}


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """The settings that decide an answer, and their hash.

    Attributes:
        values: By name; the thresholds that were in force among them.
        sha256: Of ``values`` as JSON with sorted keys, without spaces.
    """

    values: Mapping[str, Json]
    sha256: str


def settings_of(options: DetectOptions, thresholds: Thresholds | None) -> ReportSettings:
    """The settings of a detector, with the thresholds in force where they are known."""
    values = options.deciding()
    if thresholds is not None:
        values |= {"real_below": thresholds.real_below, "fake_above": thresholds.fake_above}
    return ReportSettings(values, settings_sha256(values))


def settings_sha256(values: Mapping[str, Json]) -> str:
    """The hash of settings: SHA-256 of their JSON with sorted keys and without spaces."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def model_facts(ids: Iterable[str], *, at_hand: Path | None = None) -> tuple[ModelFacts, ...]:
    """Facts of models that verdicts name, as far as their files are at hand.

    Args:
        ids: As verdicts have them.
        at_hand: A model file besides those that are shipped.
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
    """The file of a model that a verdict names; ``None`` where it is not at hand."""
    for path in [*([at_hand] if at_hand else []), *shipped().values()]:
        try:
            if f"{read_card(path).name}@{file_sha256(path)[:8]}" == model_id:
                return find_model(path)
        except ModelError:
            continue
    return None


PICTURES = 24  # items whose evidence is shown, unless another number is asked for


@dataclass(frozen=True, slots=True)
class Contents:
    """What a report shows.

    Attributes:
        details: Of the case.
        items: All items, in their order; read several times.
        tally: Their counts, and which of them are shown with evidence.
        evidence: Of those, in the same order.
        models: That gave the answers.
        settings: By which they were given; ``None`` where that is not known.
        thresholds: In force; ``None`` where they are not known.
    """

    details: CaseDetails
    items: Iterable[ReportItem]
    tally: Tally
    evidence: Sequence[Evidence]
    models: tuple[ModelFacts, ...]
    settings: ReportSettings | None
    thresholds: Thresholds | None

    @property
    def whole(self) -> dict[int, tuple[int, Verdict]]:
        """By place among the items: an item's number in the report, from 1, and its verdict."""
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
    """Count the items, and gather evidence for the most suspicious of them.

    Args:
        items: All of them; read several times, as
             :class:`~mesoscope.report.case.items.VerdictSpool`.
        details: Of the case.
        models: Finds the facts of models by the names that verdicts have.
        settings: By which the answers were given, where that is known.
        thresholds: In force, where that is known.
        judge: Judges once more, for evidence maps.
        pictures: Items whose evidence is shown, at most.
        watch: Called after each of these with how many are done, and of how many.
    """
    counted = tally(items, pictures=pictures)
    wanted = set(counted.pictured)
    gathered: dict[int, Evidence] = {}
    for place, item in enumerate(items):
        if place in wanted:
            gathered[place] = gather(item, judge)
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
