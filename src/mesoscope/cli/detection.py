"""The model and the detection options of a command, and the detector built from them.

The options are no arguments of the command: their values are stored with the call, where
:func:`spec` reads them. Each field of :class:`mesoscope.types.DetectOptions` is an option.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mesoscope.cli.environment import finders_folder, models_folder
from mesoscope.cli.options import of_field, stored, stored_values, value_of
from mesoscope.models import DEFAULT_MODEL
from mesoscope.types.names import FINDERS_WITH_MODEL
from mesoscope.types.options import option_infos

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesoscope.detection.detector import Detector, DetectorSpec

    Command = TypeVar("Command", bound=Callable[..., object])


_model_option = click.option(
    "--model", default=DEFAULT_MODEL, show_default=True,
    help="Name of a shipped or added model, or a model file.",
)  # fmt: skip


def detection_options(
    only: Sequence[str] | None = None,
    *,
    without: Sequence[str] = (),
    model: bool = True,
    faces: str | None = None,
) -> Callable[[Command], Command]:
    """Return a decorator that adds ``--model`` and the detection options to a command.

    Args:
        only: Fields of :class:`mesoscope.types.DetectOptions` to add; ``None`` adds all that
            verdicts depend on.
        without: Fields to leave out.
        model: Add ``--model``.
        faces: Default of ``--faces``; the field's own if ``None``.
    """
    deciding = [name for name, info in option_infos().items() if info.decides]
    fields = [
        of_field(name, default=faces if name == "faces" else None)
        for name in (only or deciding)
        if name not in without
    ]
    return stored(__name__, *[_model_option] * model, *fields)


def model() -> str:
    """Return the model of the running command: its name, or the file of an added model."""
    name = str(stored_values(__name__)["model"])
    if name == DEFAULT_MODEL:
        return name
    from mesoscope.models.added import named_model

    return named_model(name, models_folder())


def values(*, faces: str | None = None) -> dict[str, Any]:
    """Return the detection options of the running command by the names of their fields.

    Args:
        faces: Face finder in place of ``--faces``.

    Raises:
        ModelMismatch: The kept model of the face finder is damaged.
    """
    chosen = {
        name: value_of(name, v) for name, v in stored_values(__name__).items() if name != "model"
    }
    if faces is not None:
        chosen["faces"] = faces
    needs_model = chosen.get("faces") in ("auto", *FINDERS_WITH_MODEL)
    if needs_model and chosen["finder_model"] is None:
        from mesoscope.faces.added import added_finder

        kept = added_finder(finders_folder())
        chosen["finder_model"] = None if kept is None else str(kept)
    return chosen


def spec(
    *, faces: str | None = None, jobs: int = 0, batch_size: int = 1, heat: bool = False
) -> DetectorSpec:
    """Return the detector's specification for the running command.

    Args:
        faces: Face finder in place of ``--faces``.
        jobs: Number of threads; 0 = one per core.
        batch_size: Number of crops per forward pass.
        heat: Keep evidence maps.

    Raises:
        ModelMismatch: The kept model of the face finder is damaged.
        OptionError: Options exclude each other.
    """
    from mesoscope.detection.detector import DetectorSpec

    chosen = values(faces=faces)
    return DetectorSpec(model(), **chosen, jobs=jobs, batch_size=batch_size, heat=heat)


def build(detector: DetectorSpec) -> Detector:
    """Build a detector; what libraries print meanwhile goes to standard error.

    Raises:
        ModelError: The model is missing or invalid.
        OptionError: The card has no threshold for ``--fpr``.
    """
    # ONNX Runtime prints "EP Error …" if a device is not usable; results go to standard output.
    with contextlib.redirect_stdout(sys.stderr):
        return detector.build()
