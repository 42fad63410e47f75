"""The options of every command that judges files, and the detector that they ask for.

They stand in no command's signature: click keeps them with the call, and :func:`spec` reads them
from there. An option that is new in :class:`mesoscope.types.DetectOptions` is one here, too.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mesoscope.cli import options
from mesoscope.types.options import option_infos

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesoscope.detection.detector import Detector, DetectorSpec

    Command = TypeVar("Command", bound=Callable[..., object])

# As the command line has them; those of speed and of maps are arguments of the commands.
_SPECIAL = {
    "faces": options.faces,
    "finder_model": options.finder_model,
    "max_pixels": options.max_pixels,
}


def judging(command: Command) -> Command:
    """Give a command the model and every option that verdicts depend on."""
    for name, info in reversed(option_infos().items()):
        if info.decides:
            option = _SPECIAL.get(name) or options.of_field(name)
            command = _kept_as(name, option(command))
    return _kept_as("model", options.model(command))


def model() -> str:
    """The model that the call that is running asks for."""
    return str(_asked()["model"])


def spec(*, jobs: int = 0, batch_size: int = 1, heat: bool = False) -> DetectorSpec:
    """What the call that is running asks for.

    Raises:
        OptionError: Options that do not go together.
    """
    from mesoscope.detection.detector import DetectorSpec

    asked: dict[str, Any] = _asked()
    return DetectorSpec(**asked, jobs=jobs, batch_size=batch_size, heat=heat)


def detector(*, jobs: int = 0, batch_size: int = 1, heat: bool = False) -> Detector:
    """The detector that the call that is running asks for.

    Raises:
        OptionError: Options that do not go together.
        ModelMissing: No such model, or one that needs a file.
    """
    wanted = spec(jobs=jobs, batch_size=batch_size, heat=heat)
    # ONNX Runtime prints "EP Error …" where a device cannot be used: not among the results.
    with contextlib.redirect_stdout(sys.stderr):
        return wanted.build()


def _asked() -> dict[str, object]:
    """Model and options, by the names of the fields of ``DetectorSpec``."""
    found: dict[str, object] = click.get_current_context().meta.setdefault(__name__, {})
    return found


def _kept_as(name: str, command: Command) -> Command:
    """Have the latest option of a command kept with the call, under a field's name."""
    option: click.Option = command.__click_params__[-1]  # type: ignore[attr-defined]
    callback = option.callback

    def keep(context: click.Context, option: click.Parameter, said: object) -> None:
        if callback is not None:
            said = callback(context, option, said)
        value = said if name == "model" else options.value_of(name, said)
        context.meta.setdefault(__name__, {})[name] = value

    option.expose_value, option.callback = False, keep
    return command
