"""The model card and its parts: frozen and validated on construction."""

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


MIN_PX, MAX_PX = 8, 2048  # side of a crop
MAX_MARGIN = 10.0  # the face is then a hundredth of its crop
MAX_FURTHER_MARGINS = 8  # each further crop costs as much as the first


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of the network's logit: ``scale * logit + shift``.

    Platt scaling (Platt 1999). The model's graph applies it; the card only records it.

    Attributes:
        scale: Factor of the logit.
        shift: Offset added to it.
        method: Name of the method; ``none`` without calibration.
        fitted_on: Data that it was fitted on.
    """

    scale: float = 1.0
    shift: float = 0.0
    method: str = "none"
    fitted_on: str = ""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The two thresholds of ``p_fake``.

    Attributes:
        real_below: Scores below it are real.
        fake_above: Scores at or above it are fake; scores between the two are inconclusive.
        rule: How the thresholds were chosen.

    Raises:
        ModelError: The thresholds are out of order or outside 0 to 1.
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
    """The guard against faces that are unlike the training data.

    Attributes:
        unfamiliar_above: Faces with an ``unfamiliar`` score above it are not decided.
        false_refusals: Share of validation faces that the guard refuses.
        rule: How the score is computed and how the threshold was chosen.
        fitted_on: Data that the guard was fitted on.

    Raises:
        ModelError: A value is out of range.
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
    """Aggregation of the scores of one person over the frames of a clip.

    :func:`mesoscope.detection.judge.person_of` applies it.

    Attributes:
        rule: ``trimmed_mean``: mean of ``p_fake`` without the highest and the lowest values.
        trim: Share of the frames left out at each end, rounded down.
        min_frames: Persons in fewer frames are not judged (``few_frames``).

    Raises:
        ModelError: The rule is unknown, or a value is out of range.
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
    """A threshold for a false-positive rate, and the counts behind it.

    Attributes:
        fpr: Nominal false-positive rate.
        threshold: Scores at or above it are fake.
        n_real: Number of reals that the threshold was chosen on.
        false_alarms: Number of those reals at or above the threshold.
        fpr_interval: 95 % interval of the false-positive rate, bootstrapped over groups.
        n_fake: Number of fakes judged with the threshold.
        tpr: Share of those fakes at or above the threshold.
        tpr_interval: 95 % interval of ``tpr``, bootstrapped over groups.

    Raises:
        ModelError: A value is out of range.
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
    """The card of a model, stored in the metadata of its file.

    Attributes:
        name: Short name, part of ``model`` in a verdict.
        architecture: One of :data:`~mesoscope.types.names.ARCHITECTURES`.
        input_px: Side of the square input crops, in pixels.
        crop_margin: Side of the crop over the longest side of the box, for pictures that are face
            crops already.
        resize: Resampling filter of the crop, see :mod:`mesoscope.faces.crop`.
        calibration: Calibration of the logit.
        thresholds: Default thresholds of ``p_fake``.
        guard: Guard against unfamiliar faces; ``None`` if the model has none.
        face_margin: Side of the crop over the longest side of the box, for found faces.
        further_margins: Margins of further crops of a found face; its score comes from the mean
            logit of all crops. Empty for one crop per face.
        operating_points: Thresholds for the false-positive rates that the validation reals support,
            highest rate first.
        aggregation: Aggregation of the frames of a clip.
        training_data: Description of the training data.
        metrics: Measured figures, with their conditions.
        recipe_sha256: Digest of the resolved recipe; empty for imported weights.
        parameters: Number of trainable parameters.
        multiply_adds: Multiply-adds of scoring one crop; 0 in files from before it was counted.
        sparsity: Result of pruning, overall and by layer; empty without pruning.
        quantisation: Quantisation to 8-bit integers; empty without it.
        licence: Licence of the weights.
        source: Origin of the weights.
        label_convention: Constant description of ``p_fake``.
        graph_sha256: Digest of the graph, set by the exporter.
        self_check: ``p_fake`` of the four pictures of
            :func:`mesoscope.detection.scorer.check_pictures`.
        card_version: Version of this schema.

    Raises:
        ModelError: A value is out of range.
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

    @property
    def original(self) -> str:
        """Name and digest of the model that a quantised one was made from, for messages."""
        return str(self.quantisation.get("original", "the model that it was made from"))

    def __post_init__(self) -> None:
        if not MIN_PX <= self.input_px <= MAX_PX:
            raise ModelError(
                f"a card's input_px must lie in {MIN_PX}..{MAX_PX}, got {self.input_px}"
            )
        for margin in (self.crop_margin, self.face_margin):
            if not 1 <= margin <= MAX_MARGIN:
                raise ModelError(
                    f"a card's crop_margin and face_margin must lie in 1..{MAX_MARGIN:g}, got "
                    f"{margin}"
                )
        further = self.further_margins
        if len(further) > MAX_FURTHER_MARGINS or not all(1 <= m <= MAX_MARGIN for m in further):
            raise ModelError(
                f"a card's further_margins must be at most {MAX_FURTHER_MARGINS} numbers from 1 to "
                f"{MAX_MARGIN:g}, got "
                f"{', '.join(map(str, further[: MAX_FURTHER_MARGINS + 1]))}"
            )

    def at_fpr(self, fpr: float) -> Thresholds:
        """Return the thresholds for a false-positive rate.

        Args:
            fpr: One of the rates of :attr:`operating_points`; rates between them are not
                interpolated.

        Returns:
            Thresholds whose ``fake_above`` is that of the rate; ``real_below`` is the card's, or
            ``fake_above`` if that is lower.

        Raises:
            OptionError: The card has no threshold for this rate.
        """
        for point in self.operating_points:
            if math.isclose(point.fpr, fpr):
                rule = (
                    f"false-positive rate {fpr:g} on validation: {point.false_alarms} of "
                    f"{point.n_real} reals"
                )
                real_below = min(self.thresholds.real_below, point.threshold)
                return Thresholds(real_below, point.threshold, rule)
        rates = ", ".join(f"{point.fpr:g}" for point in self.operating_points)
        raise OptionError(
            f"{self.name} has no threshold for a false-positive rate of {fpr:g}: "
            + (
                f"choose one of {rates}, or give a threshold of your own"
                if rates
                else "it has none at all: measure one with mesoscope evaluate --fpr"
            )
        )

    def to_json(self) -> str:
        """Return the card as JSON with sorted keys."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card from JSON.

        Raises:
            ModelError: The text is not a card, or has a newer version.
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
    """Convert the lists of a JSON object to tuples."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in point.items()}
