"""Evaluate a detector on a labelled data set."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import math
import platform
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from mesoscope import __version__, metrics
from mesoscope.errors import OptionError
from mesoscope.media.part import FilePart
from mesoscope.report.record import Evaluation, Figures, Prediction, columns_of
from mesoscope.report.tables import AlarmReport, TrueShare, count_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from mesoscope.data.manifest import Sample
    from mesoscope.evaluation.judge import Judge
    from mesoscope.types import Json, Verdict

    Floats = NDArray[np.float64]

__all__ = ["NAMES", "Evaluation", "Figures", "Prediction", "evaluate"]

NAMES = (  # in report order
    "coverage", *metrics.METRICS, "ece_by_chance", "ece_by_chance_high", "accuracy_of_all",
    "decided", "error_among_decided", "unfamiliar",
)  # fmt: skip
MOST_STRIPS = 4  # clips of either class whose verdict is kept for a strip

_PACKAGES = ("numpy", "onnxruntime", "opencv-python-headless", "pillow")
_MEANS = ("accuracy", "auc")


def evaluate(
    samples: Sequence[Sample],
    detector: Judge,
    *,
    seed: int = 0,
    resamples: int = 1000,
    conditions: Mapping[str, Json] | None = None,
    fpr: float | None = None,
    prevalences: Sequence[float] = (),
    watch: Callable[[Verdict], None] | None = None,
    clips: bool = False,
) -> Evaluation:
    """Judge labelled pictures and clips with :meth:`Detector.check_many`, and compute metrics.

    A clip is one item, as a picture is. Unreadable items and items without a face lower the
    coverage and are listed. No metric guesses a score for them; only ``accuracy_of_all`` counts
    them as wrong. Groups are specific to their source: two sets may number their videos alike.

    Args:
        samples: Samples to judge, at least one.
        detector: The detector, or the verdicts that a job holds for these samples; its thresholds
            give the labels.
        seed: Seed of the bootstrap.
        resamples: Number of bootstrap resamples; 0 leaves out the intervals.
        conditions: Further conditions, for example the model file's digest; kept in the result.
        fpr: A false-positive rate to report: the card's threshold for it, and the one that gives it
            on these samples. The labels do not change.
        prevalences: Shares of forged faces at which to report the precision of alarms.
        watch: Called after each verdict.
        clips: Judge clips, as a scan does. Without it, a video is unreadable and an animated
            picture is its first picture.

    Returns:
        Predictions and metrics, no pictures. The whole verdict is kept for a few of the most wrong
        clips of either class.

    Raises:
        OptionError: A rate or a prevalence is not between 0 and 1.
    """
    for name, value in [("fpr", fpr), *(("a prevalence", p) for p in prevalences)]:
        if value is not None and not 0 < value < 1:  # checked before the long work
            raise OptionError(f"{name} must lie between 0 and 1, got {value}")
    predictions = []
    verdicts = detector.check_many(
        (sample.picture for sample in samples), keep_going=True, clips=clips
    )
    wrong = _MostWrongClips()
    for sample, verdict in zip(samples, verdicts, strict=True):
        predictions.append(_prediction(sample, verdict))
        wrong.add(len(predictions) - 1, predictions[-1], verdict)
        if watch is not None:
            watch(verdict)
    for number, verdict in wrong.verdicts():
        predictions[number] = dataclasses.replace(predictions[number], seen=verdict)
    overall, drawn_overall = _measure(predictions, [seed], resamples)
    by_source, drawn = {}, {}
    sources = sorted({p.source for p in predictions})
    for number, source in enumerate(sources, start=1):
        of_it = [p for p in predictions if p.source == source]
        # Sources are resampled separately; a single source is the whole, with one interval.
        alone = len(sources) == 1
        by_source[source], drawn[source] = (
            (overall, drawn_overall) if alone else _measure(of_it, [seed, number], resamples)
        )
    return Evaluation(
        predictions=tuple(predictions),
        overall=overall,
        by_source=by_source,
        mean_over_sources=_mean(by_source, drawn),
        card=detector.card,
        thresholds=detector.thresholds,
        conditions={
            **_conditions(predictions, detector),
            "seed": seed,
            "resamples": resamples,
            **(conditions or {}),
        },
        alarms=_alarms(predictions, detector, fpr, prevalences),
        guard=detector.guard,
        answer_counts=tuple(count_answers(predictions)),
    )


class _MostWrongClips:
    """Keeps the most wrong clips so far, a few of either class."""

    def __init__(self) -> None:
        self._kept: tuple[list[Any], list[Any]] = ([], [])

    def add(self, number: int, item: Prediction, verdict: Verdict) -> None:
        """Add a clip if it is among the most wrong; ``number`` breaks ties."""
        error_rank = item.error_rank
        if verdict.kind != "clip" or error_rank is None:
            return
        kept = self._kept[item.label]
        heapq.heappush(kept, (error_rank, -number, verdict))
        if len(kept) > MOST_STRIPS:
            heapq.heappop(kept)

    def verdicts(self) -> list[tuple[int, Verdict]]:
        """Return numbers and verdicts."""
        return [(-number, verdict) for kept in self._kept for _, number, verdict in kept]


def _prediction(sample: Sample, verdict: Verdict) -> Prediction:
    deciding = next((face for face in verdict.faces if face.p_fake == verdict.p_fake), None)
    if verdict.kind == "clip":  # a clip is decided by a person, not a face
        deciding = None
    return Prediction(
        path=sample.file,
        label=sample.label,
        source=sample.source,
        group=sample.group,
        split=sample.split,
        p_fake=verdict.p_fake,
        verdict=verdict.label,
        box=None if deciding is None else deciding.box,
        reason=verdict.reason,
        error=verdict.error,
        part=sample.picture if isinstance(sample.picture, FilePart) else None,
        kind=verdict.kind,
        frames=verdict.frames_read,
        faces=len(verdict.faces),
        persons=len(verdict.persons),
        duration_s=verdict.duration_s,
    )


def _measure(
    items: Sequence[Prediction], seed: Sequence[int], resamples: int
) -> tuple[Figures, dict[str, Floats]]:
    """Return the metrics and their resampled values."""
    scored = [p for p in items if p.p_fake is not None]
    truth = np.array([p.label for p in scored], np.int64)
    p_fake = np.array([p.p_fake for p in scored], np.float64)
    has_score = np.array([p.p_fake is not None for p in items], np.float64)
    clear = np.array([p.verdict in ("fake", "real") for p in scored], np.float64)
    wrong = clear * np.array([(p.verdict == "fake") != p.label for p in scored], np.float64)
    right = np.array(
        [p.p_fake is not None and (p.p_fake >= metrics.CUT) == p.label for p in items], np.float64
    )
    strange = np.array([p.reason == "unfamiliar" for p in scored], np.float64)
    every, groups = _groups(items), _groups(scored)
    values = metrics.measure(truth, p_fake)
    # A separate stream: the noise floor must not depend on the number of resamples.
    floor = metrics.ece_by_chance(p_fake, n=min(resamples, 1000), seed=[*seed, 0])
    values |= {"ece_by_chance": floor.mean, "ece_by_chance_high": floor.high}
    drawn = metrics.bootstrap(truth, p_fake, groups, n=resamples, seed=seed)
    for name, part, whole, of in (
        ("coverage", has_score, np.ones_like(has_score), every),
        ("accuracy_of_all", right, np.ones_like(right), every),
        ("decided", clear, np.ones_like(clear), groups),
        ("error_among_decided", wrong, clear, groups),
        ("unfamiliar", strange, np.ones_like(strange), groups),
    ):
        values[name] = metrics.share(part, whole)
        drawn[name] = metrics.bootstrap_share(part, whole, of, n=resamples, seed=seed)
    values = {name: values[name] for name in NAMES}
    alone = len(set(every)) == 1  # resamples of one group are all equal
    nothing = (float("nan"), float("nan"))
    intervals = {
        name: nothing if alone else metrics.interval(drawn[name]) for name in NAMES if name in drawn
    }
    return Figures(_counts(items), values, intervals), drawn


def _alarms(
    predictions: Sequence[Prediction],
    detector: Judge,
    fpr: float | None,
    prevalences: Sequence[float],
) -> tuple[AlarmReport, ...]:
    scored = [p for p in predictions if p.p_fake is not None]
    found = columns_of(scored)
    # A face that the guard refuses, or none found, is never called fake, whatever its score.
    refused = np.array([p.reason in ("unfamiliar", "face_not_seen") for p in scored], bool)
    found = found._replace(p_fake=np.where(refused, 0.0, found.p_fake))

    def report(name: str, cut: float, rate: float | None = None) -> AlarmReport:
        alarms = metrics.alarms_at(found.labels, found.p_fake, cut, found.groups)
        shares = [TrueShare(p, *metrics.true_share(alarms, p)) for p in prevalences]
        by_source = {
            str(source): metrics.alarms_at(found.labels[of], found.p_fake[of], cut)
            for source in np.unique(found.sources)
            if (of := found.sources == source).any()
        }
        return AlarmReport(name, rate, alarms, tuple(shares), by_source)

    reports = [report("label", detector.thresholds.fake_above)]
    if fpr is None:
        return tuple(reports)
    try:
        reports.append(report("card", detector.card.at_fpr(fpr).fake_above, fpr))
    except OptionError as error:
        reports.append(AlarmReport("card", fpr, missing=str(error)))
    cut = metrics.threshold_at_fpr(found.labels, found.p_fake, fpr, found.groups)
    if cut is not None:
        return (*reports, report("here", cut, fpr))
    reals = reports[0].alarms.false if reports[0].alarms else metrics.Rate(0, 0, 0.0)
    missing = (
        f"{reals.n} reals, worth {reals.effective_n:.0f} of a group of their own, give no "
        f"threshold: this rate takes {metrics.reals_needed(fpr)}"
    )
    return (*reports, AlarmReport("here", fpr, missing=missing))


def _groups(items: Sequence[Prediction]) -> NDArray[np.int64]:
    """Return a group code for each item."""
    numbers: dict[tuple[str, str], int] = {}
    return np.array(
        [numbers.setdefault((p.source, p.group), len(numbers)) for p in items], np.int64
    )


def _counts(items: Sequence[Prediction]) -> dict[str, int]:
    n_fake = sum(p.label for p in items)
    n_unreadable = sum(p.error is not None for p in items)
    n_scored = sum(p.p_fake is not None for p in items)
    return {
        "n": len(items),
        "n_real": len(items) - n_fake,
        "n_fake": n_fake,
        "n_scored": n_scored,
        "n_unreadable": n_unreadable,
        "n_unscored": len(items) - n_scored - n_unreadable,
    }


def _mean(by_source: Mapping[str, Figures], drawn: Mapping[str, Mapping[str, Floats]]) -> Figures:
    """Average over the sources that have the metric; their resamples are independent."""
    values, intervals = {}, {}
    for name in _MEANS:
        have = [s for s, one in by_source.items() if not math.isnan(one.values[name])]
        known = [by_source[s].values[name] for s in have]
        values[name] = sum(known) / len(known) if known else math.nan
        alone = any(math.isnan(by_source[s].intervals[name][0]) for s in have)
        resampled = np.mean([drawn[s][name] for s in have], axis=0) if have else np.empty(0)
        intervals[name] = (math.nan, math.nan) if alone else metrics.interval(resampled)
    return Figures({}, values, intervals)


def _conditions(predictions: Sequence[Prediction], detector: Judge) -> dict[str, Json]:
    return {
        "model": detector.model_id,
        "label_convention": detector.card.label_convention,
        "faces": detector.options.faces,
        **_of_clips(predictions, detector),
        "thresholds": dataclasses.asdict(detector.thresholds),
        "splits": dict(sorted(Counter(p.split or "none" for p in predictions).items())),
        "sources": dict(sorted(Counter(p.source for p in predictions).items())),
        "groups": int(_groups(predictions).max(initial=-1)) + 1,
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": platform.machine(),
    }


def _of_clips(predictions: Sequence[Prediction], detector: Judge) -> dict[str, Json]:
    """Return further conditions of metrics on clips; empty without clips."""
    if not any(p.kind == "clip" for p in predictions):
        return {}
    asked = detector.options
    looked = {"frames": asked.frames} if asked.every_s is None else {"every_s": asked.every_s}
    return {
        "kinds": dict(sorted(Counter(p.kind for p in predictions).items())),
        **looked,
        "aggregation": dataclasses.asdict(detector.card.aggregation),
    }


def _versions() -> dict[str, Json]:
    found: dict[str, Json] = {"mesoscope": __version__}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):  # another build of OpenCV, say
            found[package] = version(package)
    return found
