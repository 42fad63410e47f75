"""Write the model card ``MODEL_CARD.md`` from the measured figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mesoscope.training.export.card_figures import with_decisions

if TYPE_CHECKING:
    from mesoscope.training.data.dataset import Survey
    from mesoscope.training.fit.checkpoint import TrainingState
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import ModelCard, Thresholds


_CALIBRATION = """## Calibration

Calibrated by {}. The last rows are the honest ones: fitted on one half of the groups and measured
on the other, both ways.
"""
_DECISIONS = """## Decisions

By the two thresholds alone, before the guard refuses anything.
"""
_POINTS = """## Operating points

Thresholds for `--fpr`. Reals count once each, whatever their source, so one source may have far
more false alarms than the rate says.
"""
_STAGES = {
    "before": "as the network has it",
    "after": "calibrated, on the faces of the fit",
    "cross_fitted": "calibrated, on faces that the fit did not see",
}


def decisions_markdown(card: ModelCard) -> str:
    """Describe calibration before and after, what the thresholds decide, and the operating points.

    Args:
        card: A card with ``calibration`` and ``decisions`` in its metrics; missing parts are left
            out.

    Returns:
        Markdown that begins with an empty line; empty where the card holds none of it.
    """
    metrics = cast("dict[str, Any]", card.metrics)
    parts = []
    if "calibration" in metrics:
        parts.append(_calibration(metrics["calibration"]))
    if "decisions" in metrics:
        parts.append(_decisions(metrics["decisions"]))
    if card.operating_points:
        parts.append(_operating_points(card, metrics.get("false_positive_rates", {})))
    return "\n" + "\n\n".join(parts) if parts else ""


def _calibration(found: dict[str, Any]) -> str:
    rows = [
        f"| {says} | {found[stage]['ece']:.4f} | {found[stage]['nll']:.4f} |"
        for stage, says in _STAGES.items()
        if found[stage] is not None
    ]
    other = found["cross_fitted_by_other"]
    if other is not None:
        rows.append(
            f"| the same by {other['calibration']} | {other['ece']:.4f} | {other['nll']:.4f} |"
        )
    return "\n".join(
        [
            _CALIBRATION.format(found["chosen"]),
            "| p_fake | ECE | negative log-likelihood |",
            "|---|---|---|",
            *rows,
        ]
    )


def _decisions(found: dict[str, Any]) -> str:
    entries = {"all": found, **found["by_source"]}
    if found["cross_fitted"] is not None:
        entries["all, thresholds and calibration from other faces"] = found["cross_fitted"]
    rows = [
        f"| {name} | {e['error_of_all']:.1%} | {e['decided']:.1%} | "
        f"{'–' if e['error_among_decided'] is None else format(e['error_among_decided'], '.1%')} |"
        for name, e in entries.items()
    ]
    return "\n".join(
        [
            _DECISIONS,
            "| source | error if all are decided | decided | wrong among decided |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _operating_points(card: ModelCard, by_source: dict[str, dict[str, float]]) -> str:
    rows = []
    for point in card.operating_points:
        low, high = point.fpr_interval
        found_low, found_high = point.tpr_interval
        of_it = by_source.get(f"{point.fpr:g}", {})
        worst = max(of_it, key=lambda name: of_it[name], default="")
        rows.append(
            f"| {point.fpr:g} | {point.threshold:.4f} | {point.false_alarms} of {point.n_real} "
            f"[{low:.4f}, {high:.4f}] | {point.tpr:.3f} [{found_low:.3f}, {found_high:.3f}] | "
            + (f"{worst} {of_it[worst]:.3f} |" if worst else "– |")
        )
    return "\n".join(
        [
            _POINTS,
            "| false-positive rate | fake from | reals above it | detection rate | worst source |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


_OF_RUN = """\
The exported file on the validation split, each picture taken as one face. The same split chose the
epoch, fitted the calibration and set the thresholds, so these figures are a little kind; brackets
are 95 % intervals by bootstrap over groups."""
_LEGEND = """\
"ECE by chance" is what true probabilities would show on so few faces: the mean, and in brackets the
value that 95 % stay below. "Decided" means not inconclusive."""
_LIMITS = """\
A small network that knows the kinds of forgery named above, on pictures like those. On other
generators, cameras and compressions its score means little: evaluate it on your own media first. A
verdict is a hint, not proof."""


def model_card_markdown(
    card: ModelCard, metrics: dict[str, Any], recipe: Recipe, data: Survey, state: TrainingState
) -> str:
    """Write ``MODEL_CARD.md`` of a training run.

    Args:
        card: The card in the model file.
        metrics: Evaluation of the exported file on the validation split.
        recipe: The recipe of the run.
        data: The survey of the data.
        state: Final state of the run.

    Returns:
        Markdown.
    """
    seconds = sum(record["elapsed_s"] for record in state.history)
    trained = f"""
{state.epoch} epochs of the recipe in `recipe.toml` (digest `{card.recipe_sha256[:16]}`), seed \
{recipe.seed}, {seconds / 60:.0f} minutes; the best by mean validation AUC of the sources was \
epoch {state.best_epoch}. Validation: {len(data.validation)} pictures.
Left out: {len(data.unreadable)} unreadable, {len(data.repeated)} that validation holds too.
{_pruned(card)}"""
    return _markdown(card, trained, metrics, _OF_RUN)


def card_markdown(card: ModelCard) -> str:
    """Write the card of any model file as Markdown: what it holds, without a training run's log.

    Args:
        card: The card in the model file; parts that it lacks are left out.
    """
    metrics = with_decisions(cast("dict[str, Any]", card.metrics))
    origin = f"\nOrigin: {card.source}.\n" if card.source else ""
    measured = ""
    if "by_source" in metrics:
        measured = (
            f"Conditions: {metrics['conditions']}. Each picture is taken as one face. Brackets are "
            "95 % intervals by bootstrap over groups."
        )
    return _markdown(card, origin + _pruned(card), metrics, measured)


def _markdown(card: ModelCard, origin: str, metrics: dict[str, Any], measured: str) -> str:
    """Put the parts of a card together; without ``measured`` there is no table of figures."""
    if measured:
        measured = f"""{measured}

