"""Choose thresholds on kinds of forgery that a network was not trained on.

On the validation split of its training sets a network performs better than elsewhere. Here both
thresholds come from scores on left-out kinds, which ``benchmarks/strangers.py`` collects.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mesoscope.errors import OptionError
from mesoscope.models.file import read_card
from mesoscope.types import Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mesoscope.types import ModelCard

    Floats = NDArray[np.float64]

GENUINE_FAKE = 0.02  # of the genuine pictures of each left-out source, labelled "fake"
FORGED_REAL = 0.15  # of the forged pictures of each left-out kind, labelled "real"
_EDGE = 1e-6
# Whatever their number of decimals.
_THRESHOLD_ROWS = re.compile(r"\| fake \| from p_fake [\d.]+ on \|\n\| real \| below [\d.]+ \|")
_MEASURED_COLUMNS = 9  # of the table of figures by source in MODEL_CARD.md
_LEAST = 50  # fewer pictures of a source cannot resolve a share of two per cent


class Score(NamedTuple):
    """The score of a picture by a network that was trained without its kind.

    Attributes:
        kind: Method of forgery; for a real picture that of its counterparts.
        source: Data set.
        label: 1 = fake, 0 = real.
        p_fake: Calibrated on the kinds that the network was trained on.
        spread: Standard deviation of the logits of ``p_fake`` on validation pictures of those
            kinds.
    """

    kind: str
    source: str
    label: int
    p_fake: float
    spread: float = 1.0


def rescaled(scores: Sequence[Score], spread: float) -> list[Score]:
    """Rescale the scores' logits to another network's spread.

    Left-out runs are short, and longer training may widen the scores on unseen kinds, too. This is
    the most conservative assumption; thresholds by it decide hardly anything.

    Args:
        scores: Scores of left-out pictures.
        spread: Standard deviation of that network's logits on its own validation split.
    """
    found = []
    for score in scores:
        p = min(max(score.p_fake, _EDGE), 1 - _EDGE)
        logit = math.log(p / (1 - p)) * spread / score.spread
        found.append(score._replace(p_fake=1 / (1 + math.exp(-logit)), spread=spread))
    return found


def spread_of(p_fake: Floats) -> float:
    """Return the standard deviation of the logits of some scores."""
    p = np.clip(p_fake, _EDGE, 1 - _EDGE)
    return float(np.std(np.log(p / (1 - p))))


def thresholds(
    scores: Sequence[Score],
    *,
    genuine_fake: float = GENUINE_FAKE,
    forged_real: float = FORGED_REAL,
) -> Thresholds:
    """Choose the widest "fake" and "real" ranges that keep both limits on every left-out kind.

    Args:
        scores: Scores of left-out pictures of both classes.
        genuine_fake: Largest share of a source's genuine pictures labelled "fake".
        forged_real: Largest share of a kind's forged pictures labelled "real".

    Returns:
        The thresholds; where both limits leave no range between them, one cut that keeps both.

    Raises:
        OptionError: No source has enough genuine pictures, or no kind enough forged ones.
    """
    genuine = _parts(scores, 0, lambda score: score.source)
    forged = _parts(scores, 1, lambda score: score.kind)
    if not genuine or not forged:
        raise OptionError(
            f"thresholds need a left-out source with {_LEAST} genuine pictures and a left-out kind "
            f"with {_LEAST} forged ones"
        )
    # To four digits, rounded away from the middle, so that both limits are kept.
    highest = max(_above(p, genuine_fake) for p in genuine.values())
    lowest = min(_below(p, forged_real) for p in forged.values())
    fake_above, real_below = (
        min(math.ceil(1e4 * highest) / 1e4, 1.0),
        math.floor(1e4 * lowest) / 1e4,
    )
    return Thresholds(
        min(real_below, fake_above),
        fake_above,
        f"chosen on kinds that were left out of training: of the genuine pictures of each of "
        f"{len(genuine)} sources at most {genuine_fake:.0%} told fake, of the forged ones of each "
        f"of {len(forged)} kinds at most {forged_real:.0%} told real",
    )


def shares(p_fake: Floats, cuts: Thresholds) -> tuple[float, float]:
    """Return the shares of scores labelled "fake" and "real"; NaN without scores."""
    if not len(p_fake):
        return float("nan"), float("nan")
    fake = p_fake >= cuts.fake_above
    return float(fake.mean()), float((~fake & (p_fake < cuts.real_below)).mean())


def write_thresholds(
    path: Path, scores: Sequence[Score], home: Sequence[Score], *, at_home: bool = False
) -> Thresholds:
    """Write thresholds chosen on left-out kinds into the card of a model file.

    The graph stays byte for byte, and so do the scores.

    Args:
        path: The model file; replaced atomically. A ``.md`` card of the same name beside it is
            updated.
        scores: Scores of left-out pictures, calibrated as the model is.
        home: The model's scores on the validation split of its training sets; what the thresholds
            decide there goes into the card.
        at_home: Keep both limits on each source of ``home``, too.

    Returns:
        The new thresholds.

    Raises:
        ModelError: The file is no model.
        OptionError: There are too few scores.
        OutputError: A file cannot be written.
    """
    import onnx

    from mesoscope.files.atomic import temporary_path
    from mesoscope.training.export.card_figures import with_decisions
    from mesoscope.training.export.onnx_export import with_card, write_model

    before = read_card(path)
    cuts = thresholds(scores)
    if at_home:
        cuts = _tightened(cuts, thresholds(home))
    metrics = with_decisions({**before.metrics, "decisions": _at_home(home, cuts)})
    card = replace(before, thresholds=cuts, metrics=metrics)
    model = onnx.load(path)
    with temporary_path(path) as fresh:
        write_model(fresh, path, with_card(model, card))
    text = path.with_suffix(".md")
    if text.exists():
        with temporary_path(text) as fresh:
            write_model(fresh, text, _rewritten(text.read_text("utf-8"), before, card).encode())
    return cuts


def _tightened(cuts: Thresholds, other: Thresholds) -> Thresholds:
    """Return the narrower of both ranges of "fake", and of "real"."""
    fake_above = max(cuts.fake_above, other.fake_above)
    rule = f"{cuts.rule}; the same at home, on the validation split of each training source"
    return Thresholds(min(cuts.real_below, other.real_below, fake_above), fake_above, rule)


def _at_home(home: Sequence[Score], cuts: Thresholds) -> dict[str, Any]:
    from mesoscope.training.decide.thresholds import decisions

    labels = np.array([score.label for score in home])
    p_fake = np.array([score.p_fake for score in home])
    sources = np.array([score.source for score in home])
    called = np.where(p_fake >= cuts.fake_above, 1, np.where(p_fake < cuts.real_below, 0, -1))
    return {
        "rule": "strangers",
        **decisions(labels, p_fake, called),
        "by_source": {
            str(name): decisions(labels[of], p_fake[of], called[of])
            for name in np.unique(sources)
            for of in (sources == name,)
        },
        "cross_fitted": None,
    }


def _rewritten(text: str, before: ModelCard, card: ModelCard) -> str:
    """Update the thresholds and their decisions in the text of MODEL_CARD.md."""
    from mesoscope.training.export.card import decisions_markdown, threshold_rows

    text = _THRESHOLD_ROWS.sub(threshold_rows(card.thresholds), text)
    for a, b in (
        (f"| rule | {before.thresholds.rule} |", f"| rule | {card.thresholds.rule} |"),
        (decisions_markdown(before), decisions_markdown(card)),
    ):
        text = text.replace(a, b)
    found: Any = card.metrics["decisions"]
    parts: dict[str, Any] = {**found["by_source"], "all": found}
    lines = []
    for line in text.split("\n"):
        cells = line.split(" | ")
        name = cells[0].removeprefix("| ")
        if len(cells) == _MEASURED_COLUMNS and name in parts:
            of = parts[name]
            cells[-2:] = [f"{of['decided']:.1%}", f"{of['error_among_decided']:.1%} |"]
        lines.append(" | ".join(cells))
    return "\n".join(lines)


def _parts(scores: Sequence[Score], label: int, name: Callable[[Score], str]) -> dict[str, Floats]:
    found: dict[str, list[float]] = {}
    for score in scores:
        if score.label == label:
            found.setdefault(name(score), []).append(score.p_fake)
    return {key: np.sort(np.array(p)) for key, p in found.items() if len(p) >= _LEAST}


def _above(p: Floats, share: float) -> float:
    """Return the lowest cut that at most this share of the scores reaches."""
    most = int(share * len(p) + 1e-9)
    return min(float(np.nextafter(p[len(p) - most - 1], 2)), 1.0)


def _below(p: Floats, share: float) -> float:
    """Return the highest cut that at most this share of the scores lies below."""
    return float(p[int(share * len(p) + 1e-9)])
