"""What the makers of ``mesoscope synth`` share: their options, and a run over many reals."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.bars import Stages
from mesoscope.cli.echo import echo
from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.cli.numbers import FiniteRange, WholeRange

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesoscope.synth.forge_folder import ForgingOptions, Watch
    from mesoscope.synth.writing import ForgingSummary

_SHOWN = 3  # reasons in the closing line


def _quality(_: click.Context, option: click.Parameter, value: str) -> tuple[int, int]:
    """``60-95``, or ``90`` for one quality."""
    low, _dash, high = value.partition("-")
    try:
        return int(low), int(high or low)
    except ValueError as error:
        said = f"{value!r} is neither one number nor two, such as 60-95"
        raise click.BadParameter(said, param=option) from error


_LARGEST_PX = 4096


def _size(_: click.Context, option: click.Parameter, value: str) -> int | None:
    """A number of pixels, or ``None`` for ``keep``."""
    try:
        size_px = None if value == "keep" else int(value)
    except ValueError as error:
        said = f"{value!r} is neither a number of pixels nor keep"
        raise click.BadParameter(said, param=option) from error
    if size_px is not None and size_px > _LARGEST_PX:
        raise click.BadParameter(f"{value} is more than {_LARGEST_PX} pixels", param=option)
    return size_px


reals = click.argument("reals", metavar="REALS", type=click.Path(path_type=Path))
out = click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="The folder for forgeries and twins; one that was begun so is gone on with.",
)  # fmt: skip
per_picture = click.option(
    "--per-picture", type=WholeRange(1, 10_000), default=1, show_default=True,
    help="Forgeries of each real.",
)  # fmt: skip
seed = click.option(
    "--seed", type=WholeRange(0), default=0, show_default=True, help="Of all that is drawn."
)
landmarks = click.option(
    "--landmarks", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Landmarks that you have: JSON lines, or .npz.  [default: found by MTCNN]",
)  # fmt: skip
format_ = click.option(
    "--format", "format_", type=click.Choice(["png", "jpg"]), default="jpg", show_default=True,
    help="Of the pictures; masks are always PNG.",
)  # fmt: skip
quality = click.option(
    "--quality", metavar="LOW-HIGH", default="60-95", show_default=True, callback=_quality,
    help="JPEG quality, drawn once a pair.",
)  # fmt: skip
size = click.option(
    "--size", "size_px", metavar="PIXELS|keep", default="keep", show_default=True, callback=_size,
    help="Cut a square of so many pixels around each face, or keep pictures as they are.",
)  # fmt: skip
margin = click.option(
    "--margin", type=FiniteRange(1, 10), default=1.3, show_default=True,
    help="With --size: side of the square over the face's longest side.",
)  # fmt: skip
validation = click.option(
    "--validation", type=FiniteRange(0, 1), default=0.2, show_default=True,
    help="Share of a plain folder's pictures that goes to validation/.",
)  # fmt: skip
sheet = click.option(
    "--sheet", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Draw a contact sheet, too: real, forged and mask side by side.",
)  # fmt: skip


def run(
    make: Callable[[ForgingOptions, Watch], ForgingSummary], options: ForgingOptions, out: Path
) -> int:
    """Forge under bars and say what came of it; gives back the exit code.

    Args:
        make: Forges: a function of :mod:`mesoscope.synth.forge_folder`, with its own options given.
        options: What all makers share.
        out: The folder to write.
    """
    started = time.monotonic()
    with Stages() as stages:
        summary = make(options, stages.show)
    echo(closing(summary, out, time.monotonic() - started), err=True)
    if options.sheet is not None and summary.total:
        echo(f"contact sheet: {options.sheet}", err=True)
    return INPUT_FAILED if summary.unreadable or not summary.total else DONE


def closing(summary: ForgingSummary, out: Path, elapsed_s: float) -> str:
    """What came of a run, in a line."""
    noun = "forgery and its twin" if summary.forged == 1 else "forgeries and their twins"
    parts = [f"{summary.forged:,} {noun} made in {elapsed_s:.1f} s, written to {out}"]
    if summary.existing:
        parts.append(f"{summary.existing:,} were there already")
    if summary.left_out:
        reasons = summary.reasons()
        said = ", ".join(f"{count:,} × {reason}" for reason, count in reasons[:_SHOWN])
        more = ", …" if len(reasons) > _SHOWN else ""
        noun = "picture" if len(summary.left_out) == 1 else "pictures"
        parts.append(
            f"{len(summary.left_out):,} {noun} left out ({said}{more}): "
            f"listed in {out / 'left_out.csv'}"
        )
    return "; ".join(parts)
