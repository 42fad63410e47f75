"""``mesoscope synth stylegan-train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mesoscope.cli import options
from mesoscope.cli.environment import extra
from mesoscope.cli.options import FiniteRange, WholeRange
from mesoscope.cli.printing import echo
from mesoscope.cli.progress import bar, counted
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tqdm import tqdm


@click.command("stylegan-train")
@click.argument("reals", metavar="REALS", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The run folder."
)
@options.stored(
    __name__,
    click.option(
        "--size",
        type=WholeRange(),
        default=64,
        show_default=True,
        help="Side of the faces: 8, 16, 32 … 1024 pixels.",
    ),
)
@click.option(
    "--kimg",
    type=FiniteRange(0, min_open=True),
    default=1000.0,
    show_default=True,
    help="Length of the training, in thousands of reals.",
)
@click.option(
    "--snapshot",
    "snapshot_kimg",
    type=FiniteRange(0, min_open=True),
    default=10.0,
    show_default=True,
    help="Interval of samples, weights and log lines, in thousands of reals.",
)
@options.stored(
    __name__,
    click.option("--batch", type=WholeRange(), default=16, show_default=True, help="Batch size."),
    click.option(
        "--architecture",
        type=click.Choice(["stylegan", "stylegan2"]),
        default="stylegan2",
        show_default=True,
        help="Architecture of the generator.",
    ),
    click.option(
        "--channel-multiplier",
        type=FiniteRange(),
        default=1.0,
        show_default=True,
        help="Width of both networks; the large published ones have 2.",
    ),
    click.option(
        "--channels-max",
        type=WholeRange(),
        default=512,
        show_default=True,
        help="Maximum of channels.",
    ),
    click.option(
        "--style-dim",
        type=WholeRange(),
        default=512,
        show_default=True,
        help="Dimension of latents and styles.",
    ),
    click.option(
        "--mapping-layers",
        type=WholeRange(),
        default=8,
        show_default=True,
        help="Number of layers from latents to styles.",
    ),
    click.option(
        "--learning-rate",
        type=FiniteRange(),
        default=0.0025,
        show_default=True,
        help="Learning rate of both networks.",
    ),
    click.option(
        "--r1",
        type=FiniteRange(),
        help="Weight γ of the gradient penalty.  [default: .0002·size²/batch]",
    ),
    click.option(
        "--path-length",
        type=FiniteRange(),
        default=2.0,
        show_default=True,
        help="Weight of path length regularisation; 0 = off.",
    ),
    click.option(
        "--ada/--no-ada",
        default=True,
        help="Adaptive discriminator augmentation.  [default: on]",
    ),
    click.option(
        "--mirror/--no-mirror", default=True, help="Mirror half of the reals.  [default: on]"
    ),
)
@click.option(
    "--distance-pictures",
    type=WholeRange(0),
    default=1000,
    show_default=True,
    help="Number of fakes for the distance at each snapshot; 0 = never.",
)
@options.stored(__name__, options.seed)
@options.device
@click.option(
    "--threads", type=WholeRange(1), help="Number of CPU threads.  [default: one per core]"
)
@options.resume
def command(
    reals: Path, out: Path, kimg: float, snapshot_kimg: float, distance_pictures: int,
    device: str, threads: int | None, resume: bool,
) -> None:  # fmt: skip
    """Train a small StyleGAN on your own real faces.

    REALS is a folder of real faces, or a data set whose training reals are used: crops of one kind,
    as written by `mesoscope prepare`. `synth stylegan` generates faces with
    OUT/generator.safetensors. --resume continues an interrupted run from its last snapshot.
    """
    with extra("train", "torch"):
        from mesoscope.synth.stylegan.faces import device_of
        from mesoscope.synth.stylegan.fit import fit
        from mesoscope.synth.stylegan.training_step import TrainSettings

    for name, value in (("--kimg", kimg), ("--snapshot", snapshot_kimg)):
        if not value < 1e9:  # also false for NaN
            raise OptionError(f"{name} {value}: must be below 1,000,000,000")
    settings = TrainSettings(**options.stored_values(__name__))
    fit(
        reals, out, settings, SnapshotBars(),
        kimg=kimg, snapshot_kimg=snapshot_kimg, device=device_of(device, threads=threads),
        resume=resume,
        distance_pictures=distance_pictures,
    )  # fmt: skip
    echo(f"generator: {out / 'generator.safetensors'}", err=True)


class SnapshotBars:
    """Shows a training run on standard error: a bar, and a line per snapshot."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None

    def step(self, *, shown: int, total: int, losses: dict[str, float]) -> None:
        """Move the bar."""
        if self._bar is None:
            self._bar = bar(total=total, what="training", unit="pictures")
        self._bar.update(shown - self._bar.n)
        self._bar.set_postfix_str(f"G {losses['loss_g']:.3f}, D {losses['loss_d']:.3f}")

    def snapshot(self, record: dict[str, Any]) -> None:
        """Print the figures of a snapshot."""
        from mesoscope.synth.stylegan.fit import snapshot_line

        if self._bar is not None:
            self._bar.close()
            self._bar = None
        echo(snapshot_line(record), err=True)

    def count(self, items: Iterable[int], total: int) -> Iterable[int]:
        """Show a bar while the reals are read."""
        return counted(items, total, "reading")
