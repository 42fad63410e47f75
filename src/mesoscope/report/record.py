"""Results of an evaluation, and their file formats.

``metrics.json``::

    {"schema": 1,
     "n": 4605, "n_real": 2292, "n_fake": 2313,       all items asked about
     "n_scored": 4604, "n_unreadable": 1, "n_unscored": 0,
     "coverage": 0.9998,                              share of items that got a score
     "accuracy": …, "balanced_accuracy": …,           p_fake >= .5 called fake; scored items only,
     "auc": …, "eer": …, "ap": …,                     as all that follow
     "tpr_at_fpr_0.01": …, "ece": …, "brier": …,
     "ece_by_chance": …, "ece_by_chance_high": …,     mean and 95 % quantile of the ece that
                                                      true probabilities would show here
     "accuracy_of_all": …,                            of all items: one without a score is wrong
     "decided": …,                                    share of scored items with a clear label
     "error_among_decided": …,                        share of those that have the wrong one
     "unfamiliar": …,                                 share of scored items that the guard refuses
     "intervals": {"auc": [low, high], …},            95 %, bootstrap over groups
     "by_source": {"NAME": {…the same from n to intervals…}, …},
     "mean_over_sources": {"accuracy": …, "auc": …, "intervals": {…}},
     "told": [{"label", "source", "n", "fake": {"count", "share", "interval"}, …}, …],
     "alarms": [{"name": "label", "threshold": …, "fpr": …, "tpr": …, "true_alarms": […]}, …],
     "calibration": {…how the model was calibrated, from its card…},
     "conditions": {…model, thresholds, seed, versions…},
     "unreadable": [{"path", "source", "label", "code", "message"}, …],
     "unscored": [{"path", "source", "label", "reason"}, …],
     "against": {…}}                                  with a second model: its figures, and the
                                                      differences with their intervals

A metric is ``null`` where it is undefined, for example ``auc`` without a class; an interval is
``null`` there too, and where all items are in one group.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesoscope.files.atomic import write_text
from mesoscope.files.table import write_table
from mesoscope.metrics import CUT
from mesoscope.types.label import CLASSES, answer_of
from mesoscope.types.schema import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mesoscope.media.part import FilePart
    from mesoscope.report.against import Against
    from mesoscope.report.robustness import Robustness
    from mesoscope.report.tables import AlarmReport, AnswerCounts
    from mesoscope.types import Answer, Box, Guard, Json, Label, ModelCard, Thresholds, Verdict

COLUMNS = (
    "path", "label", "source", "group", "split", "p_fake", "verdict", "reason", "error_code",
    "error", "kind", "told", "frames", "faces", "persons", "duration_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prediction:
    """One labelled item and the detector's verdict on it.

    Attributes:
        path: Path of the picture or clip.
        label: True label: 1 = fake, 0 = real.
        source: Source of the item.
        group: Group of the item, the unit of resampling.
        split: Split of the item.
        p_fake: Score; ``None`` without one.
        verdict: The detector's label.
        box: Box of the face behind ``p_fake``, xyxy in pixels.
        reason: Reason without a clear label.
        error: ``{"code", "message"}`` of an unreadable file.
        part: Position of the picture in a larger file, to open it again; ``None`` for a separate
            file.
        kind: ``image`` or ``clip``.
        frames: Number of decoded frames.
        faces: Number of scored faces.
        persons: Number of persons of a clip.
        duration_s: Duration of a clip, in seconds.
        seen: Whole verdict, for the most wrong clips, to draw a strip.
    """

    path: str
    label: int
    source: str
    group: str
    split: str
    p_fake: float | None
    verdict: Label | None = None
    box: Box | None = None
    reason: str | None = None
    error: Mapping[str, str] | None = None
    part: FilePart | None = None
    kind: str = "image"
    frames: int = 1
    faces: int = 0
    persons: int = 0
    duration_s: float | None = None
    seen: Verdict | None = field(default=None, compare=False, repr=False)

    @property
    def answer(self) -> Answer:
        """The answer to the user: as :attr:`Verdict.answer`."""
        return answer_of(self.verdict, failed=self.error is not None)

    @property
    def error_rank(self) -> tuple[bool, float] | None:
        """Sort key of wrong answers: a wrong label first, then the distance from .5.

        ``None`` for an answer that is not wrong: a score on the right side of .5 without a wrong
        label, or no score.
        """
        if self.p_fake is None:
            return None
        far = (self.p_fake - CUT) * (-1 if self.label else 1)
        mislabelled = self.answer == CLASSES[1 - self.label]
        beyond = far > 0 or (far == 0 and not self.label)  # .5 itself is called fake
        return (mislabelled, far) if mislabelled or beyond else None


@dataclass(frozen=True, slots=True)
class Figures:
    """Metrics of a set of items.

    Attributes:
        counts: ``n``, ``n_real``, ``n_fake``, ``n_scored``, ``n_unreadable``, ``n_unscored``.
        values: Metrics by name; NaN where undefined.
        intervals: 95 % intervals by name, NaN at both ends where undefined.
    """

    counts: Mapping[str, int]
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form: metrics by name, with ``intervals`` nested."""
        intervals: dict[str, Json] = {
            name: None if math.isnan(pair[0]) else [number_or_none(v) for v in pair]
            for name, pair in self.intervals.items()
        }
        values = {name: number_or_none(value) for name, value in self.values.items()}
        return {**self.counts, **values, "intervals": intervals}


