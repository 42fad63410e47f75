"""``mesoscope synth stylegan``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import forging
from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo, visible
from mesoscope.cli.extras import train_extra
from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.cli.numbers import FiniteRange, WholeRange

if TYPE_CHECKING:
    from mesoscope.synth.stylegan.faces import GenerationSummary

_COUNT = 100
_SEEDS_MAX = 10_000_000


def _seeds(_: click.Context, option: click.Parameter, value: str | None) -> list[int] | None:
    """``0-99,200`` as a list."""
    if value is None:
        return None
    found: list[int] = []
    for part in value.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            start, end = int(first), int(last if dash else first)
        except ValueError as error:
            said = f"{part.strip()!r} is neither a seed nor two with a dash, such as 0-99"
            raise click.BadParameter(said, param=option) from error
        if end < start or end - start + len(found) >= _SEEDS_MAX:
            raise click.BadParameter(
                f"{part.strip()!r} names no seeds, or more than {_SEEDS_MAX:,}", param=option
            )
        found += range(start, end + 1)
    return found


@click.command("stylegan")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@forging.out
@click.option(
    "--count", type=WholeRange(1), help=f"So many faces, seeds 0, 1, 2 …  [default: {_COUNT}]"
)
@click.option(
    "--seeds", metavar="SEEDS", callback=_seeds,
    help="These faces in place of --count, such as 0-99 or 3,7,20-29.",
)  # fmt: skip
@click.option(
    "--truncation", type=FiniteRange(-2, 2), default=0.7, show_default=True,
    help="1 = all variety and odd faces, 0 = the mean face.",
)  # fmt: skip
@click.option(
    "--truncated-layers", type=WholeRange(0), help="Only the coarsest so many.  [default: all]"
)
@click.option("--mixing", is_flag=True, help="Take fine layers from a second, drawn latent.")
@click.option(
    "--noise", type=click.Choice(["random", "constant", "none"]), default="random",
    show_default=True, help="Drawn by the seed, as kept in MODEL, or none.",
)  # fmt: skip
@click.option(
    "--size", "size_px", type=WholeRange(4, 4096), metavar="PIXELS",
    help="Of the pictures written.  [default: the model's]",
)  # fmt: skip
@click.option(
    "--reals", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Real faces to write beside them, resized and saved in the same way.",
)  # fmt: skip
@click.option(
    "--seed", type=WholeRange(0), default=0, show_default=True,
    help="Of names, splits and JPEG qualities; faces have --seeds.",
)  # fmt: skip
@forging.format_
@forging.quality
@forging.validation
@click.option(
    "--sheet", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Draw a contact sheet of up to 64 faces, too.",
)  # fmt: skip
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
    help="What to run on; auto takes a GPU where there is one.",
)  # fmt: skip
@click.option("--batch", type=WholeRange(1), help="Faces at a time.  [default: 1, on a GPU 16]")
def command(
    model: Path,
    out: Path,
    count: int | None,
    seeds: list[int] | None,
    truncation: float,
    truncated_layers: int | None,
    mixing: bool,
    noise: str,
    size_px: int | None,
    reals: Path | None,
    seed: int,
    format_: str,
    quality: tuple[int, int],
    validation: float,
    sheet: Path | None,
    device: str,
    batch: int | None,
) -> int:
    """Generate faces with a StyleGAN or StyleGAN2.

    MODEL is a .safetensors file, such as stylegan-train writes, or a .pt file with g_ema in the
    public layout. Files that hold code, NVIDIA's .pkl among them, are refused without running it.
    Each face lies in OUT/SPLIT/fake, with its seed and numbers in OUT/forgeries.jsonl. A second run
    goes on.
    """
    if count is not None and seeds is not None:
        raise click.UsageError("--count and --seeds say the same: give one of them")
    with train_extra():
        from mesoscope.synth.stylegan.face_folder import face_folder
        from mesoscope.synth.stylegan.sampling import SamplingSettings
    from mesoscope.synth.forgery import Encoding

    started = time.monotonic()
    wanted = list(range(count or _COUNT)) if seeds is None else seeds
    with bar(total=len(wanted), what="generating", unit="faces") as progress:
        summary = face_folder(
            model, out, wanted,
            settings=SamplingSettings(truncation, truncated_layers, mixing, noise),
            size_px=size_px, reals=reals, encoding=Encoding(format_, quality), seed=seed,
            validation=validation, sheet=sheet, device=device, batch=batch, watch=progress.update,
        )  # fmt: skip
    echo(_closing(summary, out, time.monotonic() - started), err=True)
    if sheet is not None:
        echo(f"contact sheet: {sheet}", err=True)
    return INPUT_FAILED if summary.left_out else DONE


def _closing(summary: GenerationSummary, out: Path, elapsed_s: float) -> str:
    """What came of a run, in a line."""
    noun = "face" if summary.generated == 1 else "faces"
    parts = [f"{summary.generated:,} {noun} made in {elapsed_s:.1f} s, written to {out}"]
    if summary.existing:
        parts.append(f"{summary.existing:,} were there already")
    if summary.unpaired:
        parts.append(f"{summary.unpaired:,} have no real one beside them, as there are fewer reals")
    if summary.left_out:
        first = visible(next(iter(summary.left_out.values())))
        parts.append(f"{len(summary.left_out):,} reals could not be used (first: {first})")
    return "; ".join(parts)
