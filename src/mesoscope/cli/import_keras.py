"""``mesoscope import-keras``."""

from __future__ import annotations

from pathlib import Path

import click

from mesoscope.cli import options
from mesoscope.cli.echo import echo
from mesoscope.cli.extras import train_extra
from mesoscope.types.architectures import OF_AUTHORS


@click.command("import-keras")
@click.argument("file", metavar="FILE.h5", type=click.Path(path_type=Path))
@click.option(
    "--arch",
    required=True,
    type=click.Choice([*OF_AUTHORS]),
    help="The network that the file holds.",
)
@options.model_out
@options.model_name
@options.force
def command(file: Path, arch: str, out: Path, name: str | None, *, force: bool) -> None:
    """Turn the MesoNet authors' Keras weights into a model file.

    Their output is the probability of real; the model's p_fake is one minus that. Nothing is
    written where the file does not hold the network asked for.
    """
    from mesoscope.models.file import model_id
    from mesoscope.models.new_file import name_of_model, refuse_model_file

    refuse_model_file(out, force=force)  # before what needs torch is loaded
    called = name_of_model(name, out)
    with train_extra():
        from mesoscope.training.adopt.authors import import_keras

    card = import_keras(file, arch, out, name=called, force=force)
    answers = ", ".join(f"{p:.6f}" for p in card.self_check)
    echo(f"{out}: {model_id(out)}, {arch}, {card.parameters:,} parameters, not calibrated")
    echo(f"compared with torch; p_fake of the four check pictures: {answers}")
