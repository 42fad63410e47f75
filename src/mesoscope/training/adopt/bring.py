"""Import a third-party face classifier as a calibrated model file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mesoscope.errors import OptionError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.models.added import added_models
from mesoscope.models.file import shipped, verify_sha256
from mesoscope.training.adopt.adopt import wrap_network
from mesoscope.training.adopt.calibrated import labelled_faces, write_calibrated
from mesoscope.training.adopt.foreign_card import read_foreign_card
from mesoscope.types.names import FINDERS_WITH_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mesoscope.training.adopt.foreign_card import ForeignCard
    from mesoscope.types.card import ModelCard

    Count = Callable[[Iterable[object], int, str], Iterable[object]]

__all__ = ["add_model", "import_classifier"]


def add_model(
    file: Path,
    card: Path,
    folder: Path,
    *,
    out: Path | None = None,
    datasets: Sequence[Path] = (),
    sha256: str | None = None,
    count: Count = lambda items, _total, _what: items,
) -> tuple[Path, ModelCard]:
    """Wrap a third-party detector and keep it under the name in its card.

    Args:
        file: The network's ``.onnx`` file.
        card: ``CARD.toml``: what the network takes and returns.
        folder: The folder of added models, see :mod:`mesoscope.models.added`.
        out: The file to write instead of one in ``folder``.
        datasets: Labelled faces to calibrate on, as in :func:`import_classifier`.
        sha256: The digest that ``file`` must have, in hexadecimal.
        count: Wraps work for a progress bar: ``(items, total, what) → items``.

    Returns:
        The file that was written, and its card.

    Raises:
        ModelMismatch: The digest of ``file`` differs.
        ModelError: The file is not a network that matches its card.
        RecipeError: The card is not valid.
        OptionError: The name or the file is taken.
        DatasetError: There is no data set, or one lacks reals or fakes.
        OutputError: The file cannot be written.
    """
    verify_sha256(file, sha256)
    foreign = read_foreign_card(card)
    name = foreign.name
    if out is None:
        if name in shipped() or name in added_models(folder) or name in FINDERS_WITH_MODEL:
            raise OptionError(
                f"{name}: there is such a model already: give it another name in {card}, or "
                f"remove it first: mesoscope models remove {name}"
            )
        out = folder / f"{name}.onnx"
    elif out.suffix != ".onnx":
        raise OptionError(f"{out}: a model file must be named .onnx")
    elif out.exists():
        raise OptionError(f"{out}: stands there already: name another file, or remove it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {cause(error)}") from error
    return out, import_classifier(file, foreign, out, datasets, count=count)


def import_classifier(
    path: Path,
    foreign: ForeignCard,
    out: Path,
    roots: Sequence[Path] = (),
    *,
    count: Count = lambda items, _total, _what: items,
) -> ModelCard:
    """Wrap a third-party network in a model file, and calibrate it on labelled faces.

    Args:
        path: The network's ``.onnx`` file.
        foreign: What the network takes and returns.
        out: The model file to write; replaced whole or not at all.
        roots: Data sets of faces to calibrate on: their validation split, or all samples where
            there is none. Without data sets the network's own outputs and thresholds stay.
        count: Wraps work for a progress bar: ``(items, total, what) → items``.

    Returns:
        The card as written to the file.

    Raises:
        ModelError: The file is not a network that matches its card.
        DatasetError: There is no data set, or one lacks reals or fakes.
        OutputError: The file cannot be written.
    """
    samples = labelled_faces(roots)
    adopted = wrap_network(path, foreign)
    card = dataclasses.replace(foreign.card(), parameters=adopted.parameters)
    return write_calibrated(adopted.model, card, out, samples, count=count)
