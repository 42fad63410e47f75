"""``mesoscope models``."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import models_add, models_combine
from mesoscope.cli.environment import models_folder
from mesoscope.cli.main import DONE, MODEL
from mesoscope.cli.printing import columns, echo, escape_text
from mesoscope.errors import MesoscopeError, ModelMismatch
from mesoscope.errors.failures import describe
from mesoscope.models import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mesoscope.types import Json, ModelCard

_NAME_WIDTH, _WIDTH = 16, 100  # of the names in a card, and of its lines
_HEADER = (
    "name", "id", "architecture", "parameters", "kB", "multiply-adds", "accuracy", "AUC",
)  # fmt: skip
_FIRST_NUMBER = 3  # first column of numbers
_FIGURES = ("accuracy", "auc", "eer", "ece")


@click.group("models")
def command() -> None:
    """List, show, verify, add, combine and remove models."""


command.add_command(models_add.add)
command.add_command(models_add.remove)
command.add_command(models_combine.combine)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of cards.")
@click.option("--speed", is_flag=True, help="Measure faces per second on one core of this machine.")
def list_models(*, as_json: bool, speed: bool) -> None:
    """List the shipped and the added models, one per line, with accuracy, size and cost.

    Accuracy and AUC are means over the sources of the validation split. Multiply-adds are in
    millions per face; --speed measures the real speed.
    """
    from mesoscope.models.added import added_models
    from mesoscope.models.file import shipped

    models = shipped() | added_models(models_folder())
    rates = _rates(list(models.values())) if speed else [None] * len(models)
    if as_json:
        cards = [
            _as_dict(path) | ({} if rate is None else {"faces_per_second": round(rate, 1)})
            for path, rate in zip(models.values(), rates, strict=True)
        ]
        click.echo(json.dumps(cards, indent=2))
        return
    if not models:
        echo("this build ships no model: train one, or give a file")
        return
    header = (*_HEADER, "faces/s") if speed else _HEADER
    rows: list[tuple[str, ...]] = [header]
    for (name, path), rate in zip(models.items(), rates, strict=True):
        rows.append((name, *_cells(path), *([] if rate is None else [f"{rate:,.0f}"])))
    for line in columns(rows, right=range(_FIRST_NUMBER, len(header))):
        echo(line)


def _cells(path: Path) -> tuple[str, ...]:
    """Return the cells of a model, without its name."""
    from mesoscope.models.file import model_id, read_card

    card = read_card(path)
    return (
        model_id(path),
        card.architecture,
        f"{card.parameters:,}",
        f"{path.stat().st_size / 1000:,.0f}",
        f"{card.multiply_adds / 1e6:,.0f} M" if card.multiply_adds else "–",
        _figure(_mean_over_sources(card.metrics, "accuracy")),
        _figure(_mean_over_sources(card.metrics, "auc")),
    )


def _mean_over_sources(metrics: Mapping[str, Json], name: str) -> float | None:
    """Return the mean of a figure over the sources that have it, as in reports.

    Without figures by source, it is the figure of the whole split.
    """
    by_source = metrics.get("by_source")
    entries = list(by_source.values()) if isinstance(by_source, dict) else [dict(metrics)]
    figures = [entry.get(name) for entry in entries if isinstance(entry, dict)]
    values = [figure for figure in figures if isinstance(figure, float)]
    return sum(values) / len(values) if values else None


def _rates(paths: list[Path]) -> list[float]:
    from mesoscope.detection.scorer import OnnxScorer  # slow: loads ONNX Runtime
    from mesoscope.evaluation.throughput import faces_per_second

    return faces_per_second([OnnxScorer(path) for path in paths]) if paths else []


@command.command("show")
@click.argument("model", metavar="[NAME|FILE]", default=DEFAULT_MODEL)
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON.")
@click.option("--markdown", is_flag=True, help="Print the card as a Markdown page.")
def show(model: str, *, as_json: bool, markdown: bool) -> None:
    """Show a model's card, by default that of the default model."""
    from mesoscope.models.added import named_model
    from mesoscope.models.file import find_model, read_card

    if as_json and markdown:
        raise click.UsageError("--json and --markdown exclude each other: leave one out")
    path = find_model(named_model(model, models_folder()))
    if as_json:
        click.echo(json.dumps(_as_dict(path), indent=2))
        return
    if markdown:
        from mesoscope.training.export.card import card_markdown

        echo(card_markdown(read_card(path)).rstrip("\n"))
        return
    for name, value in _card_rows(path):
        lines = [value]
        if len(value) > _WIDTH - _NAME_WIDTH:  # wrapping a short line would break table columns
            lines = textwrap.wrap(value, _WIDTH - _NAME_WIDTH, break_on_hyphens=False)
        for i, line in enumerate(lines):
            echo(f"{'' if i else name:<{_NAME_WIDTH}}{line}".rstrip())


@command.command("verify")
@click.argument("models", metavar="[NAME|FILE]…", nargs=-1)
def verify(models: tuple[str, ...]) -> int:
    """Verify models: hash of the graph, hash of a shipped file, outputs on check pictures.

    Without an argument, all shipped models are verified. The exit code is 3 if a check fails.
    """
    from mesoscope.models.added import named_model
    from mesoscope.models.file import find_model, shipped

    names = models or tuple(shipped())
    if not names:
        echo("this build ships no model: give a file")
    code = DONE
    for model in names:
        try:
            echo(_verify(find_model(named_model(model, models_folder()))))
        except Exception as error:  # noqa: BLE001 - go on with the other models
            message = (
                str(error) if isinstance(error, MesoscopeError) else f"{model}: {describe(error)}"
            )
            echo(f"mesoscope: {escape_text(message)}", err=True)
            code = MODEL
    return code


