"""Find label errors by a model, and pictures without a face by a face finder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mesoscope import metrics
from mesoscope.data.audit.cues import FOLDS, enough_groups, group_folds
from mesoscope.data.audit.finding import AuditFinding
from mesoscope.data.audit.severity import row_examples
from mesoscope.errors import MissingExtra
from mesoscope.types.label import CLASSES, plural

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.options import AuditOptions, Watch

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

# Measured by benchmarks/audit_measured.py, which flips 2 % of the labels of six sets.
LEAST_AUC = 0.8  # of the model in a source; below it no labels are suspected
CONFIDENT = 0.05  # labels below this probability are suspected
_LEAST = 1e-6  # probabilities are clipped to this
_NAMED = 3  # failed pictures that are named
_LISTED = 0.02  # share of the pictures from which it is a warning


def label_findings(
    facts: Facts, options: AuditOptions, watch: Watch
) -> tuple[list[AuditFinding], list[str]]:
    """Find suspected label errors: confident disagreement of a cross-fitted model.

    A shipped model scores each picture as one face crop. In each source a logistic fit on the other
    folds, by groups, turns its score into a probability. Labels of low probability are suspected
    (after Northcutt, Jiang & Chuang 2021, section 3, with one score in place of a retrained model).
    Where the model hardly separates the classes, no labels are suspected.

    Args:
        facts: Facts of all pictures.
        options: The model, threads and seed.
        watch: Wraps the iteration for a progress bar.

    Returns:
        Findings, and notes on what could not be checked.

    Raises:
        ModelError: The model is not usable.
    """
    return label_findings_of_scores(facts, score_labels(facts, options, watch), options)


def label_findings_of_scores(
    facts: Facts, scores: Floats, options: AuditOptions
) -> tuple[list[AuditFinding], list[str]]:
    """Like :func:`label_findings`, for pictures that are scored already.

    Args:
        facts: Facts of all pictures.
        scores: ``(n,)``, p_fake; NaN without a score.
        options: The seed.
    """
    found, missed, p_label = suspected_labels(facts, scores, options)
    return _listed(facts, scores, found, p_label), missed


def suspected_labels(
    facts: Facts, scores: Floats, options: AuditOptions
) -> tuple[Ints, list[str], Floats]:
    """Return rows with suspected labels, the least probable first.

    Returns:
        The rows; notes on what could not be checked; ``(n,)`` the probability of each label, NaN
        where unknown.
    """
    suspected: list[Ints] = []
    missed = []
    p_label = np.full(len(facts.samples), np.nan)
    for source in facts.sources.values:
        rows = np.flatnonzero(facts.rows_of(source) & ~np.isnan(scores))
        labels, groups = facts.labels[rows], facts.groups[rows]
        if not enough_groups(labels, groups):
            missed.append(f"Wrong labels in {source}: too few pictures.")
            continue
        auc = metrics.roc_auc(labels, scores[rows])
        if auc < LEAST_AUC:
            missed.append(
                f"Wrong labels in {source}: the model tells its classes with an AUC of {auc:.2f} "
                f"only, and doubts mean something from {LEAST_AUC} on."
            )
            continue
        p_fake = _probabilities(
            scores[rows], labels, group_folds(groups, labels, seed=options.seed)
        )
        p_label[rows] = np.where(labels == 1, p_fake, 1 - p_fake)
        suspected.append(rows[p_label[rows] < CONFIDENT])
    found = np.concatenate(suspected) if suspected else np.empty(0, np.int64)
    return found[np.argsort(p_label[found], kind="stable")], missed, p_label


def _listed(facts: Facts, scores: Floats, found: Ints, p_label: Floats) -> list[AuditFinding]:
    if not len(found):
        return []
    share = len(found) / len(facts.samples)
    return [
        AuditFinding(
            kind="labels.suspected",
            severity="warning" if share >= _LISTED else "note",
            title=f"{plural(len(found), 'picture')} may have the wrong label ({100 * share:.1f} %)",
            detail=(
                "A model that tells the classes of their source well is confident of the other "
                f"label: less than {100 * CONFIDENT:.0f} % of pictures with such a score have "
                "theirs. Hard pictures look like that, too, and a model that learnt from these "
                "very pictures doubts less than it should."
            ),
            fix="Look at them; nothing is changed by `fix`.",
            count=len(found),
            examples=row_examples(
                facts,
                found[:6],
                lambda row: (
                    f"called {CLASSES[facts.labels[row]]}, p_fake {scores[row]:.2f}, label "
                    f"probable by {100 * p_label[row]:.1f} %"
                ),
            ),
        )
    ]


def face_findings(
    facts: Facts, options: AuditOptions, watch: Watch
) -> tuple[list[AuditFinding], list[str]]:
    """Find pictures without a face, among a sample of each source and class.

    Returns:
        Findings, and notes on what could not be checked: failed pictures are named.
    """
    from mesoscope.detection.stages import find_in_pictures
    from mesoscope.errors import MesoscopeError
    from mesoscope.faces.finder import finder_for
    from mesoscope.media.image import source_name
    from mesoscope.runtime.threads import cores
    from mesoscope.types import DetectOptions

    rows = _some(facts, options)
    work = find_in_pictures(
        (facts.samples[int(row)].picture for row in rows),
        finder_for(DetectOptions(faces="auto")),
        threads=options.threads or cores(),
        max_pixels=options.max_pixels,
    )
    answers = list(watch("Finding faces", work, len(rows)))
    failed = [
        f"{facts.names[row]}: "
        + str(said).removeprefix(f"{source_name(facts.samples[row].picture)}: ")
        for row, said in zip(rows.tolist(), answers, strict=True)
        if isinstance(said, MesoscopeError)
    ]
    missed = [f"Whether a picture shows a face: {said}" for said in failed[:_NAMED]]
    if len(failed) > _NAMED:
        missed.append(
            f"Whether {plural(len(failed) - _NAMED, 'picture')} more show a face: as above."
        )
    without = [
        not isinstance(answer, MesoscopeError)
        and (not answer.faces or any(face.confidence == 0 for face in answer.faces))
        for answer in answers
    ]
    lacking = rows[np.array(without, bool)]
    if not len(lacking):
        return [], missed
    share = len(lacking) / (len(rows) - len(failed))
    return [
        AuditFinding(
            kind="pictures.faceless",
            severity="warning" if share >= 0.05 else "note",
            title=f"In {len(lacking):,} of {len(rows) - len(failed):,} pictures no face is found",
            detail="Finders miss tight crops and profiles, too: look at the examples.",
            fix="Leave out what shows no face.",
            count=len(lacking),
            examples=row_examples(facts, lacking, lambda _: "no face found"),
        )
    ], missed


def score_labels(facts: Facts, options: AuditOptions, watch: Watch) -> Floats:
    """Return the model's p_fake of each picture, ``(n,)``; NaN for unreadable files."""
    from mesoscope.detection.detector import Detector
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
    """Return the probability of "fake" at each score, fitted on the other folds.

    Logistic regression on the score's log-odds (Platt 1999).
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra("scikit-learn", extra="audit") from error
    odds = np.log((scores + _LEAST) / (1 - scores + _LEAST))[:, None]
    p_fake = np.empty(len(scores))
    for fold in range(FOLDS):
        held = folds == fold
        if held.any():
            curve = LogisticRegression().fit(odds[~held], labels[~held])
            p_fake[held] = curve.predict_proba(odds[held])[:, 1]
    return p_fake


def _some(facts: Facts, options: AuditOptions) -> Ints:
    rng = np.random.default_rng((options.seed, 3))
    chosen = []
    for source in facts.sources.values:
        for label in (0, 1):
            rows = np.flatnonzero(facts.rows_of(source) & facts.readable & (facts.labels == label))
            chosen.append(rng.permutation(rows)[: options.check_faces])
    return np.sort(np.concatenate(chosen))
