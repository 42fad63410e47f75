"""``mesoscope models combine``."""

from __future__ import annotations

from pathlib import Path

import click

from mesoscope.cli import options
from mesoscope.cli.environment import extra, models_folder
from mesoscope.cli.printing import echo_thresholds
from mesoscope.cli.progress import counted


@click.command("combine")
@click.argument("models", metavar="MODEL MODEL...", nargs=-1, required=True)
@click.option(
    "--calibrate", multiple=True, required=True, metavar="DATA",
    type=click.Path(path_type=Path, file_okay=False),
    help="Labelled faces to fit the calibration and the thresholds on; may be repeated.",
)  # fmt: skip
@click.option(
    "--bits", type=click.Choice(["32", "16", "8"]), default="32", show_default=True,
    help="Bits of a weight in the file. 8: a quarter of the file, the same speed, and almost the "
    "same answers.",
)  # fmt: skip
@options.model_out
@options.model_name
@options.force
def combine(
    models: tuple[str, ...],
    calibrate: tuple[Path, ...],
    out: Path,
    name: str | None,
    *,
    bits: str,
    force: bool,
) -> None:
    """Combine models into one file that gives the mean of their logits.

    Each MODEL is a shipped or added model, or a file. All must read crops of the same size and
    margin. Margins of found faces and the rule for clips are those of the first.
    """
    from mesoscope.models.added import name_of_model, named_model, refuse_model_file

    refuse_model_file(out, force=force)
    card_name = name_of_model(name, out)
    with extra("train", "torch"):
        from mesoscope.training.adopt.ensemble import combine_models
    from mesoscope.models.file import find_model, model_id

    paths = [find_model(named_model(model, models_folder())) for model in models]
    card = combine_models(
        paths, out, name=card_name, datasets=calibrate, bits=int(bits), count=counted
    )
    echo_thresholds(model_id(out), card.thresholds, "or other members")
