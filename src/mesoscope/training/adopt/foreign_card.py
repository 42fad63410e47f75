"""``CARD.toml``: the input and output of a third-party face classifier."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mesoscope.errors import RecipeError
from mesoscope.files import recipe_file
from mesoscope.types.card import MAX_PX, MIN_PX, ModelCard, Thresholds

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RANGES", "ForeignCard", "InputKeys", "OutputKeys", "read_foreign_card"]

RANGES = {"0..1": (0.0, 1.0), "0..255": (0.0, 255.0), "-1..1": (-1.0, 1.0)}


@dataclass(frozen=True, slots=True)
class InputKeys:
    """``[input]``: the network's input.

    Attributes:
        size: Side of its square input, in pixels.
        layout: ``nchw`` or ``nhwc``.
        colours: ``rgb`` or ``bgr``.
        range: Range of values before ``mean`` and ``deviation``: ``0..1``, ``0..255`` or ``-1..1``.
        mean: Subtracted from each channel, in the network's order; default 0.
        deviation: Divisor of each channel, in the network's order; default 1.
        face_margin: Side of the crop around a found face, in longest sides of its box.
        crop_margin: The same for pictures that are face crops already.
        further_margins: Margins of further crops of a found face; logits are averaged.
    """

    size: int = 224
    layout: str = "nchw"
    colours: str = "rgb"
    range: str = "0..1"
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    face_margin: float = 1.3
    crop_margin: float = 1.0
    further_margins: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputKeys:
    """``[output]``: the network's output.

    Attributes:
        name: Name of the output to read; needed where there are several.
        gives: ``logit`` or ``probability``: of one value, or of each class.
        fake_classes: Which classes mean "fake", counted from 0; all others mean "real".
        fake_is: For a single value: ``high`` or ``low``.
    """

    name: str = ""
    gives: str = "logit"
    fake_classes: tuple[int, ...] = (1,)
    fake_is: str = "high"


@dataclass(frozen=True, slots=True)
class ThresholdKeys:
    """``[thresholds]`` of ``p_fake``; calibration replaces them."""

    real_below: float = 0.5
    fake_above: float = 0.5


@dataclass(frozen=True, slots=True)
class ForeignCard:
    """The file ``CARD.toml`` of a third-party network.

    Attributes:
        name: Short name of the model, used in verdicts.
        architecture: The authors' name of it.
        training_data: Description of the training data.
        licence: Licence of the weights.
        source: Where the weights come from.
    """

    name: str = ""
    architecture: str = "not recorded"
    training_data: str = ""
    licence: str = ""
    source: str = ""
    input: InputKeys = field(default_factory=InputKeys)
    output: OutputKeys = field(default_factory=OutputKeys)
    thresholds: ThresholdKeys = field(default_factory=ThresholdKeys)

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault:
            raise RecipeError(fault)

    def card(self) -> ModelCard:
        """Return the model card, as far as it is known before export."""
        i, t = self.input, self.thresholds
        return ModelCard(
            name=self.name, architecture=self.architecture, input_px=i.size,
            crop_margin=i.crop_margin, face_margin=i.face_margin,
            further_margins=i.further_margins, training_data=self.training_data,
            licence=self.licence, source=self.source or "brought by the user",
            thresholds=Thresholds(t.real_below, t.fake_above, "as its card says"),
        )  # fmt: skip


def _fault(card: ForeignCard) -> str | None:
    i, o, t = card.input, card.output, card.thresholds
    plain = card.name and all(c.isascii() and (c.isalnum() or c in "_-.") for c in card.name)
    rules = [
        ("name must be letters a to z, digits, - . or _", plain and card.name[0] not in "-."),
        ("name must have at most 60 characters", len(card.name) <= 60),
        (f"input.size must lie in {MIN_PX}..{MAX_PX}", MIN_PX <= i.size <= MAX_PX),
        ("input.layout must be 'nchw' or 'nhwc'", i.layout in ("nchw", "nhwc")),
        ("input.colours must be 'rgb' or 'bgr'", i.colours in ("rgb", "bgr")),
        (f"input.range must be one of {', '.join(RANGES)}", i.range in RANGES),
        ("input.mean must be 3 numbers within ±1000", _three(i.mean, -1000, 1000)),
        ("input.deviation must be 3 numbers in 0.0001..1000", _three(i.deviation, 1e-4, 1000)),
        ("input.face_margin must lie in 1..4", 1 <= i.face_margin <= 4),
        ("input.crop_margin must lie in 1..4", 1 <= i.crop_margin <= 4),
        (
            "input.further_margins must be at most 8 numbers in 1..4",
            len(i.further_margins) <= 8 and all(1 <= m <= 4 for m in i.further_margins),
        ),
        ("output.gives must be 'logit' or 'probability'", o.gives in ("logit", "probability")),
        ("output.fake_is must be 'high' or 'low'", o.fake_is in ("high", "low")),
        (
            "output.fake_classes must be different whole numbers from 0 on",
            len(set(o.fake_classes)) == len(o.fake_classes) > 0 and min(o.fake_classes) >= 0,
        ),
        (
            "thresholds must satisfy 0 <= real_below <= fake_above <= 1",
            0 <= t.real_below <= t.fake_above <= 1,
        ),
    ]
    return next((rule for rule, holds in rules if not holds), None)


def _three(values: tuple[float, ...], low: float, high: float) -> bool:
    return not values or (len(values) == 3 and all(low <= v <= high for v in values))


def read_foreign_card(path: Path) -> ForeignCard:
    """Read the card of a third-party network.

    Raises:
        RecipeError: The file is missing or no TOML, or a key or value is not valid.
    """
    data = recipe_file.read_toml(path, missing="no such card: write one beside the model")
    try:
        return recipe_file.fill(
            ForeignCard,
            data,
            hint=partial(recipe_file.nearest, dataclasses.asdict(ForeignCard(name="x"))),
        )
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
