"""Detection options: each is one field that holds its default, range, help and flag.

The command line, the service, job folders and reports read these fields, so a new option needs no
change there. ``ARCHITECTURE.md`` lists the files to touch.
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mesoscope.errors import OptionError
from mesoscope.types.names import FINDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.types.card import Json

T = TypeVar("T")

DEFAULT_MAX_PIXELS = 120_000_000  # above the 108 megapixels of telephone cameras
_INFO = "option"


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """Description of an option, besides its name, type and default.

    Attributes:
        help: Help text of the command line; names of other options are in backticks.
        flag: Flag of the command line, without dashes. The flag of a boolean option inverts its
            default.
        kind: Type of the values, apart from ``None``.
        choices: Allowed values; empty if they are not listed.
        least: Minimum.
        most: Maximum.
        is_open: ``least`` and ``most`` themselves are excluded.
        unit: Value that a 1 on the command line stands for.
        metavar: Placeholder of the value in the help.
        decides: Verdicts depend on the option.
        prepares: Prepared data sets depend on it, too:
            :class:`mesoscope.data.prepare.PrepareOptions` has a field of the same name.
    """

    help: str
    flag: str
    kind: type
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    is_open: bool = False
    unit: int = 1
    metavar: str | None = None
    decides: bool = True
    prepares: bool = False

    def refusal(self, name: str, value: object) -> str | None:
        """Return the error message for a value of the option ``name``; ``None`` if it is valid."""
        if value is None:
            return None
        if self.choices:
            listed = ", ".join(self.choices)
            return (
                None if value in self.choices else f"{name} must be one of {listed}, got {value!r}"
            )
        if self.least is None or not isinstance(value, int | float):
            return None
        most = math.inf if self.most is None else self.most
        if self.is_open:
            valid = self.least < value < most
            between = f"lie between {self.least} and {most}"
            condition = between if self.most is not None else f"be above {self.least} and finite"
        else:
            valid = self.least <= value <= most
            between = f"lie in {self.least}..{most}"
            condition = between if self.most is not None else f"be at least {self.least}"
        return None if valid else f"{name} must {condition}, got {value}"


def _option(default: T, info: OptionInfo) -> T:
    option: T = field(default=default, metadata={_INFO: info})
    return option


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectOptions:
    """Options of a detector.

    Attributes:
        faces: Face finder, one of :data:`mesoscope.types.names.FINDERS`. ``"auto"`` picks the
            best available one and takes face crops as they are; with ``"whole"`` each picture is a
            face.
        finder_model: Model file of the finder, if it needs one that is not shipped.
        frames: Number of frames sampled from a clip, evenly spaced.
        every_s: Sampling interval of a clip in seconds, in place of ``frames``.
        threshold: Decision threshold in place of the card's two; ``None`` keeps the card's.
        fpr: False-positive rate whose threshold in the card becomes the upper threshold.
        guard: Leave faces undecided that are unlike the training data.
        unfamiliar_above: Threshold of the guard in place of the card's; lower is stricter.
        max_pixels: Pictures with more pixels are refused before they are decoded.
        min_face_px: Faces whose longest side is shorter are not judged.
        batch_size: Number of crops per forward pass. On CPUs one or two are fastest, because their
            activations stay in the cache; ``benchmarks/scoring.py`` measures it.
        jobs: Number of threads; 0 = one per core.
        heat: Keep the evidence map of each face.

    Raises:
        OptionError: An option is out of range, or two options exclude each other.
    """

    faces: str = _option(
        "auto",
        OptionInfo(
            "Face finder. auto uses yunet if its model is available, otherwise mtcnn, and takes "
            "face crops as they are; whole takes each picture as a face.",
            "faces", str, choices=FINDERS, prepares=True,
        ),
    )  # fmt: skip
    finder_model: str | os.PathLike[str] | None = _option(  # noqa: RUF009 - it is a field
        None,
        OptionInfo(
            "YuNet's model file.  [default: the one that `models add` kept]", "finder-model",
            os.PathLike, metavar="FILE", prepares=True,
        ),
    )  # fmt: skip
    frames: int = _option(
        32,
        OptionInfo(
            "Number of frames sampled from a clip, evenly spaced.", "frames", int, least=1,
            prepares=True,
        ),
    )  # fmt: skip
    every_s: float | None = _option(
        None,
        OptionInfo(
            "Sample a clip at this interval, in place of `frames`.", "every", float,
            least=0, is_open=True, metavar="SECONDS",
        ),
    )  # fmt: skip
    threshold: float | None = _option(
        None,
        OptionInfo(
            "Decision threshold; replaces the model's two thresholds.", "threshold", float,
            least=0, most=1,
        ),
    )  # fmt: skip
    fpr: float | None = _option(
        None,
        OptionInfo(
            "Set the upper threshold to the model's for this false-positive rate.", "fpr", float,
            least=0, most=1, is_open=True,
        ),
    )  # fmt: skip
    guard: bool = _option(
        True,
        OptionInfo("Also decide on faces that are unlike the training data.", "no-guard", bool),
    )
    unfamiliar_above: float | None = _option(
        None,
        OptionInfo(
            "Leave faces undecided whose distance from the training data is larger.  [default: the "
            "model's, usually 1]", "unfamiliar-above", float, least=0, is_open=True,
        ),
    )  # fmt: skip
    max_pixels: int = _option(
        DEFAULT_MAX_PIXELS,
        OptionInfo(
            "Refuse pictures with more megapixels.",
            "max-pixels",
            int,
            least=1,
            unit=1_000_000,
            prepares=True,
        ),
    )
    min_face_px: int = _option(
        40,
        OptionInfo(
            "Skip faces whose longest side has fewer pixels.", "min-face", int, least=1,
            prepares=True,
        ),
    )  # fmt: skip
    batch_size: int = _option(
        1,
        OptionInfo(
            "Number of crops per forward pass; on most CPUs 1 is fastest, and more than 16 go in "
            "several passes.",
            "batch-size", int, least=1, decides=False,
        ),
    )  # fmt: skip
    jobs: int = _option(
        0,
        OptionInfo(
            "Number of threads.  [default: one per core]", "jobs", int, least=0, decides=False
        ),
    )
    heat: bool = _option(
        False, OptionInfo("Keep the evidence map of each face.", "heat", bool, decides=False)
    )

    def __post_init__(self) -> None:
        if self.finder_model is not None:
            object.__setattr__(self, "finder_model", os.fspath(self.finder_model))
        for name, info in option_infos().items():
            refusal = info.refusal(name, getattr(self, name))
            if refusal is not None:
                raise OptionError(refusal)
        if self.fpr is not None and self.threshold is not None:
            raise OptionError("fpr and threshold exclude each other: give one of them")
        if self.unfamiliar_above is not None and not self.guard:
            raise OptionError("unfamiliar_above is a threshold of the guard, which is switched off")

    def deciding(self) -> dict[str, Json]:
        """Return the options that verdicts depend on, ready for JSON."""
        return {name: getattr(self, name) for name, info in option_infos().items() if info.decides}

    @classmethod
    def of_settings(cls, values: Mapping[str, object]) -> DetectOptions:
        """Build the options from the result of :meth:`deciding`, possibly of another version.

        Missing options get their defaults, and unknown ones are ignored.
        """
        fields: dict[str, Any] = {k: v for k, v in values.items() if k in option_infos()}
        return DetectOptions(**fields)

    def arguments(self) -> list[str]:
        """Return command line arguments for the options that verdicts depend on."""
        arguments = []
        for option in dataclasses.fields(DetectOptions):
            info, value = info_of(option), getattr(self, option.name)
            if not info.decides or value is None:
                continue
            if info.kind is bool:
                arguments += [f"--{info.flag}"] if value != option.default else []
            else:
                number = value if info.unit == 1 else f"{value / info.unit:.12g}"
                arguments.append(f"--{info.flag}={number}")
        return arguments


def info_of(option: dataclasses.Field[object]) -> OptionInfo:
    """Return the description of a field of :class:`DetectOptions`."""
    info: OptionInfo = option.metadata[_INFO]
    return info


def option_infos() -> dict[str, OptionInfo]:
    """Return the description of each option by name, in the order of the fields."""
    return {option.name: info_of(option) for option in dataclasses.fields(DetectOptions)}
