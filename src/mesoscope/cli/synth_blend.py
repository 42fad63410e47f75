"""``mesoscope synth blend``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from mesoscope.cli import forging, options
from mesoscope.cli.numbers import FiniteRange


@click.command("blend")
@forging.reals
@forging.out
@click.option(
    "--method", type=click.Choice(["self", "xray", "both", "warped", "averaged"]), default="self",
    show_default=True,
    help="self blends a face into itself, xray takes that of somebody similar, both draws one; "
    "warped makes it small and smooth, averaged mixes it with a similar one.",
)  # fmt: skip
@click.option(
    "--strength", type=FiniteRange(0, 4), default=1.0, show_default=True,
    help="How far the two sides of a blend differ.",
)  # fmt: skip
@forging.per_picture
@forging.seed
@forging.landmarks
@forging.format_
@forging.quality
@forging.size
@forging.margin
@forging.validation
@forging.sheet
@options.jobs
def command(
    reals: Path,
    out: Path,
    method: str,
    strength: float,
    per_picture: int,
    seed: int,
    landmarks: Path | None,
    format_: str,
    quality: tuple[int, int],
    size_px: int | None,
    margin: float,
    validation: float,
    sheet: Path | None,
    jobs: int,
) -> int:
    """Blend faces into themselves, or with similar ones.

    What every face swap leaves, and nothing else: two statistics in one face, and a seam.

    REALS is a folder of real faces, or a data set whose reals are taken. Each forgery in
    OUT/SPLIT/fake has its untouched twin of the same name in OUT/SPLIT/real, saved in the same way,
    its mask in OUT/masks and its numbers in OUT/forgeries.jsonl. A second run goes on.
    """
    from mesoscope.synth.forge_folder import ForgingOptions, blend_folder
    from mesoscope.synth.forgery import Encoding
    from mesoscope.synth.reals import Framing

    chosen = ForgingOptions(
        Encoding(format_, quality), Framing(size_px, margin),
        seed=seed, per_picture=per_picture, validation=validation, landmarks=landmarks,
        sheet=sheet, jobs=jobs,
    )  # fmt: skip
    make = partial(blend_folder, reals, out, method=method, strength=strength)
    return forging.run(lambda options, watch: make(options=options, watch=watch), chosen, out)
