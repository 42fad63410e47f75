"""A made evaluation to show: two sources, mistakes of both kinds, one unreadable picture."""

import math

import numpy as np
import pytest
from PIL import Image

from mesoscope import metrics
from mesoscope.report.record import Evaluation, Figures, Prediction
from mesoscope.report.tables import count_answers
from mesoscope.types import Calibration, ModelCard, Thresholds

NAMES = (
    "coverage", *metrics.METRICS, "ece_by_chance", "ece_by_chance_high", "accuracy_of_all",
    "decided", "error_among_decided", "unfamiliar",
)  # fmt: skip


def figures(items):
    scored = [p for p in items if p.p_fake is not None]
    values = metrics.measure([p.label for p in scored], [p.p_fake for p in scored])
    clear = [p for p in scored if p.verdict in ("fake", "real")]
    wrong = [p for p in clear if (p.verdict == "fake") != p.label]
    values["coverage"] = metrics.share([len(scored)], [len(items)])
    right = sum((p.p_fake >= 0.5) == p.label for p in scored)
    values["accuracy_of_all"] = metrics.share([right], [len(items)])
    values["decided"] = metrics.share([len(clear)], [len(scored)])
    floor = metrics.ece_by_chance([p.p_fake for p in scored], n=100)
    values |= {"ece_by_chance": floor.mean, "ece_by_chance_high": floor.high}
    values["error_among_decided"] = metrics.share([len(wrong)], [len(clear)])
    values["unfamiliar"] = metrics.share([0], [len(scored)])
    known = {name: not math.isnan(value) for name, value in values.items()}
    intervals = {
        name: (max(0, value - 0.05), min(1, value + 0.05)) if known[name] else (math.nan, math.nan)
        for name, value in values.items()
        if "chance" not in name
    }
    n_unreadable = sum(p.error is not None for p in items)
    counts = {
        "n": len(items), "n_real": sum(p.label == 0 for p in items),
        "n_fake": sum(p.label == 1 for p in items), "n_scored": len(scored),
        "n_unreadable": n_unreadable, "n_unscored": len(items) - len(scored) - n_unreadable,
    }  # fmt: skip
    return Figures(counts, {name: values[name] for name in NAMES}, intervals)


@pytest.fixture
def evaluated():
    """``evaluated(predictions)`` → an evaluation with their figures."""

    def make(predictions, *, thresholds=None, **conditions):
        sources = sorted({p.source for p in predictions})
        by_source = {s: figures([p for p in predictions if p.source == s]) for s in sources}
        splits = sorted({p.split for p in predictions})
        return Evaluation(
            predictions=tuple(predictions),
            overall=figures(predictions),
            by_source=by_source,
            mean_over_sources=Figures(
                {}, {"accuracy": 0.7, "auc": 0.8}, {"accuracy": (0.6, 0.8), "auc": (0.7, 0.9)}
            ),
            card=ModelCard(
                "meso4", "meso4", input_px=64, training_data="twelve <drawn> faces",
                calibration=Calibration(1.1, 0.2, "platt", "validation"), parameters=27_977,
            ),
            answer_counts=tuple(count_answers(predictions)),
            thresholds=thresholds or Thresholds(0.35, 0.65, "5 % error"),
            conditions={
                "model": "meso4@01234567", "seed": 0, "versions": {"numpy": "2"},
                "splits": {s: sum(p.split == s for p in predictions) for s in splits}, **conditions,
            },
        )  # fmt: skip

    return make


@pytest.fixture
def predictions(tmp_path, make_face):
    """Sixty scored pictures, each a file, and one that cannot be read."""
    draw = np.random.default_rng(1)
    found = []
    for i in range(60):
        label = i % 2
        p_fake = float(np.clip(0.2 + 0.3 * label + 0.55 * draw.random(), 0, 1))
        path = tmp_path / f"face {i:02}.png"
        Image.fromarray(make_face(i, 64)).save(path)
        verdict = "fake" if p_fake >= 0.65 else "real" if p_fake < 0.35 else "inconclusive"
        found.append(
            Prediction(
                path=str(path),
                label=label,
                source="two" if i % 3 == 0 else "one",
                group=f"g{i // 2}",
                split="validation",
                p_fake=p_fake,
                verdict=verdict,
                box=(0.0, 0.0, 64.0, 64.0),
            )
        )
    error = {"code": "source.unreadable", "message": "gone.jpg: <b>damaged</b>: fetch it again"}
    found.append(Prediction("gone.jpg", 1, "one", "g9", "validation", None, error=error))
    return found


@pytest.fixture
def evaluation(evaluated, predictions):
    """All of them."""
    return evaluated(predictions)
