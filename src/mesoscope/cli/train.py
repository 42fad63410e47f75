"""``mesoscope train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mesoscope.cli import options
from mesoscope.cli.environment import extra
from mesoscope.cli.printing import echo
from mesoscope.cli.progress import bar, counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tqdm import tqdm

    from mesoscope.training.fit.checkpoint import TrainingState

T = TypeVar("T")


@click.command("train")
@options.datasets
@click.option(
    "--recipe", required=True, type=click.Path(path_type=Path), help="A TOML file, as in recipes/."
)
@options.run_out
@options.resume
@options.overrides
@options.training
def command(
    datasets: tuple[Path, ...], recipe: Path, out: Path, resume: bool, overrides: tuple[str, ...]
) -> None:
    """Train a network and write a run folder with the model file and its card.

    DATASET is a folder with train/{real,fake} and validation/{real,fake}, with a manifest, or of
    shards; several are combined. --resume continues an interrupted run, with the same result as an
    uninterrupted one.
    """
    with extra("train", "torch"):
        from mesoscope.training.recipe.recipe import read_recipe
        from mesoscope.training.run import train

    resolved = read_recipe(recipe, overrides)
    train(
        datasets, resolved, out, TrainingBars(resolved.optimise.epochs), resume=resume,
        **options.training_values(),
    )  # fmt: skip


class TrainingBars:
    """Shows a training run on standard error: a bar and a line per epoch."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._finished = 0
        self._bar: tqdm[None] | None = None

    def step(self, *, done: int, total: int, loss: float, images_per_s: float) -> None:
        """Move the bar of the epoch, and show the time left of the whole run."""
        if self._bar is None:
            what = f"epoch {self._finished + 1}/{self._epochs}"
            self._bar = bar(total=total, what=what, unit="images")
        self._bar.update(min(done, total) - self._bar.n)
        left = (total - done + (self._epochs - self._finished - 1) * total) / images_per_s
        self._bar.set_postfix_str(f"loss {loss:.4f}, {left / 60:.0f} min to the last epoch")

    def epoch(self, record: dict[str, Any], state: TrainingState) -> None:
        """Close the bar and print the figures of the epoch."""
        from mesoscope.training.fit.watcher import epoch_line

        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._finished = record["epoch"]
        echo(epoch_line(record, state, self._epochs), err=True)

    def count(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:
        """Show a bar while items are processed."""
        return counted(items, total, what)
