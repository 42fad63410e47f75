"""Import the MesoNet authors' Keras weights as a model file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.models.new_file import name_of_model, refuse_model_file
from mesoscope.training.export.onnx_export import export
from mesoscope.training.keras_weights import read_keras
from mesoscope.types import Calibration, ModelCard, Thresholds

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.types import Pixels

__all__ = ["import_keras"]

LICENCE = "Apache-2.0, copyright 2018 Darius Afchar et al."
TRAINING_DATA = (
    "As stated by the authors (Afchar et al., WIFS 2018): faces from forged and real videos; files "
    "named DF: their Deepfake set, files named F2F: Face2Face of FaceForensics."
)
NOISE_CROPS = 4


def import_keras(
    file: Path, architecture: str, out: Path, *, name: str | None = None, force: bool = False
) -> ModelCard:
    """Convert the authors' weights to a model file.

    Their output is the probability of real; the model's ``p_fake`` is one minus that. Nothing is
    written where the file does not hold the network asked for.

    Args:
        file: The ``.h5`` file.
        architecture: Network in the file: ``meso4`` or ``mesoinception4``.
        out: The model file to write.
        name: Name in the model's card; the stem of ``out`` where ``None``.
        force: Replace ``out`` where it exists.

    Returns:
        The card as it stands in the file.

    Raises:
        WeightsError: The file does not hold that network.
        ModelMismatch: The exported file does not answer as torch does.
        OptionError: ``out`` or ``name`` is not valid.
        OutputError: The file cannot be written.
    """
    refuse_model_file(out, force=force)
    called = name_of_model(name, out)
    card = ModelCard(
        name=called,
        architecture=architecture,
        thresholds=Thresholds(0.5, 0.5, "the authors' own: one half"),
        training_data=TRAINING_DATA,
        licence=LICENCE,
        source=(
            f"{file.name} of DariusAf/MesoNet: the MesoNet authors' weights, unchanged but for the "
            "output, which is turned round to mean fake"
        ),
    )
    return export(read_keras(file, architecture), out, card, Calibration(), check_crops=_noise())


def _noise() -> Pixels:
    """Return seeded noise of four strengths, as check crops that need no face.

    The exporter also compares on its four smooth check pictures. Together they drive the network
    through dark, bright, flat and rough input. A training run compares on faces.
    """
    random = np.random.default_rng(2018)
    noise = random.normal(0.0, 1.0, (NOISE_CROPS, 256, 256, 3))
    strength = np.array([8.0, 24.0, 64.0, 128.0])[:, None, None, None]
    return np.clip(128 + strength * noise, 0, 255).astype(np.uint8)
