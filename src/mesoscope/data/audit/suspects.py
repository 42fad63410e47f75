"""What a model says of the labels, and a face finder of the pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mesoscope import metrics
from mesoscope.data.audit.cues import enough
from mesoscope.data.audit.examples import of_rows
from mesoscope.data.audit.finding import Finding
from mesoscope.data.audit.folds import FOLDS, folds_of
from mesoscope.data.sample import CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.options import AuditOptions, Watch

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

LEAST_AUC = 0.85  # of the model in a source, for its doubts to mean something there
CONFIDENT = 0.03  # a label that is less probable than this is suspected
_BINS = 20  # of scores, with as many pictures each
_LISTED = 0.02  # share of the pictures from which on it is a warning


def of_labels(facts: Facts, options: AuditOptions, watch: Watch) -> tuple[list[Finding], list[str]]:
    """Wrong labels suspected: confident disagreement of a cross-fitted model.

    A shipped model scores each picture as one face. In each source its score is turned into a
    probability by the labels of the other folds, groups kept whole, and a label that is improbable
    then is suspected (after Northcutt, Jiang & Chuang 2021, section 3, with one score in place of
    a model trained anew). Where the model hardly tells the classes, its doubts mean nothing, and
    none are raised.

    Args:
        facts: Of all pictures.
        options: The model, threads and seed.
        watch: Wraps the scoring for a progress bar.

    Returns:
        Findings, and what could not be looked at.

    Raises:
        ModelError: The model cannot be used.
    """
    scores = _scores(facts, options, watch)
    suspected: list[Ints] = []
    missed = []
    p_label = np.full(len(facts.samples), np.nan)
    for source in facts.sources.values:
        rows = np.flatnonzero(facts.rows_of(source) & ~np.isnan(scores))
        labels, groups = facts.labels[rows], facts.groups[rows]
        if not enough(labels, groups):
            missed.append(f"Wrong labels in {source}: too few pictures.")
            continue
        auc = metrics.roc_auc(labels, scores[rows])
        if auc < LEAST_AUC:
            missed.append(
                f"Wrong labels in {source}: the model tells its classes with an AUC of {auc:.2f} "
                f"only, and doubts mean something from {LEAST_AUC} on."
            )
            continue
        p_fake = _probabilities(scores[rows], labels, folds_of(groups, labels, seed=options.seed))
        p_label[rows] = np.where(labels == 1, p_fake, 1 - p_fake)
        suspected.append(rows[p_label[rows] < CONFIDENT])
    found = np.concatenate(suspected) if suspected else np.empty(0, np.int64)
    if not len(found):
        return [], missed
    found = found[np.lexsort((np.abs(scores[found] - 0.5) * -1, p_label[found]))]
    share = len(found) / len(facts.samples)
    return [
        Finding(
            kind="labels.suspected",
            severity="warning" if share >= _LISTED else "note",
            title=f"{_many(len(found))} may have the wrong label ({100 * share:.1f} %)",
            detail=(
                "A model that tells the classes of their source well is confident of the other "
                f"label: less than {100 * CONFIDENT:.0f} % of pictures with such a score have "
                "theirs. Hard pictures look like that, too."
            ),
            fix="Look at them; nothing is changed by --fix.",
            count=len(found),
            examples=of_rows(
                facts,
                found[:6],
                lambda row: f"called {CLASSES[facts.labels[row]]}, p_fake {scores[row]:.2f}",
            ),
        )
    ], missed


def of_faces(facts: Facts, options: AuditOptions, watch: Watch) -> list[Finding]:
    """Pictures in which no face is found, among some of each source and class."""
    from mesoscope.ahead import ahead, cores
    from mesoscope.data.picture import open_sample
    from mesoscope.errors import SourceError
    from mesoscope.faces.finder import finder_for
    from mesoscope.types import DetectOptions, Frame

    finder = finder_for(DetectOptions(faces="auto"))
    rows = _some(facts, options)

    def without(row: int) -> bool:
        try:
            pixels = open_sample(facts.samples[row], max_pixels=options.max_pixels)
        except SourceError:
            return False
        found = finder.find([Frame(pixels, facts.names[row])])[0]
        return not found.faces or any(face.confidence == 0 for face in found.faces)

    work = ahead(without, map(int, rows), threads=options.threads or cores())
    lacking = rows[np.array(list(watch("Finding faces", work, len(rows))), bool)]
    if not len(lacking):
        return []
    share = len(lacking) / len(rows)
    return [
        Finding(
            kind="pictures.faceless",
            severity="warning" if share >= 0.05 else "note",
            title=f"In {len(lacking):,} of {len(rows):,} pictures no face is found",
            detail="Finders miss tight crops and profiles, too: look at the examples.",
            fix="Leave out what shows no face.",
            count=len(lacking),
            examples=of_rows(facts, lacking, lambda _: "no face found"),
        )
    ]


def _scores(facts: Facts, options: AuditOptions, watch: Watch) -> Floats:
    """The model's p_fake of each readable picture."""
    from mesoscope.detector import Detector
    from mesoscope.models import DEFAULT_MODEL

    detector = Detector(
        options.model or DEFAULT_MODEL, faces="whole", guard=False, jobs=options.threads,
        max_pixels=options.max_pixels,
    )  # fmt: skip
    rows = np.flatnonzero(facts.readable)
    scores = np.full(len(facts.samples), np.nan)
    verdicts = detector.check_many(
        (facts.samples[int(row)].picture for row in rows), keep_going=True, clips=False
    )
    for row, verdict in zip(rows, watch("Scoring", verdicts, len(rows)), strict=True):
        scores[row] = math.nan if verdict.p_fake is None else verdict.p_fake
    return scores


def _probabilities(scores: Floats, labels: NDArray[np.int8], folds: NDArray[np.int8]) -> Floats:
    """Share of fakes among pictures of a like score in the other folds, rising with the score."""
    p_fake = np.empty(len(scores))
    for fold in range(FOLDS):
        held = folds == fold
        known, y = scores[~held], labels[~held]
        inner = np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])
        bins = np.searchsorted(inner, known, side="right")
        n = np.bincount(bins, minlength=_BINS)
        shares = (np.bincount(bins, weights=y, minlength=_BINS) + 0.5) / (n + 1)
        shares = np.maximum.accumulate(shares)  # a higher score is never less fake
        p_fake[held] = shares[np.searchsorted(inner, scores[held], side="right")]
    return p_fake


def _some(facts: Facts, options: AuditOptions) -> Ints:
    rng = np.random.default_rng((options.seed, 3))
    chosen = []
    for source in facts.sources.values:
        for label in (0, 1):
            rows = np.flatnonzero(facts.rows_of(source) & facts.readable & (facts.labels == label))
            chosen.append(rng.permutation(rows)[: options.faces])
    return np.sort(np.concatenate(chosen))


def _many(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"
