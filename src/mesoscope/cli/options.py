"""Number types and options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mesoscope.cli.printing import flagged
from mesoscope.types.options import DetectOptions, option_infos

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = TypeVar("Command", bound=Callable[..., object])
    Callback = Callable[[click.Context, click.Parameter, Any], object]

KEPT_BYTES = 128 << 20  # freed memory that the process keeps, see mesoscope.runtime.allocator
_MAX_INT = 2**31 - 1  # limit of seeds, array sizes and step counts in the libraries used
_DEFAULTS = DetectOptions()


class FiniteRange(click.FloatRange):
    """A float range that rejects ``nan`` and infinities, which click accepts."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Convert a value to a finite float, or fail with a usage error."""
        number = super().convert(value, param, ctx)
        if not abs(number) < float("inf"):  # also false for NaN
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class WholeRange(click.IntRange):
    """An integer range that ends at 2,147,483,647 if it has no maximum."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Convert a value to an integer, or fail with a usage error."""
        number = super().convert(value, param, ctx)
        if abs(number) > _MAX_INT:
            self.fail(f"{number} is more than {_MAX_INT}, the maximum.", param, ctx)
        return number


def stored(key: str, *decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds options whose values are stored with the call.

    The values are no arguments of the command; :func:`stored_values` returns them.

    Args:
        key: Key of the values.
        decorators: The options, in the order of the help.
    """

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
            option: click.Option = command.__click_params__[-1]  # type: ignore[attr-defined]
            option.callback, option.expose_value = _storing(key, option.callback), False
        return command

    return decorate


def _storing(key: str, convert: Callback | None) -> Callback:
    def store(context: click.Context, option: click.Parameter, value: object) -> None:
        if convert is not None:
            value = convert(context, option, value)
        context.meta.setdefault(key, {})[option.name] = value

    return store


def stored_values(key: str) -> dict[str, Any]:
    """Return the values that the options of :func:`stored` have in the running call."""
    values: dict[str, Any] = click.get_current_context().meta.get(key, {})
    return values


def of_field(name: str, *, default: object = None) -> Callable[[Command], Command]:
    """Return the click option of a field of :class:`mesoscope.types.DetectOptions`.

    Args:
        name: Name of the field.
        default: Default of the option; the field's own if ``None``.
    """
    info = option_infos()[name]
    text = flagged(info.help)
    if info.kind is bool:
        return click.option(f"--{info.flag}", name, is_flag=True, help=text)
    kind: click.ParamType[Any] = click.STRING
    if info.choices:
        kind = click.Choice(info.choices)
    elif info.kind is os.PathLike:
        kind = click.Path(dir_okay=False)
    elif info.unit != 1:
        kind = FiniteRange(0, min_open=True)
    elif info.kind in (int, float):
        ranged = WholeRange if info.kind is int else FiniteRange
        is_open = {"min_open": True, "max_open": info.most is not None} if info.is_open else {}
        kind = ranged(info.least, info.most, **is_open)
    if default is None:
        default = getattr(_DEFAULTS, name)
    if isinstance(default, int) and info.unit != 1:
        default = default / info.unit if default % info.unit else default // info.unit
    shown = default is not None and "[default:" not in text
    return click.option(
        f"--{info.flag}", name, type=kind, default=default, show_default=shown,
        metavar=info.metavar, help=text,
    )  # fmt: skip


def value_of(name: str, typed: object) -> object:
    """Return the value of a field for the value of its option on the command line."""
    info, default = option_infos()[name], getattr(_DEFAULTS, name)
    if info.kind is bool:
        return (not default) if typed else default
    if info.unit != 1 and isinstance(typed, int | float):
        return info.kind(typed * info.unit)
    return typed


jobs = of_field("jobs")
batch_size = of_field("batch_size")
seed = click.option(
    "--seed", type=WholeRange(0), default=0, show_default=True, help="Seed of everything random."
)

# Options of scan, watch, export, report and serve.
ledger = click.option(
    "--ledger",
    metavar="URL",
    help="Database that keeps the job's ledger, as in postgresql+psycopg://user@host/name.",
)
sign = click.option(
    "--sign",
    metavar="KEY.pem",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Sign the report with this private key (see mesoscope report keygen).",
)
fail_on = click.option(
    "--fail-on", type=click.Choice(["fake"]), help="Exit with 10 if a verdict has this label."
)
table = click.option(
    "--table/--no-table",
    default=None,
    help="Print a table, or JSON lines.  [default: a table on a terminal]",
)

# Options of train and prune; DATASET also of quantize.
datasets = click.argument(
    "datasets", nargs=-1, required=True, metavar="DATASET…", type=click.Path(path_type=Path)
)
run_out = click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The run folder."
)
resume = click.option("--resume", is_flag=True, help="Resume the run in --out.")
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Override a key of the recipe, as in optimise.batch_size=16; may be repeated.",
)  # fmt: skip
_TRAINING = f"{__name__}.training"  # key of the stored options
training = stored(
    _TRAINING,
    click.option(
        "--skip-unreadable", is_flag=True, help="Leave out unreadable pictures instead of stopping."
    ),
    click.option(
        "--accelerator", type=click.Choice(["auto", "cpu", "gpu"]), default="auto",
        show_default=True, help="Hardware to train on.",
    ),
    click.option(
        "--devices", type=WholeRange(1),
        help="Number of GPUs or CPUs per machine.  [default: all GPUs, or one CPU]",
    ),
    click.option(
        "--nodes", type=WholeRange(1), default=1, show_default=True,
        help="Number of machines; start each with torchrun.",
    ),
)  # fmt: skip


def training_values() -> dict[str, Any]:
    """Return the values of :data:`training` in the running call."""
    values = stored_values(_TRAINING)
    return {**values, "devices": values["devices"] or "auto"}


# Options of synth stylegan and synth stylegan-train.
device = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
    help="Device to run on; auto uses a GPU if available.",
)  # fmt: skip

# Options of import-keras and quantize, which write a model file.
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
force = click.option("--force", is_flag=True, help="Replace OUT.onnx if it exists.")
