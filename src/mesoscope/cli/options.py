"""Options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mesoscope.cli.data_folder import finders_folder, models_folder
from mesoscope.cli.flags import flagged
from mesoscope.cli.numbers import FiniteRange, WholeRange
from mesoscope.models import DEFAULT_MODEL
from mesoscope.types.finders import FINDERS, WITH_A_MODEL
from mesoscope.types.options import DetectOptions, option_infos

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = TypeVar("Command", bound=Callable[..., object])

_DEFAULTS = DetectOptions()
MEGAPIXEL = option_infos()["max_pixels"].unit
KEPT_BYTES = 128 << 20  # of freed memory, see mesoscope.runtime.allocator


def _named_model(_context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """The file of a model that ``mesoscope models add`` kept under that name."""
    if value is None or value == DEFAULT_MODEL:
        return value
    from mesoscope.models.kept import named_model

    return named_model(value, models_folder())


model = click.option(
    "--model", default=DEFAULT_MODEL, show_default=True, callback=_named_model,
    help="A shipped model, one that was added, or a file.",
)  # fmt: skip
_FACES_HELP = (
    "auto finds faces, by yunet where it has its model, else by mtcnn, and takes face crops as "
    "they are; whole takes each picture as a face."
)
_FINDER = "mesoscope.cli.options.faces"  # where a call keeps it, for --finder-model


def _keep_finder(context: click.Context, _: click.Parameter, value: str) -> str:
    context.meta[_FINDER] = value
    return value


# Eager, so that --finder-model knows which finder is asked for.
faces = click.option(
    "--faces", type=click.Choice(FINDERS), default="auto", show_default=True, is_eager=True,
    callback=_keep_finder, help=_FACES_HELP,
)  # fmt: skip
faces_of_crops = click.option(
    "--faces", type=click.Choice(FINDERS), default="whole", show_default=True, is_eager=True,
    callback=_keep_finder, help=_FACES_HELP,
)  # fmt: skip


def _kept_model(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """The file asked for, else the one that ``mesoscope models add`` kept."""
    if value is None and context.meta.get(_FINDER) in ("auto", *WITH_A_MODEL):
        from mesoscope.faces.kept import kept_finder

        path = kept_finder(finders_folder())
        return None if path is None else str(path)
    return value


finder_model = click.option(
    "--finder-model",
    type=click.Path(dir_okay=False),
    callback=_kept_model,
    help="YuNet's model file.  [default: the one that `models add` kept]",
)


def of_field(name: str) -> Callable[[Command], Command]:
    """The option that a field of :class:`mesoscope.types.DetectOptions` is, in its own words."""
    info, default = option_infos()[name], getattr(_DEFAULTS, name)
    told = flagged(info.help)
    if info.kind is bool:
        return click.option(f"--{info.flag}", is_flag=True, help=told)
    kind: click.ParamType[Any] = click.STRING
    if info.choices:
        kind = click.Choice(info.choices)
    elif info.kind in (int, float):
        ranged = WholeRange if info.kind is int else FiniteRange
        is_open = {"min_open": True, "max_open": info.most is not None} if info.is_open else {}
        kind = ranged(info.least, info.most, **is_open)
    shown = default is not None and "[default:" not in told
    return click.option(
        f"--{info.flag}", name, type=kind, default=default, show_default=shown,
        metavar=info.metavar, help=told,
    )  # fmt: skip


def value_of(name: str, said: object) -> object:
    """The field's value for what was said on the command line."""
    info, default = option_infos()[name], getattr(_DEFAULTS, name)
    if info.kind is bool:
        return (not default) if said else default
    if info.unit != 1 and isinstance(said, int | float):
        return info.kind(said * info.unit)
    return said


frames = of_field("frames")
every = of_field("every_s")
threshold = of_field("threshold")
fpr = of_field("fpr")
no_guard = of_field("guard")
jobs = of_field("jobs")
batch_size = of_field("batch_size")
max_pixels = click.option(
    "--max-pixels",
    type=FiniteRange(0.001),
    default=120,
    show_default=True,
    help="Refuse pictures with more megapixels.",
)

# Of the commands that train: train and prune.
datasets = click.argument(
    "datasets", nargs=-1, required=True, metavar="DATASET…", type=click.Path(path_type=Path)
)
run_out = click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The run folder."
)
resume = click.option("--resume", is_flag=True, help="Go on with the run in --out.")
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="As in optimise.batch_size=16."
)
skip_unreadable = click.option(
    "--skip-unreadable", is_flag=True, help="Leave unreadable pictures out."
)
accelerator = click.option(
    "--accelerator",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="What to train on.",
)
devices = click.option(
    "--devices", type=WholeRange(1), help="How many of them.  [default: all GPUs, or one CPU]"
)
nodes = click.option(
    "--nodes", type=WholeRange(1), default=1, show_default=True, help="Machines, by torchrun."
)

# Of the commands that write one model file: import-keras and quantize.
model_out = click.option(
    "-o",
    "--out",
    required=True,
    metavar="OUT.onnx",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The model file to write.",
)
model_name = click.option(
    "--name", help="Name in the model's card.  [default: from the name of OUT.onnx]"
)
force = click.option("--force", is_flag=True, help="Replace OUT.onnx where it exists.")
