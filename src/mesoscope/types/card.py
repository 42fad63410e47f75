"""What a model says of itself: its card, and the parts of it. Frozen, checked when made."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesoscope.errors import ModelError, OptionError
from mesoscope.types.schema import VERSIONS, loads, refuse_version

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Aggregation",
    "Calibration",
    "Guard",
    "Json",
    "ModelCard",
    "OperatingPoint",
    "Thresholds",
]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


LEAST_PX, MOST_PX = 8, 2048  # of a crop's side
WIDEST_MARGIN = 10.0  # the face is then a hundredth of its crop
MOST_MARGINS = 8  # of further crops a face: each costs as much as the first


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the network's own logit became a calibrated one: ``scale * logit + shift``.

    Platt scaling (Platt 1999), inside the model's graph; here only as a record.
    """

    scale: float = 1.0
    shift: float = 0.0
    method: str = "none"
    fitted_on: str = ""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where ``p_fake`` turns into a label.

    Attributes:
        real_below: Below this: real.
        fake_above: From this on: fake; between the two: inconclusive.
        rule: How they were chosen.
    """

    real_below: float = 0.5
    fake_above: float = 0.5
    rule: str = "0.5"

    def __post_init__(self) -> None:
        if not 0 <= self.real_below <= self.fake_above <= 1:
            raise ModelError(
                "thresholds must satisfy 0 <= real_below <= fake_above <= 1, got "
                f"{self.real_below} and {self.fake_above}"
            )


@dataclass(frozen=True, slots=True)
class Guard:
    """How the model knows that a face is like none of its training.

    Attributes:
        unfamiliar_above: Faces whose ``unfamiliar`` lies above it are not decided.
        false_refusals: Share of validation faces that it refuses.
        rule: How the score is made and the threshold was chosen.
        fitted_on: On what.
    """

    unfamiliar_above: float = 1.0
    false_refusals: float = 0.0
    rule: str = ""
    fitted_on: str = ""

    def __post_init__(self) -> None:
        if not (0 < self.unfamiliar_above < math.inf and 0 <= self.false_refusals <= 1):
            raise ModelError(
                "a guard needs unfamiliar_above > 0 and false_refusals in 0..1, got "
                f"{self.unfamiliar_above} and {self.false_refusals}"
            )


@dataclass(frozen=True, slots=True)
class Aggregation:
    """How the scores of one person's frames become one.

    :func:`mesoscope.detection.judge.person_of` applies it.

    Attributes:
        rule: ``trimmed_mean``: of ``p_fake``, without the highest and the lowest ones.
        trim: Share of the frames that is left out at each end, rounded down.
        min_frames: Persons seen in fewer frames are not judged: ``few_frames``.
    """

    rule: str = "trimmed_mean"
    trim: float = 0.2
    min_frames: int = 3

    def __post_init__(self) -> None:
        if self.rule != "trimmed_mean":
            raise ModelError(f"unknown aggregation rule {self.rule!r}: update mesoscope")
        if not (0 <= self.trim < 0.5 and self.min_frames >= 1):
            raise ModelError(
                "an aggregation needs trim in 0..0.5 and min_frames of at least 1, got "
                f"{self.trim} and {self.min_frames}"
            )


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold for a wanted false-positive rate, with what was counted at it.

    Attributes:
        fpr: The wanted rate.
        threshold: Fake from here on.
        n_real: Reals that it was chosen on.
        false_alarms: How many of them lie at or above it.
        fpr_interval: 95 % interval of the rate, by groups.
        n_fake: Fakes that were judged with it.
        tpr: Share of them that lie at or above it.
        tpr_interval: 95 % interval of that share, by groups.
    """

    fpr: float
    threshold: float
    n_real: int
    false_alarms: int
    fpr_interval: tuple[float, ...]
    n_fake: int
    tpr: float
    tpr_interval: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (0 < self.fpr < 1 and 0 <= self.threshold <= 1 and 0 <= self.tpr <= 1):
            raise ModelError(
                "an operating point needs fpr, threshold and tpr in 0..1, got "
                f"{self.fpr}, {self.threshold} and {self.tpr}"
            )
        if not len(self.fpr_interval) == len(self.tpr_interval) == 2:
            raise ModelError("an operating point needs intervals of two ends")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model file says of itself; it travels in the file's metadata.

    Attributes:
        name: Short name, as shown in ``model`` of a verdict.
        architecture: One of :data:`~mesoscope.types.architectures.ARCHITECTURES`.
        input_px: Side of the square crops it takes.
        crop_margin: Longest box side times this is the side of the crop.
        resize: Filter of the crop, see :mod:`mesoscope.faces.crop`.
        calibration: What was done to the logit.
        thresholds: Where ``p_fake`` turns into a label.
        guard: When a face is unfamiliar; ``None`` where the model cannot tell.
        face_margin: Longest side of a found face's box times this is the side of its crop;
            ``crop_margin`` is for pictures that are faces as they are.
        further_margins: Of further crops of a found face, tighter or looser; its score is that of
            the mean logit of all of them. Empty for one crop a face.
        operating_points: Thresholds for false-positive rates, the highest rate first; those rates
            that the validation reals support.
        aggregation: How a clip's frames become one score a person.
        training_data: In words: what it saw.
        metrics: What was measured, with conditions.
        recipe_sha256: Digest of the resolved recipe, empty for imported weights.
        parameters: Trainable parameters.
        multiply_adds: Of scoring one crop; 0 in files made before it was counted.
        sparsity: What pruning took away: overall and by layer; empty where nothing was pruned.
        quantisation: What computes in 8-bit integers, and how; empty where nothing does.
        licence: Of the weights.
        source: Where the weights come from.
        label_convention: Always the same sentence.
        graph_sha256: Digest of the graph, set by the exporter.
        self_check: ``p_fake`` for the four pictures of
            :func:`mesoscope.detection.scorer.check_pictures`.
        card_version: Of this shape.
    """

    name: str
    architecture: str
    input_px: int = 256
    crop_margin: float = 1.0
    resize: str = "area"
    calibration: Calibration = field(default_factory=Calibration)
    thresholds: Thresholds = field(default_factory=Thresholds)
    training_data: str = ""
    metrics: Mapping[str, Json] = field(default_factory=dict)
    recipe_sha256: str = ""
    parameters: int = 0
    multiply_adds: int = 0
    sparsity: Mapping[str, Json] = field(default_factory=dict)
    quantisation: Mapping[str, Json] = field(default_factory=dict)
    licence: str = ""
    source: str = ""
    label_convention: str = "p_fake: fake = 1, real = 0"
    graph_sha256: str = ""
    self_check: tuple[float, ...] = ()
    card_version: int = VERSIONS["card"][-1]
    guard: Guard | None = None
    operating_points: tuple[OperatingPoint, ...] = ()
    face_margin: float = 1.3
    further_margins: tuple[float, ...] = ()
    aggregation: Aggregation = field(default_factory=Aggregation)

    def __post_init__(self) -> None:
        if not LEAST_PX <= self.input_px <= MOST_PX:
            raise ModelError(
                f"a card's input_px must lie in {LEAST_PX}..{MOST_PX}, got {self.input_px}"
            )
        for margin in (self.crop_margin, self.face_margin):
            if not 1 <= margin <= WIDEST_MARGIN:
                raise ModelError(
                    f"a card's crop_margin and face_margin must lie in 1..{WIDEST_MARGIN:g}, got "
                    f"{margin}"
                )
        further = self.further_margins
        if len(further) > MOST_MARGINS or not all(1 <= m <= WIDEST_MARGIN for m in further):
            raise ModelError(
                f"a card's further_margins must be at most {MOST_MARGINS} numbers from 1 to "
                f"{WIDEST_MARGIN:g}, got "
                f"{', '.join(map(str, further[: MOST_MARGINS + 1]))}"
            )

    def at_fpr(self, fpr: float) -> Thresholds:
        """The thresholds for a false-positive rate: fake from its own on, real as before.

        Args:
            fpr: One of the rates of :attr:`operating_points`; nothing is read in between them.

        Returns:
            Thresholds; ``real_below`` is the card's, or the new cut where that is lower.

        Raises:
            OptionError: The card holds no such rate.
        """
        for point in self.operating_points:
            if math.isclose(point.fpr, fpr):
                rule = (
                    f"false-positive rate {fpr:g} on validation: {point.false_alarms} of "
                    f"{point.n_real} reals"
                )
                real_below = min(self.thresholds.real_below, point.threshold)
                return Thresholds(real_below, point.threshold, rule)
        there = ", ".join(f"{point.fpr:g}" for point in self.operating_points)
        raise OptionError(
            f"{self.name} holds no threshold for a false-positive rate of {fpr:g}: "
            + (
                f"it has {there}: take one of them, or give a threshold of your own"
                if there
                else "it holds none at all: measure one with mesoscope evaluate --fpr"
            )
        )

    def to_json(self) -> str:
        """The card as JSON, keys sorted."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card.

        Raises:
            ModelError: Not a card, or of a newer version.
        """
        try:
            data = loads(text)
            version = data.get("card_version")
            refuse_version("card", version, ModelError, where="its card has version")
            data["calibration"] = Calibration(**data["calibration"])
            data["thresholds"] = Thresholds(**data["thresholds"])
            data["self_check"] = tuple(data["self_check"])
            data["further_margins"] = tuple(data.get("further_margins", ()))
            data["aggregation"] = Aggregation(**data.get("aggregation", {}))
            if data.get("guard") is not None:
                data["guard"] = Guard(**data["guard"])
            data["operating_points"] = tuple(
                OperatingPoint(**_with_tuples(point)) for point in data.get("operating_points", ())
            )
            return cls(**data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"its card cannot be read: {error}") from error


def _with_tuples(point: Mapping[str, Json]) -> dict[str, Any]:
    """JSON knows no tuples."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in point.items()}
