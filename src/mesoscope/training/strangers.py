"""Thresholds that hold on strangers: chosen on kinds of forgery that a network never saw.

On the validation split of its own kinds a network looks better than it is elsewhere. Here both
thresholds come from scores of left-out kinds, which ``benchmarks/strangers.py`` collects.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.errors import OptionError
from mesoscope.model_file import read_card
from mesoscope.types import Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

GENUINE_FAKE = 0.02  # of the genuine pictures of each left-out source, told "fake"
FORGED_REAL = 0.15  # of the forged pictures of each left-out kind, told "real"
_EDGE = 1e-6
_LEAST = 50  # fewer pictures of a source tell no share of two per cent


class Score(NamedTuple):
    """A picture of a kind that the network which scored it never saw.

    Attributes:
        kind: How it was forged, or what it stands beside.
        source: Data set.
        label: 1 = fake, 0 = real.
        p_fake: Calibrated on the kinds that the network did see.
        spread: Standard deviation of the logits of ``p_fake`` on validation pictures of those
            kinds: how sure the network is at home.
    """

    kind: str
    source: str
    label: int
    p_fake: float
    spread: float = 1.0


def carried(scores: Sequence[Score], spread: float) -> list[Score]:
    """What a network would say that is surer at home, or less sure, in the same proportion.

    Left-out runs are short, and a longer training spreads the scores, of strangers too.

    Args:
        scores: Of left-out pictures.
        spread: Of the logits of that network at home.
    """
    found = []
    for score in scores:
        p = min(max(score.p_fake, _EDGE), 1 - _EDGE)
        logit = math.log(p / (1 - p)) * spread / score.spread
        found.append(score._replace(p_fake=1 / (1 + math.exp(-logit)), spread=spread))
    return found


def spread_of(p_fake: Floats) -> float:
    """The standard deviation of the logits of some scores."""
    p = np.clip(p_fake, _EDGE, 1 - _EDGE)
    return float(np.std(np.log(p / (1 - p))))


def thresholds(
    scores: Sequence[Score],
    *,
    genuine_fake: float = GENUINE_FAKE,
    forged_real: float = FORGED_REAL,
) -> Thresholds:
    """The widest use of "fake" and "real" that keeps both promises on every left-out kind.

    Args:
        scores: Of left-out pictures, of both classes.
        genuine_fake: Most of the genuine pictures of a source that may be told "fake".
        forged_real: Most of the forged pictures of a kind that may be told "real".

    Returns:
        The thresholds; where both promises leave no room between them, one cut for both that
        keeps both.

    Raises:
        OptionError: No source with enough genuine pictures, or no kind with enough forged ones.
    """
    genuine = _parts(scores, 0, lambda score: score.source)
    forged = _parts(scores, 1, lambda score: score.kind)
    if not genuine or not forged:
        raise OptionError(
            f"thresholds need a left-out source with {_LEAST} genuine pictures and a left-out kind "
            f"with {_LEAST} forged ones"
        )
    fake_above = max(_above(p, genuine_fake) for p in genuine.values())
    real_below = min(_below(p, forged_real) for p in forged.values())
    return Thresholds(
        min(real_below, fake_above),
        fake_above,
        f"chosen on kinds that were left out of training: of the genuine pictures of each of "
        f"{len(genuine)} sources at most {genuine_fake:.0%} told fake, of the forged ones of each "
        f"of {len(forged)} kinds at most {forged_real:.0%} told real",
    )


def shares(p_fake: Floats, cuts: Thresholds) -> tuple[float, float]:
    """Which shares of some scores are told "fake" and "real"; nan where there are none."""
    if not len(p_fake):
        return float("nan"), float("nan")
    fake = p_fake >= cuts.fake_above
    return float(fake.mean()), float((~fake & (p_fake < cuts.real_below)).mean())


def decide_file(path: Path, scores: Sequence[Score], spread: float) -> Thresholds:
    """Write thresholds that hold on strangers into the card of a model file.

    The graph stays as it is, byte for byte, and so do the scores.

    Args:
        path: The model file; it is replaced in one move.
        scores: Of left-out pictures, by short runs.
        spread: Of the model's own scores at home, see :func:`spread_of`.

    Returns:
        The new thresholds.

    Raises:
        ModelError: Not a model file.
        OptionError: Too few scores.
        OutputError: The file cannot be written.
    """
    import onnx

    from mesoscope.training.model_writing import beside, put, with_card

    card = read_card(path)
    cuts = thresholds(carried(scores, spread))
    model = onnx.load(path)
    with beside(path) as fresh:
        put(fresh, path, with_card(model, replace(card, thresholds=cuts)))
    return cuts


def _parts(scores: Sequence[Score], label: int, name: Callable[[Score], str]) -> dict[str, Floats]:
    found: dict[str, list[float]] = {}
    for score in scores:
        if score.label == label:
            found.setdefault(name(score), []).append(score.p_fake)
    return {key: np.sort(np.array(p)) for key, p in found.items() if len(p) >= _LEAST}


def _above(p: Floats, share: float) -> float:
    """The lowest cut that at most this share of the scores reaches."""
    most = int(share * len(p) + 1e-9)
    return min(float(np.nextafter(p[len(p) - most - 1], 2)), 1.0)


def _below(p: Floats, share: float) -> float:
    """The highest cut that at most this share of the scores lies below."""
    return float(p[int(share * len(p) + 1e-9)])
