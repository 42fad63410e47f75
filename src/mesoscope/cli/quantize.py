"""``mesoscope quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import options
from mesoscope.cli.environment import extra
from mesoscope.cli.options import FiniteRange, WholeRange
from mesoscope.cli.printing import columns, echo
from mesoscope.cli.progress import counted

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
    help="Number of faces of the train split for the ranges, equally from each source and class.",
)
@click.option(
    "--seed", type=WholeRange(0), default=0, show_default=True, help="Seed of their choice."
)
@click.option(
    "--max-loss",
    type=FiniteRange(0, 1),
    default=0.01,
    show_default=True,
    help="Largest loss of accuracy or AUC on the validation split.",
)
@click.option("--allow-loss", is_flag=True, help="Write the file anyway.")
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

    MODEL is a shipped model or a file in floats. Faces of the train split calibrate the
    quantisation ranges. Both models are evaluated on the validation split, and accuracy, AUC, size
    and speed are printed side by side. Nothing is written if the loss is larger than --max-loss.
    """
    from mesoscope.models.added import name_of_model, refuse_model_file

    refuse_model_file(out, force=force)
    model_name = name_of_model(name, out)
    with extra("train", "torch"):
        from mesoscope.training.compress.quantize import quantize
    from mesoscope.models.file import find_model, model_id

    comparison = quantize(
        find_model(model),
        datasets,
        out,
        name=model_name,
        faces=faces,
        seed=seed,
        max_loss=max_loss,
        allow_loss=allow_loss,
        count=counted,
    )
    echo("\n".join(comparison_lines(comparison)))
    echo(f"{out}: {model_id(out)}")


def comparison_lines(comparison: Comparison) -> list[str]:
    """Return a table of both models side by side, and how much the outputs differ."""
    before, after = comparison.original, comparison.quantised
    rows = [
        ("", "original", "quantised", ""),
        ("accuracy", f"{before.accuracy:.4f}", f"{after.accuracy:.4f}", "mean over sources"),
        ("AUC", f"{before.auc:.4f}", f"{after.auc:.4f}", "mean over sources"),
        ("file", f"{before.size_bytes:,}", f"{after.size_bytes:,}", "bytes"),
        (
            "faces/s",
            f"{before.faces_per_second:,.0f}",
            f"{after.faces_per_second:,.0f}",
            f"{after.faces_per_second / before.faces_per_second:.2f} ×, one core of this machine",
        ),
    ]
    difference = f"p_fake differs by {comparison.moved:.3f} (root mean square)"
    labels = f"{comparison.other_labels:.1%} get another label"
    last = f"{comparison.n:,} validation pictures: {difference}, {labels}"
    return [*columns(rows, right=(1, 2)), last]
