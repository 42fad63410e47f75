"""``mesoscope import-keras``."""

from __future__ import annotations

from pathlib import Path

import click

from mesoscope.cli import options
from mesoscope.cli.environment import extra
from mesoscope.cli.printing import echo
from mesoscope.types.names import PUBLISHED


@click.command("import-keras")
@click.argument("file", metavar="FILE.h5", type=click.Path(path_type=Path))
@click.option(
    "--arch",
    required=True,
    type=click.Choice([*PUBLISHED]),
    help="Architecture of the weights in the file.",
)
@options.model_out
@options.model_name
@options.force
def command(file: Path, arch: str, out: Path, name: str | None, *, force: bool) -> None:
    """Turn the MesoNet authors' Keras weights into a model file.

    Their output is the probability of real; the model's p_fake is one minus that. Nothing is
    written if the file holds another network.
    """
    from mesoscope.models.added import name_of_model, refuse_model_file
    from mesoscope.models.file import model_id

    refuse_model_file(out, force=force)  # before importing torch
    model_name = name_of_model(name, out)
    with extra("train", "torch"):
        from mesoscope.training.adopt.authors import import_keras

    card = import_keras(file, arch, out, name=model_name, force=force)
    outputs = ", ".join(f"{p:.6f}" for p in card.self_check)
    echo(f"{out}: {model_id(out)}, {arch}, {card.parameters:,} parameters, not calibrated")
    echo(f"outputs match torch; p_fake of the four check pictures: {outputs}")
