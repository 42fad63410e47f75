"""The options of every command that judges files, and the detector that they ask for.

They stand in no command's signature: click keeps them with the call, and :func:`detector` reads
them from there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from mesoscope.cli import options
from mesoscope.models import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesoscope.detection.detector import Detector
    from mesoscope.types import DetectOptions

    Command = TypeVar("Command", bound=Callable[..., object])

_OPTIONS = (
    options.model,
    options.faces,
    options.finder_model,
    options.frames,
    options.every,
    options.threshold,
    options.fpr,
    options.no_guard,
    options.max_pixels,
    options.min_face,
)


@dataclass(slots=True)
class Asked:
    """What a call asks for, by the names of the options."""

    model: str = DEFAULT_MODEL
    faces: str = "auto"
    finder_model: str | None = None
    frames: int = 32
    every_s: float | None = None
    threshold: float | None = None
    fpr: float | None = None
    no_guard: bool = False
    max_pixels: float = 120
    min_face: int = 40


def judging(command: Command) -> Command:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
        kept: click.Option = command.__click_params__[-1]  # type: ignore[attr-defined]
        kept.expose_value, kept.callback = False, _keep(kept.callback)
    return command


def asked() -> Asked:
    """What the call that is running asks for."""
    return _of(click.get_current_context())


def detector(*, jobs: int = 0, batch_size: int = 1, heat: bool = False) -> Detector:
    """The detector that the call that is running asks for.

    Raises:
        OptionError: Options that do not go together.
        ModelMissing: No such model, or one that needs a file.
    """
    from mesoscope.detection.detector import Detector

    wanted = detect_options(jobs=jobs, batch_size=batch_size, heat=heat)
    # ONNX Runtime prints "EP Error …" where a device cannot be used: not among the results.
    with contextlib.redirect_stdout(sys.stderr):
        return Detector(asked().model, **dataclasses.asdict(wanted))


def detect_options(*, jobs: int = 0, batch_size: int = 1, heat: bool = False) -> DetectOptions:
    """The options of that detector.

    Raises:
        OptionError: Options that do not go together.
    """
    from mesoscope.types import DetectOptions

    a = asked()
    return DetectOptions(
        faces=a.faces,
        finder_model=a.finder_model,
        frames=a.frames,
        every_s=a.every_s,
        threshold=a.threshold,
        fpr=a.fpr,
        max_pixels=int(a.max_pixels * options.MEGAPIXEL),
        batch_size=batch_size,
        jobs=jobs,
        min_face_px=a.min_face,
        heat=heat,
        guard=not a.no_guard,
    )


def _of(context: click.Context) -> Asked:
    found: Asked = context.meta.setdefault(__name__, Asked())
    return found


def _keep(
    callback: Callable[[click.Context, click.Parameter, object], object] | None,
) -> Callable[[click.Context, click.Parameter, object], None]:
    def keep(context: click.Context, option: click.Parameter, value: object) -> None:
        if callback is not None:
            value = callback(context, option, value)
        setattr(_of(context), str(option.name), value)

    return keep
