"""Measure robustness: metrics under each corruption, through the detector."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope import metrics
from mesoscope.data.sample import LIMIT, open_sample
from mesoscope.errors.failures import source_failure
from mesoscope.imaging.corruptions import CORRUPTIONS, corrupt, moderate
from mesoscope.media.walk import Unreadable
from mesoscope.metrics.figures import FIGURES as METRICS
from mesoscope.metrics.figures import ConfusionCounts, Ranked, ratio
from mesoscope.report.record import Figures
from mesoscope.report.robustness import FIGURES, Level, Robustness, RobustnessCurve
from mesoscope.runtime.log import logger
from mesoscope.runtime.threads import cores, map_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from mesoscope.data.manifest import Sample
    from mesoscope.detection.detector import Detector
    from mesoscope.imaging.corruptions import Corruption
    from mesoscope.types import Pixels, Verdict

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Step = tuple[Corruption, float] | None  # None: the unchanged picture

_NAMED = 3  # failed pictures that are named
COMPARED = ("auc", "accuracy")  # also reported as a difference to the unchanged pictures
_STEPS: tuple[Step, ...] = (
    None,
    *((corruption, level) for corruption in CORRUPTIONS for level in corruption.levels),
)
_AHEAD = 4  # pictures decoded ahead
_NOTHING = (math.nan, math.nan)


class LevelScore(NamedTuple):
    """The measured fields of a verdict."""

    p_fake: float | None
    verdict: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts on one picture and its corrupted versions.

    Attributes:
        sample: The picture.
        answers: That of the unchanged picture, then of each level of each corruption; empty if the
            picture could not be read, corrupted or judged.
        error: The failure, in a line.
    """

    sample: Sample
    answers: tuple[LevelScore, ...]
    error: str | None = None


def judge_changed(
    samples: Iterable[Sample], detector: Detector, *, seed: int = 0
) -> Iterator[Judged]:
    """Judge each picture unchanged and at every level of every corruption.

    A picture is decoded once. Larger ones are first scaled to a longest side of
    :data:`mesoscope.imaging.corruptions.LONGEST_PX`, so memory stays
        bounded.

    Args:
        samples: Samples to judge; read only as far ahead as needed.
        detector: The detector.
        seed: Seed of random corruptions.

    Yields:
        One result per sample, in order. Stopping early keeps complete pictures.
    """
    max_pixels = detector.options.max_pixels

    def read(sample: Sample) -> Pixels | Unreadable:
        try:
            return moderate(open_sample(sample, max_pixels=max_pixels))
        except Exception as error:  # noqa: BLE001 - one picture does not end the run
            return Unreadable(sample.file, source_failure(sample.file, error))

    def change(work: tuple[str, Pixels | Unreadable, int]) -> Pixels | Unreadable:
        name, picture, number = work
        step = _STEPS[number]
        if step is None or isinstance(picture, Unreadable):
            return picture
        try:
            return corrupt(picture, *step, seed=seed)
        except Exception as error:  # noqa: BLE001
            return Unreadable(name, source_failure(name, error))

    chosen = list(samples)
    threads = detector.options.jobs or cores()
    pictures = map_ordered(read, chosen, threads=threads, depth=_AHEAD)
    counts: deque[int] = deque()  # number of pending verdicts of each picture

    def steps() -> Iterator[tuple[str, Pixels | Unreadable, int]]:
        for sample, picture in zip(chosen, pictures, strict=True):
            counts.append(1 if isinstance(picture, Unreadable) else len(_STEPS))
            for number in range(counts[-1]):
                yield sample.file, picture, number

    changed = map_ordered(change, steps(), threads=threads, depth=4 * threads)
    verdicts = detector.check_many(changed, keep_going=True)
    for sample in chosen:
        first = next(verdicts)
        yield _judged(sample, [first, *islice(verdicts, counts.popleft() - 1)])