def _verify(path: Path) -> str:
    """Verify a model and return a line about it.

    Raises:
        ModelError: A hash or an output differs from the card.
    """
    from mesoscope.detection.scorer import OnnxScorer, self_check
    from mesoscope.models.file import model_id, shipped, verify_bytes

    verify_bytes(path)
    try:
        difference = self_check(OnnxScorer(path))
    except ModelMismatch as error:
        raise ModelMismatch(f"{path}: self check: {error}") from error
    file = ", file matches SHA256SUMS" if path in shipped().values() else ""
    return (
        f"ok      {model_id(path)}: graph matches its card{file}, outputs match its card "
        f"(p_fake differs by at most {difference:.1g})"
    )


def _as_dict(path: Path) -> dict[str, Json]:
    from mesoscope.models.file import file_sha256, model_id, read_card

    card: dict[str, Json] = json.loads(read_card(path).to_json())
    return {
        "id": model_id(path),
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
        **card,
    }


def _card_rows(path: Path) -> Iterator[tuple[str, str]]:
    """Yield names and values of a card."""
    from mesoscope.models.file import file_sha256, model_id, read_card

    card = read_card(path)
    yield "model", model_id(path)
    yield "file", f"{path} ({path.stat().st_size:,} bytes)"
    yield "architecture", f"{card.architecture}, {card.parameters:,} trainable parameters"
    if card.multiply_adds:
        yield "multiply-adds", f"{card.multiply_adds / 1e6:,.1f} million per crop"
    if card.quantisation:
        parts = (f"{key.replace('_', ' ')}: {v}" for key, v in card.quantisation.items())
        yield "quantised", "; ".join(parts)
    yield "input", _input(card)
    yield "found faces", _crops(card)
    yield "output", f"{card.label_convention}; higher = more fake"
    yield "fake", f"p_fake ≥ {card.thresholds.fake_above:.4f}"
    yield "real", f"p_fake < {card.thresholds.real_below:.4f}; between the two: inconclusive"
    yield "thresholds", card.thresholds.rule
    for i, point in enumerate(card.operating_points):
        threshold = f"{point.fpr:<6g} fake from {point.threshold:.4f}"
        reals = f"{point.false_alarms} of {point.n_real:,} reals"
        yield "" if i else "--fpr", f"{threshold}: {reals}, and {point.tpr:.0%} of the fakes"
    yield "calibration", _calibration(card)
    yield from _sparsity(card.sparsity)
    yield "trained on", " ".join(card.training_data.split()) or "not recorded"
    yield from _metrics(card.metrics)
    yield "licence", card.licence or "not recorded"
    yield "source", card.source or "not recorded"
    yield "recipe SHA-256", card.recipe_sha256 or "none"
    yield "graph SHA-256", card.graph_sha256
    yield "file SHA-256", file_sha256(path)


def _input(card: ModelCard) -> str:
    return (
        f"RGB crops of {card.input_px}×{card.input_px}, side = longest side of the face box × "
        f"{card.crop_margin:g}, filter {card.resize}"
    )


def _crops(card: ModelCard) -> str:
    sides = ", ".join(f"{margin:g}" for margin in (card.face_margin, *card.further_margins))
    mean = f"; mean logit of {len(card.further_margins) + 1} crops" if card.further_margins else ""
    return f"side = longest side of the face box × {sides}{mean}"


def _calibration(card: ModelCard) -> str:
    values = dataclasses.asdict(card.calibration)
    if values["method"] == "none":
        return "none"
    fitted = f", fitted on {values['fitted_on']}" if values["fitted_on"] else ""
    line = f"logit = {values['scale']:.4g} × network's {values['shift']:+.4g}"
    return f"{values['method']}: {line}{fitted}"


def _sparsity(sparsity: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield the method of pruning, the remaining channels and the zeros by layer."""
    if sparsity:
        yield "pruned", str(sparsity.get("method", "method not recorded"))
    channels, by_layer = sparsity.get("channels"), sparsity.get("by_layer")
    if isinstance(channels, dict):
        listing = ", ".join(f"{name} {left}" for name, left in channels.items())
        share = _share(sparsity.get("multiply_adds_left"))
        yield "", f"channels left: {listing}; {share} of the multiply-adds"
    if isinstance(by_layer, dict) and sparsity.get("zeros"):
        listing = ", ".join(f"{name} {_share(zeros)}" for name, zeros in by_layer.items())
        yield "", f"zeros: {_share(sparsity.get('overall'))} of the weights: {listing}"


def _share(value: Json) -> str:
    return f"{value:.1%}" if isinstance(value, float) else "–"


def _metrics(metrics: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield the measured figures: a header, a row per source, and the conditions."""
    if not metrics:
        yield "measured", "nothing recorded"
        return
    names = [name for name in ("n", *_FIGURES) if name in metrics]
    by_source = metrics.get("by_source")
    sources = by_source if isinstance(by_source, dict) else {}
    yield "measured", f"{'source':<16}" + "".join(f"{name:>10}" for name in names)
    for source, entry in {"all": dict(metrics), **sources}.items():
        if isinstance(entry, dict):
            figures = "".join(f"{_figure(entry.get(name)):>10}" for name in names)
            yield "", f"{source:<16}{figures}"
    if metrics.get("conditions"):
        yield "", f"on the {metrics['conditions']}"


def _figure(value: Json) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
