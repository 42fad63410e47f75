"""``mesoscope prune``."""

from __future__ import annotations

from pathlib import Path

import click

from mesoscope.cli import options
from mesoscope.cli.extras import train_extra
from mesoscope.cli.numbers import FiniteRange, WholeRange
from mesoscope.cli.train import TrainingBars
from mesoscope.errors import OptionError


@click.command("prune")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@options.datasets
@options.run_out
@click.option(
    "--sparsity",
    type=FiniteRange(0, 0.99),
    default=0.2,
    show_default=True,
    help="Share of the weights that becomes zero; with --structured of the multiply-adds.",
)
@click.option(
    "--schedule",
    type=click.Choice(["gradual", "oneshot"]),
    help="When the weights become zero.  [default: gradual]",
)
@click.option(
    "--finetune",
    type=WholeRange(0),
    default=2,
    show_default=True,
    metavar="EPOCHS",
    help="Train on with what is left.",
)
@click.option("--structured", is_flag=True, help="Take whole channels: a smaller, quicker network.")
@options.resume
@options.overrides
@options.skip_unreadable
@options.accelerator
@options.devices
@options.nodes
def command(
    run: Path,
    datasets: tuple[Path, ...],
    out: Path,
    sparsity: float,
    schedule: str | None,
    finetune: int,
    structured: bool,
    resume: bool,
    overrides: tuple[str, ...],
    skip_unreadable: bool,
    accelerator: str,
    devices: int | None,
    nodes: int,
) -> None:
    """Make a trained network sparse, or narrow, and write a run folder with its model file.

    RUN is the folder of a training run; DATASET is what it was trained on. The smallest weights of
    all layers become zero and stay it while the others are fine-tuned. Zeros make the file smaller
    once it is compressed, and no model quicker; --structured does.
    """
    if structured and schedule == "gradual":
        raise OptionError("--schedule gradual: channels leave all at once with --structured")
    with train_extra():
        from mesoscope.training.compress.prune import prune
        from mesoscope.training.compress.prune_plan import PrunePlan

    plan = PrunePlan(
        sparsity, "oneshot" if structured else schedule or "gradual", finetune, structured
    )
    watcher = TrainingBars(finetune)
    prune(
        run,
        datasets,
        plan,
        out,
        watcher,
        overrides=overrides,
        resume=resume,
        skip_unreadable=skip_unreadable,
        accelerator=accelerator,
        devices=devices or "auto",
        nodes=nodes,
    )
