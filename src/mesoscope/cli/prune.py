"""``mesoscope prune``."""

from __future__ import annotations

from pathlib import Path

import click

from mesoscope.cli import options
from mesoscope.cli.environment import extra
from mesoscope.cli.options import FiniteRange, WholeRange
from mesoscope.cli.train import TrainingBars
from mesoscope.errors import OptionError


@click.command("prune")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@options.datasets
@options.run_out
@options.stored(
    __name__,
    click.option(
        "--sparsity",
        type=FiniteRange(0, 0.99),
        default=0.2,
        show_default=True,
        help="Share of the weights to set to zero; with --structured, of the multiply-adds to "
        "remove.",
    ),
    click.option(
        "--schedule",
        type=click.Choice(["gradual", "oneshot"]),
        help="Prune during the first half of the fine-tuning, or before it.  [default: gradual]",
    ),
    click.option(
        "--finetune",
        type=WholeRange(0),
        default=2,
        show_default=True,
        metavar="EPOCHS",
        help="Epochs of fine-tuning; 0 = none.",
    ),
    click.option(
        "--structured", is_flag=True, help="Remove whole channels: a smaller, faster network."
    ),
)
@options.resume
@options.overrides
@options.training
def command(
    run: Path, datasets: tuple[Path, ...], out: Path, resume: bool, overrides: tuple[str, ...]
) -> None:  # fmt: skip
    """Make a trained network sparse or narrow and write a run folder with its model file.

    RUN is the folder of a training run, DATASET its training data. The smallest weights of all
    layers are set to zero and stay zero during the fine-tuning. Zeros make a compressed file
    smaller, but no model faster; --structured does.
    """
    values = options.stored_values(__name__)
    structured, schedule = values["structured"], values["schedule"]
    if structured and schedule == "gradual":
        raise OptionError("--schedule gradual and --structured exclude each other")
    with extra("train", "torch"):
        from mesoscope.training.compress.prune import prune
        from mesoscope.training.compress.prune_plan import PrunePlan

    values["schedule"] = "oneshot" if structured else schedule or "gradual"
    plan = PrunePlan(**values)
    prune(
        run, datasets, plan, out, TrainingBars(plan.finetune), overrides=overrides, resume=resume,
        **options.training_values(),
    )  # fmt: skip
