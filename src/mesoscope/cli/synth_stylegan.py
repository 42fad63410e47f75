"""``mesoscope synth stylegan``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import forging, options
from mesoscope.cli.environment import extra
from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.cli.options import FiniteRange, WholeRange
from mesoscope.cli.printing import echo, escape_text, plural
from mesoscope.cli.progress import bar

if TYPE_CHECKING:
    from mesoscope.synth.stylegan.faces import GenerationSummary

_DEFAULT_COUNT = 100
_SAMPLING = f"{__name__}.sampling"  # key of the stored options
_SEEDS_MAX = 10_000_000


def _seeds(_: click.Context, option: click.Parameter, value: str | None) -> list[int] | None:
    """Parse ``0-99,200`` into a list of seeds."""
    if value is None:
        return None
    seeds: list[int] = []
    for part in value.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            start, end = int(first), int(last if dash else first)
        except ValueError as error:
            message = f"{part.strip()!r} is neither a seed nor a range, such as 0-99"
            raise click.BadParameter(message, param=option) from error
        if end < start or end - start + len(seeds) >= _SEEDS_MAX:
            raise click.BadParameter(
                f"{part.strip()!r} is an empty range, or one of more than {_SEEDS_MAX:,}",
                param=option,
            )
        seeds += range(start, end + 1)
    return seeds


@click.command("stylegan")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@forging.out
@click.option(
    "--count",
    type=WholeRange(1),
    help=f"Number of faces: seeds 0, 1, 2 …  [default: {_DEFAULT_COUNT}]",
)
@click.option(
    "--seeds", metavar="SEEDS", callback=_seeds,
    help="Seeds in place of --count, such as 0-99 or 3,7,20-29.",
)  # fmt: skip
@options.stored(
    _SAMPLING,
    click.option(
        "--truncation",
        type=FiniteRange(-2, 2),
        default=0.7,
        show_default=True,
        help="Truncation of styles towards the mean: 1 = none, 0 = the mean face.",
    ),
    click.option(
        "--truncated-layers",
        type=WholeRange(0),
        help="Number of layers to truncate, from the coarsest.  [default: all]",
    ),
    click.option("--mixing", is_flag=True, help="Style mixing: fine layers from a second latent."),
    click.option(
        "--noise",
        type=click.Choice(["random", "constant", "none"]),
        default="random",
        show_default=True,
        help="Noise of the generator: random by the seed, constant as stored in MODEL, or none.",
    ),
)
@options.stored(
    __name__,
    click.option(
        "--size",
        "size_px",
        type=WholeRange(4, 4096),
        metavar="PIXELS",
        help="Side of the pictures in pixels.  [default: the model's]",
    ),
    click.option(
        "--reals",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Folder of real faces to pair with the generated ones, resized and saved in the same "
        "way.",
    ),
    click.option(
        "--seed",
        type=WholeRange(0),
        default=0,
        show_default=True,
        help="Seed of names, splits and JPEG qualities; faces have --seeds.",
    ),
    forging.format_,
    forging.quality,
    forging.validation,
    click.option(
        "--sheet",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Also draw a contact sheet of up to 64 faces.",
    ),
    options.device,
    click.option(
        "--batch",
        type=WholeRange(1),
        help="Number of faces per forward pass.  [default: 1, on a GPU 16]",
    ),
)
def command(model: Path, out: Path, count: int | None, seeds: list[int] | None) -> int:
    """Generate faces with a StyleGAN or StyleGAN2.

    MODEL is a .safetensors file, as written by stylegan-train, or a .pt file with g_ema. A file
    that holds code, such as NVIDIA's .pkl, is refused without executing it. Each face is in
    OUT/SPLIT/fake, with its seed and parameters in OUT/forgeries.jsonl. A second run continues.
    """
    if count is not None and seeds is not None:
        raise click.UsageError("--count and --seeds exclude each other: give one of them")
    with extra("train", "torch"):
        from mesoscope.synth.stylegan.faces import GenerationOptions, face_folder
        from mesoscope.synth.stylegan.sampling import SamplingSettings
    from mesoscope.synth.forgery import Encoding

    started = time.monotonic()
    if seeds is None:
        seeds = list(range(count or _DEFAULT_COUNT))
    values = dict(options.stored_values(__name__))
    encoding = Encoding(values.pop("format_"), values.pop("quality"))
    generation = GenerationOptions(
        SamplingSettings(**options.stored_values(_SAMPLING)), encoding=encoding, **values
    )
    with bar(total=len(seeds), what="generating", unit="faces") as progress:
        summary = face_folder(model, out, seeds, generation, watch=progress.update)
    echo(_summary(summary, out, time.monotonic() - started), err=True)
    if generation.sheet is not None:
        echo(f"contact sheet: {generation.sheet}", err=True)
    return INPUT_FAILED if summary.left_out else DONE


def _summary(summary: GenerationSummary, out: Path, elapsed_s: float) -> str:
    parts = [f"{plural(summary.generated, 'face')} made in {elapsed_s:.1f} s, written to {out}"]
    if summary.existing:
        parts.append(f"{summary.existing:,} existed already")
    if summary.unpaired:
        parts.append(
            f"{summary.unpaired:,} have no real counterpart, because there are fewer reals"
        )
    if summary.left_out:
        first = escape_text(next(iter(summary.left_out.values())))
        parts.append(f"{len(summary.left_out):,} reals could not be used (first: {first})")
    return "; ".join(parts)