def _judged(sample: Sample, verdicts: Sequence[Verdict]) -> Judged:
    """Return a picture's answers, or its first failure."""
    for verdict in verdicts:
        if verdict.error is not None:
            said = verdict.error["message"]
            return Judged(sample, (), f"{sample.file}: {said.removeprefix(f'{verdict.source}: ')}")
    return Judged(sample, tuple(map(_answer, verdicts)))


def _answer(verdict: Verdict) -> LevelScore:
    return LevelScore(verdict.p_fake, verdict.label, verdict.reason)


def measure_robustness(
    chosen: Sequence[Sample],
    detector: Detector,
    *,
    split: str,
    limit: int = LIMIT,
    seed: int = 0,
    resamples: int = 1000,
    watch: Callable[[], None] | None = None,
) -> tuple[Robustness | None, bool]:
    """Judge corrupted pictures and measure the change of each metric.

    Args:
        chosen: The pictures, from :func:`mesoscope.data.sample.subset`.
        detector: The detector.
        split: Split of the pictures, for the record.
        limit: Limit of the subset, for the record.
        seed: Seed of random corruptions.
        resamples: Bootstrap resamples; 0 leaves out the intervals.
        watch: Called after each picture.

    Returns:
        The result, ``None`` if no picture was done; and whether Ctrl-C ended it, which keeps the
        finished pictures.
    """
    judged, interrupted = [], False
    try:
        for one in judge_changed(chosen, detector, seed=seed):
            judged.append(one)
            if watch is not None:
                watch()
    except KeyboardInterrupt:
        interrupted = True
    failed = [one.error for one in judged if one.error is not None]
    for said in failed[:_NAMED]:
        logger.warning("robustness: %s", said)
    if len(failed) > _NAMED:
        logger.warning("robustness: and %d more pictures failed", len(failed) - _NAMED)
    if not any(one.answers for one in judged):
        return None, interrupted
    found = measure(
        judged,
        n_planned=len(chosen),
        model=detector.model_id,
        split=split,
        limit=limit,
        seed=seed,
        resamples=resamples,
    )
    return found, interrupted


def measure(
    judged: Sequence[Judged],
    *,
    n_planned: int,
    model: str,
    split: str,
    limit: int = LIMIT,
    seed: int = 0,
    resamples: int = 1000,
) -> Robustness:
    """Compute the metrics of each level, by source and as means over sources, with intervals.

    A change of accuracy or AUC is measured on the same pictures in the same resamples, so its
    interval is narrower than the intervals of both metrics.

    Args:
        judged: Results of :func:`judge_changed`, all or a prefix.
        n_planned: Number of chosen pictures.
        model: The detector's model, for the record.
        split: Split of the pictures, for the record.
        limit: Pictures of a source and class, for the record.
        seed: Seed of the bootstrap.
        resamples: Bootstrap resamples; 0 leaves out the intervals.
    """
    done = [one for one in judged if one.answers]
    by_source: dict[str, list[_Measured]] = {}
    for number, source in enumerate(sorted({one.sample.source for one in done}), start=1):
        of_it = [one for one in done if one.sample.source == source]
        by_source[source] = _measure_source(of_it, [seed, number], resamples)
    levels = [_level(number, step, by_source) for number, step in enumerate(_STEPS)]
    curves, at = [], 1
    for corruption in CORRUPTIONS:
        curves.append(RobustnessCurve(corruption, tuple(levels[at : at + len(corruption.levels)])))
        at += len(corruption.levels)
    return Robustness(
        unchanged=levels[0],
        curves=tuple(curves),
        n_planned=n_planned,
        n_done=len(done),
        n_unreadable=len(judged) - len(done),
        conditions={
            "model": model,
            "split": split,
            "limit": limit,
            "seed": seed,
            "resamples": resamples,
        },
    )


class _Measured(NamedTuple):
    """Metrics of one source at one level."""

    figures: Figures
    drawn: dict[str, Floats]  # name → (resamples,)


