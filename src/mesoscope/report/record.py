"""What an evaluation has found, and the shapes in which it is kept.

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
     "unscored": [{"path", "source", "label", "reason"}, …]}

A figure is ``null`` where nothing can be said, say ``auc`` where a class is missing; an interval
is ``null`` there too, and where all items stand in one group.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesoscope.files.csv_rows import csv_row
from mesoscope.files.whole import whole, write_text
from mesoscope.metrics import CUT
from mesoscope.types.label import CLASSES, answer_of
from mesoscope.types.schema import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mesoscope.media.part import FilePart
    from mesoscope.report.robustness import Robustness
    from mesoscope.report.tables import AlarmReport, Told
    from mesoscope.types import Answer, Box, Guard, Json, Label, ModelCard, Thresholds, Verdict

COLUMNS = (
    "path", "label", "source", "group", "split", "p_fake", "verdict", "reason", "error_code",
    "error", "kind", "told", "frames", "faces", "persons", "duration_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prediction:
    """One labelled item and what the detector said of it.

    Attributes:
        path: Of the picture or clip.
        label: The truth: 1 = fake, 0 = real.
        source: The set it comes from.
        group: What is resampled as one.
        split: Where it stood.
        p_fake: ``None`` where nothing was scored.
        verdict: The detector's label.
        box: The face behind ``p_fake``, xyxy in pixels.
        reason: Why there is no label or no clear one.
        error: ``{"code", "message"}`` where the picture could not be read.
        part: Where the picture lies within a larger file, to look at it again; ``None`` for a file
            of its own.
        kind: ``image`` or ``clip``, as it was judged.
        frames: Pictures that were decoded of it.
        faces: Faces that were scored in them.
        persons: Of a clip: how many they belong to.
        duration_s: Of a clip, in seconds.
        seen: The whole verdict, of the clips that were judged most wrongly: a strip is drawn of it.
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
    def told(self) -> Answer:
        """What the user is told: as :attr:`Verdict.answer`."""
        return answer_of(self.verdict, failed=self.error is not None)

    @property
    def wrongness(self) -> tuple[bool, float] | None:
        """How wrong the answer is, to be compared: a wrong label first, then far from .5.

        ``None`` where it is not wrong: a score on the right side of .5 without a wrong label, or
        no score.
        """
        if self.p_fake is None:
            return None
        far = (self.p_fake - CUT) * (-1 if self.label else 1)
        mistold = self.told == CLASSES[1 - self.label]
        beyond = far > 0 or (far == 0 and not self.label)  # .5 itself is called fake
        return (mistold, far) if mistold or beyond else None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one set of items.

    Attributes:
        counts: ``n``, ``n_real``, ``n_fake``, ``n_scored``, ``n_unreadable``, ``n_unscored``.
        values: Name → number; ``nan`` where nothing can be said.
        intervals: Name → 95 % interval, ``nan`` at both ends where there is none.
    """

    counts: Mapping[str, int]
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape: the names side by side, ``intervals`` beneath."""
        intervals: dict[str, Json] = {
            name: None if math.isnan(pair[0]) else [_number(v) for v in pair]
            for name, pair in self.intervals.items()
        }
        values = {name: _number(value) for name, value in self.values.items()}
        return {**self.counts, **values, "intervals": intervals}


class Columns(NamedTuple):
    """The scored items as arrays, ``(n,)`` each.

    Attributes:
        labels: 1 = fake, 0 = real.
        p_fake: 0 to 1.
        sources: Names.
        groups: A number each; a name may stand in two sources and is two groups then.
    """

    labels: NDArray[np.int64]
    p_fake: NDArray[np.float64]
    sources: NDArray[np.str_]
    groups: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A data set, a detector, and what came of it.

    Attributes:
        predictions: One an item, in the order of the samples.
        overall: Of all items.
        by_source: Of each source's items, by name.
        mean_over_sources: Plain mean of accuracy and AUC over the sources; a small source counts
            as much as a large one.
        card: The model's.
        thresholds: Those that the labels were given by.
        conditions: Everything else that the numbers depend on.
        alarms: What thresholds do to reals and fakes; the first is that of the label fake.
        robustness: The figures of changed pictures, where they were asked for.
        guard: The one that was asked; ``None`` where faces were judged without.
        told: What a user is told, counted by class and source.
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
    told: tuple[Told, ...] = ()

    def columns(self) -> Columns:
        """The scored items as arrays."""
        return columns_of(self.scored)

    @property
    def scored(self) -> tuple[Prediction, ...]:
        """The items that the figures speak of."""
        return tuple(p for p in self.predictions if p.p_fake is not None)

    @property
    def clips(self) -> tuple[Prediction, ...]:
        """Those items that were judged as clips."""
        return tuple(p for p in self.predictions if p.kind == "clip")

    @property
    def unreadable(self) -> tuple[Prediction, ...]:
        """Items that could not be read."""
        return tuple(p for p in self.predictions if p.error is not None)

    @property
    def unscored(self) -> tuple[Prediction, ...]:
        """Items that were read and got no score, say because no face was found."""
        return tuple(p for p in self.predictions if p.p_fake is None and p.error is None)

    def to_dict(self) -> dict[str, Json]:
        """The shape of ``metrics.json``."""
        unreadable: list[Json] = [{**_item(p), **dict(p.error or {})} for p in self.unreadable]
        unscored: list[Json] = [{**_item(p), "reason": p.reason} for p in self.unscored]
        return {
            "schema": VERSIONS["evaluation"][-1],
            **self.overall.to_dict(),
            "by_source": {name: one.to_dict() for name, one in self.by_source.items()},
            "mean_over_sources": self.mean_over_sources.to_dict(),
            "told": [one.to_dict() for one in self.told],
            "alarms": [one.to_dict() for one in self.alarms],
            "calibration": self.card.metrics.get("calibration"),
            "conditions": dict(self.conditions),
            "unreadable": unreadable,
            "unscored": unscored,
            **({"robustness": self.robustness.to_dict()} if self.robustness else {}),
        }


def columns_of(items: Sequence[Prediction]) -> Columns:
    """Items with a score as arrays."""
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
        OutputError: It cannot be written.
    """
    text = json.dumps(evaluation.to_dict(), indent=1, allow_nan=False)
    write_text(path, text + "\n")


def write_predictions(evaluation: Evaluation, path: Path) -> None:
    """Write ``predictions.csv``: one row an item.

    Raises:
        OutputError: It cannot be written.
    """
    with (
        whole(path) as part,
        part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write(csv_row(COLUMNS) + "\n")
        file.writelines(csv_row(_row(one)) + "\n" for one in evaluation.predictions)


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
        one.told,
        one.frames,
        one.faces,
        one.persons if one.kind == "clip" else "",
        "" if one.duration_s is None else f"{one.duration_s:.3f}",
    )


def _item(one: Prediction) -> dict[str, Json]:
    return {"path": one.path, "source": one.source, "label": CLASSES[one.label]}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
