"""Options of ``mesoscope synth``, and a run with progress bars and a closing line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import options
from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.cli.options import FiniteRange, WholeRange
from mesoscope.cli.printing import echo
from mesoscope.cli.progress import Stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesoscope.synth.forge_folder import ForgingOptions
    from mesoscope.synth.writing import ForgingSummary

_REASONS = 3  # reasons named in the closing line
_MAX_PX = 4096


def _quality(_: click.Context, option: click.Parameter, value: str) -> tuple[int, int]:
    """Parse ``60-95``, or ``90`` for a single quality."""
    low, _dash, high = value.partition("-")
    try:
        return int(low), int(high or low)
    except ValueError as error:
        message = f"{value!r} is neither a number nor a range, such as 60-95"
        raise click.BadParameter(message, param=option) from error


def _size(_: click.Context, option: click.Parameter, value: str) -> int | None:
    """Parse a number of pixels; ``keep`` is ``None``."""
    try:
        size_px = None if value == "keep" else int(value)
    except ValueError as error:
        message = f"{value!r} is neither a number of pixels nor keep"
        raise click.BadParameter(message, param=option) from error
    if size_px is not None and size_px > _MAX_PX:
        raise click.BadParameter(f"{value} is more than {_MAX_PX} pixels", param=option)
    return size_px


out = click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="The output folder; one that was started with the same options is continued.",
)  # fmt: skip
format_ = click.option(
    "--format", "format_", type=click.Choice(["png", "jpg"]), default="jpg", show_default=True,
    help="Format of the pictures; masks are always PNG.",
)  # fmt: skip
quality = click.option(
    "--quality", metavar="LOW-HIGH", default="60-95", show_default=True, callback=_quality,
    help="JPEG quality, drawn once per pair.",
)  # fmt: skip
validation = click.option(
    "--validation", type=FiniteRange(0, 1), default=0.2, show_default=True,
    help="Share of a plain folder's pictures that goes to validation/.",
)  # fmt: skip

_SHARED = (
    click.option(
        "--per-picture", type=WholeRange(1, 10_000), default=1, show_default=True,
        help="Number of forgeries of each real.",
    ),
    options.seed,
    click.option(
        "--landmarks", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
        help="File of landmarks: JSON lines, or .npz.  [default: found by MTCNN]",
    ),
    format_,
    quality,
    click.option(
        "--size", "size_px", metavar="PIXELS|keep", default="keep", show_default=True,
        callback=_size,
        help="Crop a square of this many pixels around each face, or keep pictures as they are.",
    ),
    click.option(
        "--margin", type=FiniteRange(1, 10), default=1.3, show_default=True,
        help="With --size: side of the square over the face's longest side.",
    ),
    validation,
    click.option(
        "--sheet", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
        help="Also draw a contact sheet: real, forged and mask side by side.",
    ),
    options.jobs,
)  # fmt: skip


forging_options = options.stored(__name__, *_SHARED)  # of blend and edit


def _chosen() -> ForgingOptions:
    """Return the values of :data:`forging_options` in the running call."""
    from mesoscope.synth.forge_folder import ForgingOptions
    from mesoscope.synth.forgery import Encoding
    from mesoscope.synth.reals import Framing

    values = dict(options.stored_values(__name__))
    encoding = Encoding(values.pop("format_"), values.pop("quality"))
    framing = Framing(values.pop("size_px"), values.pop("margin"))
    return ForgingOptions(encoding, framing, **values)


def run(make: Callable[..., ForgingSummary], out: Path) -> int:
    """Make forgeries under progress bars, print a closing line, and return the exit code.

    Args:
        make: A function of :mod:`mesoscope.synth.forge_folder` with its own arguments bound.
        out: The output folder.
    """
    started = time.monotonic()
    forging = _chosen()
    with Stages() as stages:
        summary = make(options=forging, watch=stages.show)
    echo(_summary(summary, out, time.monotonic() - started), err=True)
    if forging.sheet is not None and summary.total:
        echo(f"contact sheet: {forging.sheet}", err=True)
    return INPUT_FAILED if summary.unreadable or not summary.total else DONE


def _summary(summary: ForgingSummary, out: Path, elapsed_s: float) -> str:
    noun = "forgery and its twin" if summary.forged == 1 else "forgeries and their twins"
    parts = [f"{summary.forged:,} {noun} made in {elapsed_s:.1f} s, written to {out}"]
    if summary.existing:
        parts.append(f"{summary.existing:,} existed already")
    if summary.left_out:
        reasons = summary.reasons()
        listed = ", ".join(f"{count:,} × {reason}" for reason, count in reasons[:_REASONS])
        more = ", …" if len(reasons) > _REASONS else ""
        noun = "picture" if len(summary.left_out) == 1 else "pictures"
        parts.append(
            f"{len(summary.left_out):,} {noun} left out ({listed}{more}): "
            f"listed in {out / 'left_out.csv'}"
        )
    return "; ".join(parts)