class _Column:
    """Answers of one source at one level, and their metrics under any weights."""

    def __init__(self, labels: Ints, answers: Sequence[LevelScore]) -> None:
        self.scored = np.array([a.p_fake is not None for a in answers])
        verdicts = np.array([a.verdict for a in answers], object)
        reasons = np.array([a.reason for a in answers], object)
        clear = (verdicts == "fake") | (verdicts == "real")
        wrong = clear & ((verdicts == "fake") != (labels == 1))
        p_fake = np.array([a.p_fake for a in answers if a.p_fake is not None], np.float64)
        self.ranked = Ranked(labels[self.scored], p_fake)
        self.shares = {
            "coverage": (self.scored, np.ones(len(answers))),
            "decided": (clear, self.scored),
            "inconclusive": (verdicts == "inconclusive", self.scored),
            "unfamiliar": (reasons == "unfamiliar", self.scored),
            "error_among_decided": (wrong, clear),
        }

    def figures(self, weights: Floats) -> dict[str, Floats]:
        """Return metrics ``(b,)`` each, for weights ``(b, n)``."""
        counts = ConfusionCounts(self.ranked, weights[:, self.scored][:, self.ranked.order])
        found = {name: METRICS[name](counts) for name in COMPARED}
        for name, (part, whole) in self.shares.items():
            found[name] = ratio(weights @ part, weights @ whole)
        return found


def _measure_source(
    judged: Sequence[Judged], seed: Sequence[int], resamples: int
) -> list[_Measured]:
    """Measure one source at every level, all in the same resamples."""
    labels = np.array([one.sample.label for one in judged], np.int64)
    groups = np.unique([one.sample.group for one in judged], return_inverse=True)[1]
    columns = [_Column(labels, [one.answers[k] for one in judged]) for k in range(len(_STEPS))]
    parts: list[list[dict[str, Floats]]] = [[] for _ in columns]
    ones = np.ones((1, len(judged)))  # the first row: the unweighted metrics
    for weights in chain([ones], metrics.resample(groups, n=resamples, seed=seed)):
        for column, part in zip(columns, parts, strict=True):
            part.append(column.figures(weights))
    rows = [{k: np.concatenate([p[k] for p in part]) for k in part[0]} for part in parts]
    alone = len(set(groups)) == 1  # resamples of one group are all equal
    n, n_fake = len(labels), int(labels.sum())
    found = []
    for column, row in zip(columns, rows, strict=True):
        same = np.array_equal(column.scored, columns[0].scored)
        for name in COMPARED:  # reported only if the same pictures were scored
            row[f"{name}_change"] = row[name] - (rows[0][name] if same else math.nan)
        counts = {"n": n, "n_real": n - n_fake, "n_fake": n_fake}
        counts["n_scored"] = int(column.scored.sum())
        drawn = {name: row[name][1:] for name in FIGURES}
        intervals = {k: _NOTHING if alone else metrics.interval(v) for k, v in drawn.items()}
        values = {name: float(row[name][0]) for name in FIGURES}
        found.append(_Measured(Figures(counts, values, intervals), drawn))
    return found


def _level(number: int, step: Step, by_source: Mapping[str, Sequence[_Measured]]) -> Level:
    """Combine a level of all sources, with means over those that have the metric unchanged."""
    values, intervals = {}, {}
    for name in FIGURES:
        have = [
            steps[number]
            for steps in by_source.values()
            if not math.isnan(steps[0].figures.values[name])
        ]
        values[name] = math.nan
        intervals[name] = _NOTHING
        if have:
            values[name] = sum(one.figures.values[name] for one in have) / len(have)
        spans = [one.figures.intervals[name][0] for one in have]
        if not math.isnan(values[name]) and not any(map(math.isnan, spans)):
            intervals[name] = metrics.interval(np.mean([one.drawn[name] for one in have], axis=0))
    return Level(
        level=None if step is None else step[1],
        by_source={source: steps[number].figures for source, steps in by_source.items()},
        mean_over_sources=Figures({}, values, intervals),
    )
