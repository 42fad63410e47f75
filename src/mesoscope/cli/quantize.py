"""``mesoscope quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import options
from mesoscope.cli.bars import counted
from mesoscope.cli.echo import echo
from mesoscope.cli.extras import train_extra
from mesoscope.cli.numbers import FiniteRange, WholeRange

if TYPE_CHECKING:
    from mesoscope.training.decide.comparison import Comparison


@click.command("quantize")
@click.argument("model", metavar="MODEL")
@options.datasets
@options.model_out
@options.model_name
@click.option(
    "--faces",
    type=WholeRange(1),
    default=256,
    show_default=True,
    help="Of the train split, each source and class alike; their values set the ranges.",
)
@click.option("--seed", type=WholeRange(0), default=0, show_default=True, help="Of the choice.")
@click.option(
    "--max-loss",
    type=FiniteRange(0, 1),
    default=0.01,
    show_default=True,
    help="What accuracy or AUC may lose on the validation split.",
)
@click.option("--allow-loss", is_flag=True, help="Write the file even where it loses more.")
@options.force
def command(
    model: str,
    datasets: tuple[Path, ...],
    out: Path,
    name: str | None,
    faces: int,
    seed: int,
    max_loss: float,
    *,
    allow_loss: bool,
    force: bool,
) -> None:
    """Write a copy of a model that computes in 8-bit integers.

    MODEL is a shipped model or a file. The ranges of its values come from faces of the data sets'
    train split; then both models judge the validation split, and accuracy, AUC, size and speed are
    printed side by side. Nothing is written where the copy judges worse than --max-loss allows.
    """
    from mesoscope.models.new_file import name_of_model, refuse_model_file

    refuse_model_file(out, force=force)
    called = name_of_model(name, out)
    with train_extra():
        from mesoscope.training.compress.quantize import quantize
    from mesoscope.models.file import find_model, model_id

    found = quantize(
        find_model(model),
        datasets,
        out,
        name=called,
        faces=faces,
        seed=seed,
        max_loss=max_loss,
        allow_loss=allow_loss,
        count=counted,
    )
    echo("\n".join(table(found)))
    echo(f"{out}: {model_id(out)}")


def table(found: Comparison) -> list[str]:
    """Lines with both models side by side."""
    before, after = found.original, found.quantised
    rows = [
        ("", "original", "quantised", ""),
        ("accuracy", f"{before.accuracy:.4f}", f"{after.accuracy:.4f}", "mean over sources"),
        ("AUC", f"{before.auc:.4f}", f"{after.auc:.4f}", "mean over sources"),
        ("file", f"{before.size_bytes:,}", f"{after.size_bytes:,}", "bytes"),
        (
            "faces/s",
            f"{before.faces_per_second:,.0f}",
            f"{after.faces_per_second:,.0f}",
            f"{after.faces_per_second / before.faces_per_second:.2f} ×, one core, here and now",
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{what:<{widths[0]}}  {old:>{widths[1]}}  {new:>{widths[2]}}  {note}".rstrip()
        for what, old, new, note in rows
    ]
    moved = f"p_fake moves by {found.moved:.3f} (root mean square)"
    other = f"{found.other_labels:.1%} get another label"
    return [*lines, f"{found.n:,} validation pictures: {moved}, {other}"]
