"""``mesoscope models add`` and ``remove``: models that the user brings once."""

from __future__ import annotations

from pathlib import Path

import click

from mesoscope.cli.bars import counted
from mesoscope.cli.data_folder import finders_folder, models_folder
from mesoscope.cli.echo import echo
from mesoscope.cli.extras import train_extra
from mesoscope.errors import OptionError


@click.command("add")
@click.argument("what", metavar="yunet|FILE.onnx")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--sha256", metavar="HEX", help="Refuse FILE where its SHA-256 is another.")
@click.option(
    "--card", type=click.Path(path_type=Path, dir_okay=False), metavar="CARD.toml",
    help="What a detector of others takes and answers; FILE.onnx is then wrapped and kept.",
)  # fmt: skip
@click.option(
    "--calibrate", multiple=True, type=click.Path(path_type=Path, file_okay=False), metavar="DATA",
    help="Labelled faces that its score and thresholds are fitted on; may be repeated.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write the wrapped model there.  [default: your data folder, under its card's name]",
)  # fmt: skip
def add(
    what: str,
    file: Path | None,
    sha256: str | None,
    card: Path | None,
    calibrate: tuple[Path, ...],
    out: Path | None,
) -> None:
    """Keep a face finder's model, or a detector of others.

    `models add yunet FILE` keeps a face finder's model for good; --faces auto uses it from then on.
    FILE is tried and copied into the user's data folder, under its SHA-256, which is checked each
    time it is used.

    `models add FILE.onnx --card CARD.toml` wraps a face classifier of others into a model file that
    all commands take with --model NAME.
    """
    from mesoscope.types.finders import WITH_A_MODEL

    if what in WITH_A_MODEL:
        if file is None or card or calibrate or out:
            raise OptionError(f"give the model's file alone: mesoscope models add {what} FILE")
        _add_finder(what, file, sha256)
        return
    if file is not None or card is None:
        near = "" if file is None else f": {what!r} is no face finder, known is {WITH_A_MODEL[0]}"
        raise OptionError(
            f"give a finder and its file, or a detector's file and --card CARD.toml{near}"
        )
    _add_detector(Path(what), card, sha256, calibrate, out)


def _add_finder(finder: str, file: Path, sha256: str | None) -> None:
    from mesoscope.faces.kept import keep_finder

    kept = keep_finder(file, finders_folder(), finder=finder, sha256=sha256)
    echo(f"{finder}  SHA-256 {kept.stem.partition('-')[2]}")
    echo(f"kept as {kept}; --faces auto uses it from now on")


def _add_detector(
    file: Path, card: Path, sha256: str | None, data: tuple[Path, ...], out: Path | None
) -> None:
    from mesoscope.models.file import model_id, verify_sha256
    from mesoscope.models.kept import added_models

    verify_sha256(file, sha256)  # before what needs torch is loaded
    with train_extra():
        from mesoscope.training.adopt.bring import add_model
    path, made = add_model(file, card, models_folder(), out=out, datasets=data, count=counted)
    cuts = made.thresholds
    echo(f"{model_id(path)}: fake from {cuts.fake_above:.4f}, real below {cuts.real_below:.4f}")
    if not data:
        echo("not calibrated: what its p_fake is worth is not known; see --calibrate")
    name = made.name if path.stem in added_models(models_folder()) else path
    echo(f"kept as {path}; use it with --model {name}")


@click.command("remove")
@click.argument("name", metavar="yunet|NAME")
def remove(name: str) -> None:
    """Take a kept face finder's model, or an added detector, away again."""
    from mesoscope.faces.kept import remove_finder
    from mesoscope.models.kept import remove_model
    from mesoscope.types.finders import WITH_A_MODEL

    if name in WITH_A_MODEL:
        gone = remove_finder(finders_folder(), name)
    else:
        gone = [remove_model(name, models_folder())]
    for path in gone:
        echo(f"removed {path}")
