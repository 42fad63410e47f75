"""``mesoscope models add`` and ``mesoscope models remove``."""

from __future__ import annotations

from pathlib import Path

import click

from mesoscope.cli.environment import extra, finders_folder, models_folder
from mesoscope.cli.printing import echo, echo_thresholds
from mesoscope.cli.progress import counted
from mesoscope.errors import OptionError


@click.command("add")
@click.argument("what", metavar="yunet|FILE.onnx")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--sha256", metavar="HEX", help="Refuse FILE if its SHA-256 differs.")
@click.option(
    "--card", type=click.Path(path_type=Path, dir_okay=False), metavar="CARD.toml",
    help="Inputs and outputs of the face classifier FILE.onnx, to wrap it into a model file.",
)  # fmt: skip
@click.option(
    "--calibrate", multiple=True, type=click.Path(path_type=Path, file_okay=False), metavar="DATA",
    help="Labelled faces to fit the calibration and the thresholds on; may be repeated.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="The model file to write.  [default: in the user's data folder, under its card's name]",
)  # fmt: skip
def add(
    what: str,
    file: Path | None,
    sha256: str | None,
    card: Path | None,
    calibrate: tuple[Path, ...],
    out: Path | None,
) -> None:
    """Add a face finder's model, or a face classifier.

    `models add yunet FILE` checks FILE and copies it into the user's data folder, where --faces
    auto finds it. Its SHA-256 is checked at each use.

    `models add FILE.onnx --card CARD.toml` wraps a face classifier into a model file, which all
    commands accept as --model NAME.
    """
    from mesoscope.types.names import FINDERS_WITH_MODEL

    if what in FINDERS_WITH_MODEL:
        if file is None or card or calibrate or out:
            raise OptionError(f"give the model's file only: mesoscope models add {what} FILE")
        _add_finder(what, file, sha256)
        return
    if file is not None or card is None:
        finder = (
            "" if file is None else f"; {what!r} is no face finder: use {FINDERS_WITH_MODEL[0]}"
        )
        raise OptionError(
            f"give a face finder and its file, or a classifier's file and --card CARD.toml{finder}"
        )
    _add_classifier(Path(what), card, sha256, calibrate, out)


def _add_finder(finder: str, file: Path, sha256: str | None) -> None:
    from mesoscope.faces.added import add_finder

    kept = add_finder(file, finders_folder(), finder=finder, sha256=sha256)
    echo(f"{finder}  SHA-256 {kept.stem.partition('-')[2]}")
    echo(f"kept as {kept}; --faces auto uses it from now on")


def _add_classifier(
    file: Path, card: Path, sha256: str | None, data: tuple[Path, ...], out: Path | None
) -> None:
    from mesoscope.models.added import added_models
    from mesoscope.models.file import model_id, verify_sha256

    verify_sha256(file, sha256)  # before importing torch
    with extra("train", "torch"):
        from mesoscope.training.adopt.bring import add_model
    path, added = add_model(file, card, models_folder(), out=out, datasets=data, count=counted)
    echo_thresholds(
        model_id(path), added.thresholds, "or check the card's mean, colours and fake_is"
    )
    if not data:
        echo("not calibrated: its p_fake is not a probability; see --calibrate")
    name = added.name if path.stem in added_models(models_folder()) else path
    echo(f"kept as {path}; use it with --model {name}")


@click.command("remove")
@click.argument("name", metavar="yunet|NAME")
def remove(name: str) -> None:
    """Remove an added face finder's model or face classifier."""
    from mesoscope.faces.added import remove_finder
    from mesoscope.models.added import remove_model
    from mesoscope.types.names import FINDERS_WITH_MODEL

    if name in FINDERS_WITH_MODEL:
        removed = remove_finder(finders_folder(), name)
    else:
        removed = [remove_model(name, models_folder())]
    for path in removed:
        echo(f"removed {path}")
