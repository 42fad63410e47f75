"""What one may choose when asking for verdicts: one field an option, with all that is known of it.

Command line, service, job folders and reports read these fields, so a new option is one more of
them; ``ARCHITECTURE.md`` says which files it touches.
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mesoscope.errors import OptionError
from mesoscope.types.finders import FINDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.types.card import Json

T = TypeVar("T")

DEFAULT_MAX_PIXELS = 120_000_000  # the 108-megapixel cameras of telephones fit
_INFO = "option"


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """What is known of an option besides its name, type and default.

    Attributes:
        help: In a line, for the command line; other options stand between backticks.
        flag: What it is called there, without dashes. A flag of a truth value turns the default
            round.
        kind: Type of its values, ``None`` aside.
        choices: All values that there are; empty where they are not listed.
        least: The smallest value.
        most: The largest value.
        is_open: ``least`` and ``most`` themselves are not allowed.
        unit: A value of 1 on the command line stands for so many here.
        metavar: What the value is called on the command line.
        decides: Verdicts depend on it.
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

    def refusal(self, name: str, value: object) -> str | None:
        """Why a value is not allowed, for an option of that name; ``None`` where it is."""
        if value is None:
            return None
        if self.choices:
            wanted = f"be one of {', '.join(self.choices)}"
            return None if value in self.choices else f"{name} must {wanted}, got {value!r}"
        if self.least is None or not isinstance(value, int | float):
            return None
        most = math.inf if self.most is None else self.most
        if self.is_open:
            allowed = self.least < value < most
            between = f"lie between {self.least} and {most}"
            wanted = between if self.most is not None else f"be above {self.least} and finite"
        else:
            allowed = self.least <= value <= most
            inside = f"lie in {self.least}..{most}"
            wanted = inside if self.most is not None else f"be at least {self.least}"
        return None if allowed else f"{name} must {wanted}, got {value}"


def _option(default: T, info: OptionInfo) -> T:
    made: T = field(default=default, metadata={_INFO: info})
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectOptions:
    """What one may choose when asking for verdicts.

    Attributes:
        faces: ``"auto"`` picks the best finder there is and takes pictures that are face crops as
            they are, ``"mtcnn"`` and ``"yunet"`` name one, ``"whole"`` takes the picture as a face.
        finder_model: File of the finder's model, where it needs one that is not shipped.
        frames: Of a clip, so many frames, evenly spaced over its length.
        every_s: Of a clip, one frame every so many seconds in place of ``frames``.
        threshold: One cut in place of the card's two; ``None`` keeps the card's.
        fpr: A false-positive rate for which the card holds a threshold: fake from that one on.
        guard: Leave faces undecided that are unlike those of the model's training.
        max_pixels: Pictures with more are refused before they are decoded.
        min_face_px: Faces whose longest side is shorter are not judged.
        batch_size: Crops scored in one call. On CPUs one or two are quickest, whose activations
            stay in the cache; ``benchmarks/scoring.py`` prints the rate of each.
        jobs: Threads; 0 = one a core.
        heat: Keep each face's evidence map.

    Raises:
        OptionError: An option outside its range, or two that do not go together.
    """

    faces: str = _option(
        "auto",
        OptionInfo(
            "auto finds faces, by yunet where it has its model, else by mtcnn, and takes face "
            "crops as they are; whole takes each picture as a face.",
            "faces", str, choices=FINDERS,
        ),
    )  # fmt: skip
    finder_model: str | os.PathLike[str] | None = _option(  # noqa: RUF009 - it is a field
        None, OptionInfo("YuNet's model file.", "finder-model", str)
    )
    frames: int = _option(
        32,
        OptionInfo(
            "Of a clip: so many frames, evenly spaced over its length.", "frames", int, least=1
        ),
    )
    every_s: float | None = _option(
        None,
        OptionInfo(
            "Of a clip: a frame every so many seconds in place of `frames`.", "every", float,
            least=0, is_open=True, metavar="SECONDS",
        ),
    )  # fmt: skip
    threshold: float | None = _option(
        None,
        OptionInfo(
            "One cut in place of the model's two: fake from there on.", "threshold", float,
            least=0, most=1,
        ),
    )  # fmt: skip
    fpr: float | None = _option(
        None,
        OptionInfo(
            "Fake from the model's own threshold for this false-positive rate on.", "fpr", float,
            least=0, most=1, is_open=True,
        ),
    )  # fmt: skip
    guard: bool = _option(
        True,
        OptionInfo("Decide on faces, too, that are unlike the model's training.", "no-guard", bool),
    )
    max_pixels: int = _option(
        DEFAULT_MAX_PIXELS,
        OptionInfo(
            "Refuse pictures with more megapixels.", "max-pixels", int, least=1, unit=1_000_000
        ),
    )
    min_face_px: int = _option(
        40,
        OptionInfo(
            "Do not judge faces with fewer pixels along their longest side.", "min-face", int,
            least=1,
        ),
    )  # fmt: skip
    batch_size: int = _option(
        1, OptionInfo("Crops a call.", "batch-size", int, least=1, decides=False)
    )
    jobs: int = _option(
        0, OptionInfo("Threads.  [default: one a core]", "jobs", int, least=0, decides=False)
    )
    heat: bool = _option(
        False, OptionInfo("Keep each face's evidence map.", "heat", bool, decides=False)
    )

    def __post_init__(self) -> None:
        if self.finder_model is not None:
            object.__setattr__(self, "finder_model", os.fspath(self.finder_model))
        for name, info in option_infos().items():
            refusal = info.refusal(name, getattr(self, name))
            if refusal is not None:
                raise OptionError(refusal)
        if self.fpr is not None and self.threshold is not None:
            raise OptionError("fpr and threshold are two ways to say the same: give one of them")

    def deciding(self) -> dict[str, Json]:
        """The options that verdicts depend on, ready for JSON."""
        return {name: getattr(self, name) for name, info in option_infos().items() if info.decides}

    @classmethod
    def of_settings(cls, values: Mapping[str, object]) -> DetectOptions:
        """The options that :meth:`deciding` gave, maybe of an older version or a newer one.

        What is missing has its default, and what is not known here is left out.
        """
        known: dict[str, Any] = {k: v for k, v in values.items() if k in option_infos()}
        return DetectOptions(**known)

    def arguments(self) -> list[str]:
        """The command line's arguments that say the options which verdicts depend on."""
        told = []
        for one in dataclasses.fields(DetectOptions):
            info, value = info_of(one), getattr(self, one.name)
            if not info.decides or value is None:
                continue
            if info.kind is bool:
                told += [f"--{info.flag}"] if value != one.default else []
            else:
                told.append(f"--{info.flag}={value if info.unit == 1 else value / info.unit}")
        return told


def info_of(one: dataclasses.Field[object]) -> OptionInfo:
    """What is known of the option that a field of :class:`DetectOptions` is."""
    info: OptionInfo = one.metadata[_INFO]
    return info


def option_infos() -> dict[str, OptionInfo]:
    """What is known of each option, by name, in the order of the fields."""
    return {one.name: info_of(one) for one in dataclasses.fields(DetectOptions)}
