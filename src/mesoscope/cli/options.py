"""Options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

import click

MEGAPIXEL = 1_000_000
KEPT_BYTES = 128 << 20  # of freed memory, see mesoscope.heap

model = click.option(
    "--model", default="meso4", show_default=True, help="A shipped model or a file."
)
faces = click.option(
    "--faces",
    type=click.Choice(["auto", "whole"]),
    default="auto",
    show_default=True,
    help="whole takes each picture as a face; auto picks the best finder.",
)
threshold = click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="One cut in place of the model's two: fake from there on.",
)
jobs = click.option(
    "--jobs", type=click.IntRange(0), default=0, help="Threads.  [default: one a core]"
)
max_pixels = click.option(
    "--max-pixels",
    type=click.FloatRange(0.001),
    default=120,
    show_default=True,
    help="Refuse pictures with more megapixels.",
)
