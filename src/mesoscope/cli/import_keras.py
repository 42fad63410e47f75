"""``mesoscope import-keras``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import options
from mesoscope.cli.echo import echo
from mesoscope.cli.extras import train_extra
from mesoscope.types.architectures import OF_AUTHORS

if TYPE_CHECKING:
    from mesoscope.types import Pixels

LICENCE = "Apache-2.0, copyright 2018 Darius Afchar et al."
TRAINING_DATA = (
    "As stated by the authors (Afchar et al., WIFS 2018): faces from forged and real videos; files "
    "named DF: their Deepfake set, files named F2F: Face2Face of FaceForensics."
)
NOISE_CROPS = 4


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
    options.refuse_model_out(out, force=force)
    called = options.name_of_model(name, out)
    with train_extra():
        from mesoscope.training.export.onnx_export import export
        from mesoscope.training.keras_weights import read_keras
    from mesoscope.models.file import model_id
    from mesoscope.types import Calibration, ModelCard, Thresholds

    net = read_keras(file, arch)
    card = ModelCard(
        name=called,
        architecture=arch,
        thresholds=Thresholds(0.5, 0.5, "the authors' own: one half"),
        training_data=TRAINING_DATA,
        licence=LICENCE,
        source=(
            f"{file.name} of DariusAf/MesoNet: the MesoNet authors' weights, unchanged but for the "
            "output, which is turned round to mean fake"
        ),
    )
    card = export(net, out, card, Calibration(), check_crops=_noise())
    answers = ", ".join(f"{p:.6f}" for p in card.self_check)
    echo(f"{out}: {model_id(out)}, {arch}, {card.parameters:,} parameters, not calibrated")
    echo(f"compared with torch; p_fake of the four check pictures: {answers}")


def _noise() -> Pixels:
    """Seeded noise of four strengths: no face may be at hand, and none is needed.

    The exporter compares on its four smooth check pictures as well; between them they drive the
    network through dark, bright, flat and rough input. A training run compares on faces.
    """
    import numpy as np

    random = np.random.default_rng(2018)
    noise = random.normal(0.0, 1.0, (NOISE_CROPS, 256, 256, 3))
    strength = np.array([8.0, 24.0, 64.0, 128.0])[:, None, None, None]
    return np.clip(128 + strength * noise, 0, 255).astype(np.uint8)