| source | n | accuracy at .5 | AUC | EER | ECE | ECE by chance | decided | wrong among decided |
|---|---|---|---|---|---|---|---|---|
{_rows(metrics)}

{_LEGEND}"""
    return f"""# {card.name}

{card.architecture}, {card.parameters:,} trainable parameters, square crops of {card.input_px} px.
`p_fake`: higher = more fake (fake = 1, real = 0).

| decision | |
|---|---|
{threshold_rows(card.thresholds)}
| inconclusive | between the two |
| found faces | {_framings(card)} |
| rule | {card.thresholds.rule} |
| unfamiliar | {_guard(card)} |
| calibration | {_scaled(card)} |

## Trained on

{card.training_data or "Not recorded."}
{origin}
## Measured

{measured or "Not measured: the file holds no figures."}
{decisions_markdown(card)}

## Limits

{_LIMITS}

Licence of the weights: {card.licence or "none given"}.
"""


def _scaled(card: ModelCard) -> str:
    fit = card.calibration
    if fit.method == "none":
        return "none"
    return f"{fit.method}: {fit.scale:.4f} × logit {fit.shift:+.4f}, fitted on {fit.fitted_on}"


def _framings(card: ModelCard) -> str:
    sides = [f"{margin:g}" for margin in (card.face_margin, *card.further_margins)]
    if len(sides) == 1:
        return f"cut out with {sides[0]} times the longest side of the finder's box"
    return (
        f"cut out {len(sides)} times, with {', '.join(sides[:-1])} and {sides[-1]} times the "
        "longest side of the finder's box; the score is that of the mean logit"
    )


def threshold_rows(thresholds: Thresholds) -> str:
    """Return the two rows of a card's page that say from which score on a face is what."""
    return (
        f"| fake | from p_fake {thresholds.fake_above:.4f} on |\n"
        f"| real | below {thresholds.real_below:.4f} |"
    )


def _guard(card: ModelCard) -> str:
    if card.guard is None:
        return "not known: the file has no guard"
    return (
        f"inconclusive, too, where a face is unlike the training: {card.guard.rule}; it refuses "
        f"{card.guard.false_refusals:.1%} of the validation faces. Fitted on {card.guard.fitted_on}"
    )


def _pruned(card: ModelCard) -> str:
    """Describe the pruning; empty if there was none."""
    found: dict[str, Any] = dict(card.sparsity)
    if not found:
        return ""
    text = f"\n## Pruned\n\n{card.source}. Taken away: {found['method']}.\n"
    if "channels" in found:
        listing = ", ".join(f"{name} {left}" for name, left in found["channels"].items())
        share = _percent(found["multiply_adds_left"])
        text += f"\nChannels left: {listing}; {share} of the multiply-adds.\n"
    if found["zeros"]:
        rows = "\n".join(f"| {layer} | {_percent(z)} |" for layer, z in found["by_layer"].items())
        text += f"""
{_percent(found["overall"])} of the weights of convolutions and dense layers are zero, \
{found["zeros"]:,} of {found["weights"]:,}. Zeros make the file smaller once it is compressed; no \
model computes quicker for them.

| layer | zeros |
|---|---|
{rows}
"""
    return text


def _rows(metrics: dict[str, Any]) -> str:
    entries = {"all": metrics, **metrics["by_source"]}
    return "\n".join(
        f"| {name} | {e['n']} | {_interval(e, 'accuracy')} | {_interval(e, 'auc')} | "
        f"{_number(e['eer'])} | {_number(e['ece'])} | {_number(e['ece_by_chance'])} "
        f"[{_number(e['ece_by_chance_high'])}] | {_percent(e['decided'])} | "
        f"{_percent(e['error_among_decided'])} |"
        for name, e in entries.items()
    )


def _interval(entry: dict[str, Any], key: str) -> str:
    low, high = entry["intervals"].get(key) or (None, None)
    return f"{_number(entry[key])} [{_number(low)}, {_number(high)}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("0.", ".", 1)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