class Columns(NamedTuple):
    """Arrays of the scored items, ``(n,)`` each.

    Attributes:
        labels: 1 = fake, 0 = real.
        p_fake: 0 to 1.
        sources: Names of sources.
        groups: Group codes; equal names in two sources are two groups.
    """

    labels: NDArray[np.int64]
    p_fake: NDArray[np.float64]
    sources: NDArray[np.str_]
    groups: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of evaluating a detector on a data set.

    Attributes:
        predictions: One per item, in the order of the samples.
        overall: Metrics of all items.
        by_source: Metrics of each source, by name.
        mean_over_sources: Unweighted mean of accuracy and AUC over sources.
        card: The model's card.
        thresholds: Thresholds of the labels.
        conditions: All other conditions of the metrics.
        alarms: Alarms at thresholds; the first is that of the label fake.
        robustness: Metrics of corrupted pictures, if requested.
        guard: The guard; ``None`` if faces were judged without.
        answer_counts: Counts of answers by class and source.
        against: Comparison with another model, if requested.
    """

    predictions: tuple[Prediction, ...]
    overall: Figures
    by_source: Mapping[str, Figures]
    mean_over_sources: Figures
    card: ModelCard
    thresholds: Thresholds
    conditions: Mapping[str, Json] = field(default_factory=dict)
    alarms: tuple[AlarmReport, ...] = ()
    robustness: Robustness | None = None
    guard: Guard | None = None
    answer_counts: tuple[AnswerCounts, ...] = ()
    against: Against | None = None

    def columns(self) -> Columns:
        """Arrays of the scored items."""
        return columns_of(self.scored)

    @property
    def scored(self) -> tuple[Prediction, ...]:
        """The items with a score."""
        return tuple(p for p in self.predictions if p.p_fake is not None)

    @property
    def clips(self) -> tuple[Prediction, ...]:
        """The items judged as clips."""
        return tuple(p for p in self.predictions if p.kind == "clip")

    @property
    def unreadable(self) -> tuple[Prediction, ...]:
        """Items that were not readable."""
        return tuple(p for p in self.predictions if p.error is not None)

    @property
    def unscored(self) -> tuple[Prediction, ...]:
        """Items without a score, for example because no face was found."""
        return tuple(p for p in self.predictions if p.p_fake is None and p.error is None)

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form, ``metrics.json``."""
        unreadable: list[Json] = [{**_item(p), **dict(p.error or {})} for p in self.unreadable]
        unscored: list[Json] = [{**_item(p), "reason": p.reason} for p in self.unscored]
        return {
            "schema": VERSIONS["evaluation"][-1],
            **self.overall.to_dict(),
            "by_source": {name: one.to_dict() for name, one in self.by_source.items()},
            "mean_over_sources": self.mean_over_sources.to_dict(),
            "told": [one.to_dict() for one in self.answer_counts],
            "alarms": [one.to_dict() for one in self.alarms],
            "calibration": self.card.metrics.get("calibration"),
            "conditions": dict(self.conditions),
            "unreadable": unreadable,
            "unscored": unscored,
            **({"robustness": self.robustness.to_dict()} if self.robustness else {}),
            **({"against": self.against.to_dict()} if self.against else {}),
        }


def columns_of(items: Sequence[Prediction]) -> Columns:
    """Convert scored items to arrays."""
    numbers: dict[tuple[str, str], int] = {}
    return Columns(
        np.array([p.label for p in items], np.int64),
        np.array([p.p_fake for p in items], np.float64),
        np.array([p.source for p in items], np.str_),
        np.array([numbers.setdefault((p.source, p.group), len(numbers)) for p in items], np.int64),
    )


def write_metrics(evaluation: Evaluation, path: Path) -> None:
    """Write ``metrics.json``.

    Raises:
        OutputError: The file is not writable.
    """
    text = json.dumps(evaluation.to_dict(), indent=1, allow_nan=False)
    write_text(path, text + "\n")


def write_predictions(evaluation: Evaluation, path: Path) -> None:
    """Write ``predictions.csv``: one row per item.

    Raises:
        OutputError: The file is not writable.
    """
    write_table(path, COLUMNS, map(_row, evaluation.predictions))


def _row(one: Prediction) -> tuple[object, ...]:
    error = one.error or {}
    return (
        one.path,
        CLASSES[one.label],
        one.source,
        one.group,
        one.split,
        "" if one.p_fake is None else f"{one.p_fake:.6f}",
        one.verdict or "",
        one.reason or "",
        error.get("code", ""),
        error.get("message", ""),
        one.kind,
        one.answer,
        one.frames,
        one.faces,
        one.persons if one.kind == "clip" else "",
        "" if one.duration_s is None else f"{one.duration_s:.3f}",
    )


def _item(one: Prediction) -> dict[str, Json]:
    return {"path": one.path, "source": one.source, "label": CLASSES[one.label]}


def number_or_none(value: float) -> float | None:
    """Return a figure as it is written: with six digits, ``None`` for NaN."""
    return None if math.isnan(value) else round(value, 6)
