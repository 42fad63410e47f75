"""Import a third-party face classifier as a calibrated model file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.manifest import read_datasets, require_both_classes
from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import OnnxScorer, check_pictures
from mesoscope.errors import ModelError, OptionError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.evaluation.evaluate import evaluate
from mesoscope.files.atomic import temporary_path
from mesoscope.models.added import added_models
from mesoscope.models.file import graph_sha256, shipped, verify_sha256
from mesoscope.training.adopt.adopt import wrap_network
from mesoscope.training.adopt.foreign_card import read_foreign_card
from mesoscope.training.decide.thresholds import decide, operating_points
from mesoscope.training.export.card import figures_for_card
from mesoscope.training.export.onnx_export import output_errors, with_card, write_model
from mesoscope.training.recipe.recipe import Recipe
from mesoscope.types.card import Calibration
from mesoscope.types.names import FINDERS_WITH_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mesoscope.data.manifest import Sample
    from mesoscope.training.adopt.adopt import WrappedNetwork
    from mesoscope.training.adopt.foreign_card import ForeignCard
    from mesoscope.types import Json
    from mesoscope.types.card import ModelCard, Thresholds

    Count = Callable[[Iterable[object], int, str], Iterable[object]]

__all__ = ["add_model", "import_classifier"]

_LEAST_P = 1e-6  # log-odds are clipped to those of this probability: float32 ends there


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

    file: The network's ``.onnx`` file.
        card: ``CARD.toml``: what the network takes and returns.
        folder: The folder of added models, see :mod:`mesoscope.models.added`.
        out: The file to write instead of one in ``folder``.
        out: The file to write in place of one in ``folder``.
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
    samples = _samples(roots)
    adopted = wrap_network(path, foreign)
    calibration, thresholds = Calibration(), foreign.card().thresholds
    measured: dict[str, Json] = {}
    with temporary_path(out) as fresh:
        card = _write(adopted, calibration, thresholds, fresh, out)
        scorer = OnnxScorer(fresh)
        if samples:
            logits = _logits(scorer, samples, count)
            kept = [s for s, logit in zip(samples, logits, strict=True) if logit is not None]
            require_both_classes(kept, kept[0].split if kept else "train", "what could be read")
            found = [logit for logit in logits if logit is not None]
            decision = decide(Recipe(), kept, np.array(found))
            calibration = dataclasses.replace(
                decision.calibration, fitted_on=f"{len(kept)} faces, each source and class alike"
            )
            card = _write(adopted, calibration, decision.thresholds, fresh, out)
            scorer = OnnxScorer(fresh)
            result = evaluate(kept, Detector(scorer, faces="whole"), resamples=200)
            points, _ = operating_points(result)
            measured = {
                **figures_for_card(result.to_dict()),
                **decision.measured,
                "conditions": "faces that it was calibrated on, which also chose the thresholds",
            }
            card = dataclasses.replace(card, operating_points=points, metrics=measured)
        answers = scorer.score(check_pictures(card.input_px)).p_fake
        card = dataclasses.replace(card, self_check=tuple(round(float(p), 7) for p in answers))
        write_model(fresh, out, with_card(adopted.model(calibration), card))
    return card


def _samples(roots: Sequence[Path]) -> list[Sample]:
    """Return the samples to calibrate on."""
    if not roots:
        return []
    everything = read_datasets(roots)
    held = [s for s in everything if s.split == "validation"]
    samples = held or everything
    require_both_classes(samples, samples[0].split, ", ".join(str(root) for root in roots))
    return samples


def _write(
    adopted: WrappedNetwork,
    calibration: Calibration,
    thresholds: Thresholds,
    fresh: Path,
    out: Path,
) -> ModelCard:
    model = adopted.model(calibration)
    card = dataclasses.replace(
        adopted.card.card(),
        calibration=calibration,
        thresholds=thresholds,
        parameters=adopted.parameters,
        graph_sha256=graph_sha256(model.SerializeToString()),
    )
    with output_errors(out):
        fresh.write_bytes(with_card(model, card))
    return card


def _logits(scorer: OnnxScorer, samples: Sequence[Sample], count: Count) -> list[float | None]:
    """Return the network's log-odds of each face; ``None`` for unreadable files."""
    detector = Detector(scorer, faces="whole")
    verdicts = detector.check_many([s.picture for s in samples])
    found: list[float | None] = []
    for verdict in count(verdicts, len(samples), "calibrating"):
        p = getattr(verdict, "p_fake", None)
        if p is None:
            found.append(None)
            continue
        held = min(max(float(p), _LEAST_P), 1 - _LEAST_P)
        found.append(float(np.log(held / (1 - held))))
    if not any(one is not None for one in found):
        raise ModelError(f"{scorer.model_id}: no face of the data set could be judged")
    return found
