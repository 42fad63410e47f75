"""Measure how well all file facts together predict the label; findings about cues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope import metrics
from mesoscope.data.audit import severity
from mesoscope.data.audit.cues import FACTS, FOLDS, enough_groups, group_folds
from mesoscope.data.audit.finding import SEVERITIES, AuditFinding, CombinedCues
from mesoscope.data.audit.severity import class_examples, format_auc
from mesoscope.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.data.audit.cues import Reach
    from mesoscope.data.audit.facts import Codes, Facts
    from mesoscope.data.audit.finding import Cue, Severity
    from mesoscope.data.audit.options import AuditOptions

    Table = NDArray[np.float64]


_REACHES = ("pixels", "file")  # names and dates say nothing about how a picture was made
_MOST_VALUES = 60  # of a category; rarer ones are merged
_USES = 5  # cues that are named
_MOST_SHUFFLED = 1000  # pictures of each fold
_LEAST_FALL = 0.005  # fall of the AUC of a cue that is named


class BoostingClassifier:
    """Histogram gradient boosting with balanced classes, in one thread.

    Its own threads spin while they wait, which takes minutes instead of seconds on busy machines.

    Args:
        table: ``(n, c)``; ``nan`` where a fact is missing.
        labels: ``(n,)``.
        seed: Seed of the classifier.
        words: Indices of categorical columns.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """

    def __init__(
        self,
        table: Table,
        labels: NDArray[np.int8],
        *,
        seed: int,
        words: Sequence[int] = (),
    ) -> None:
        try:
            from sklearn.ensemble import HistGradientBoostingClassifier
            from threadpoolctl import threadpool_limits
        except ImportError as error:
            raise MissingExtra("scikit-learn", extra="audit") from error
        self._alone = threadpool_limits
        model = HistGradientBoostingClassifier(
            max_iter=60,
            learning_rate=0.15,
            max_leaf_nodes=15,
            # The default of twenty would leave a set of forty pictures without a split.
            min_samples_leaf=int(np.clip(len(labels) // 50, 2, 20)),
            categorical_features=list(words) or None,
            early_stopping=False,
            class_weight="balanced",
            random_state=seed,
        )
        with threadpool_limits(1):
            self._model = model.fit(table, labels)

    def p_fake(self, table: Table) -> Table:
        """Return the probability of "fake" for each row, ``(n,)``."""
        with self._alone(1):
            return np.asarray(self._model.predict_proba(table)[:, 1], np.float64)


def measure_combined(facts: Facts, options: AuditOptions) -> list[CombinedCues]:
    """Fit all facts at once, for the whole set and for each source.

    The model is histogram gradient boosting (Friedman 2001; scikit-learn's), in five-fold
    cross-validation by group.

    Args:
        facts: Facts of all pictures.
        options: Number of resamples and seed.

    Returns:
        One result per scope with enough groups and a fact with several values.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    sources = facts.sources.values
    found = []
    for scope in ("", *(sources if len(sources) > 1 else ())):
        rows = np.flatnonzero(facts.rows_of(scope) & facts.readable)
        if not enough_groups(facts.labels[rows], facts.groups[rows]):
            continue
        table, names, words = _table(facts, rows)
        if names:
            found.append(_fit(facts, scope, rows, table, names, words, options))
    return found


def _fit(
    facts: Facts,
    scope: str,
    rows: NDArray[np.int64],
    table: Table,
    names: list[str],
    words: list[int],
    options: AuditOptions,
) -> CombinedCues:
    labels, groups = facts.labels[rows], facts.groups[rows]
    folds = group_folds(groups, labels, seed=options.seed)
    rng = np.random.default_rng(options.seed)
    scores = np.full(len(rows), 0.5)
    shuffled = np.full((len(names), len(rows)), 0.5)
    asked = np.zeros(len(rows), bool)
    for fold in range(FOLDS):
        held = folds == fold
        model = BoostingClassifier(table[~held], labels[~held], seed=options.seed, words=words)
        scores[held] = model.p_fake(table[held])
        some = np.flatnonzero(held)[:_MOST_SHUFFLED]
        asked[some] = True
        for column in range(len(names)):
            mixed = table[some].copy()
            mixed[:, column] = rng.permutation(mixed[:, column])
            shuffled[column, some] = model.p_fake(mixed)
    auc = metrics.roc_auc(labels, scores)
    low, high = metrics.interval(
        metrics.bootstrap_auc(labels, scores, groups, n=options.resamples, seed=[options.seed, 2])
    )
    whole = metrics.roc_auc(labels[asked], scores[asked])
    falls = [whole - metrics.roc_auc(labels[asked], column[asked]) for column in shuffled]
    first = sorted(zip(names, falls, strict=True), key=lambda pair: -pair[1])[:_USES]
    return CombinedCues(
        scope=scope,
        auc=auc,
        low=low,
        high=high,
        accuracy=metrics.measure(labels, scores)["balanced_accuracy"],
        pictures=len(rows),
        uses=tuple((name, float(fall)) for name, fall in first if fall >= _LEAST_FALL),
    )


def _table(facts: Facts, rows: NDArray[np.int64]) -> tuple[Table, list[str], list[int]]:
    """Return the facts that vary, their names, and the categorical columns."""
    columns: list[Table] = []
    names: list[str] = []
    words: list[int] = []
    for name, fact in FACTS.items():
        if fact.reach not in _REACHES:
            continue
        if name in facts.categories:
            column = _commonest(facts.categories[name].codes[rows])
        elif name in facts.numbers:
            column = facts.numbers[name][rows].astype(np.float64)
        else:
            continue
        if len(np.unique(column)) < 2:  # NaN counts as one value
            continue
        if name in facts.categories:
            words.append(len(columns))
        columns.append(column)
        names.append(name)
    return (np.column_stack(columns) if columns else np.empty((len(rows), 0))), names, words


def _commonest(codes: Codes) -> Table:
    """Rank categories by falling frequency; rare ones share a rank, and -1 becomes NaN."""
    values, counts = np.unique(codes[codes >= 0], return_counts=True)
    place = np.full(int(codes.max(initial=0)) + 1, float(_MOST_VALUES))
    place[values[np.argsort(-counts, kind="stable")][:_MOST_VALUES]] = np.arange(
        min(len(values), _MOST_VALUES)
    )
    return np.where(codes >= 0, place[np.maximum(codes, 0)], np.nan)


_MEANS = {
    "pixels": "It leaves traces in the pixels, so a model can learn it in place of forgeries.",
    "file": (
        "A model that sees pixels cannot read it, but it shows that the classes came about in "
        "different ways, and whatever reads whole files is misled."
    ),
    "place": (
        "A model that sees pixels cannot read it, but scripts that sort or split by names, and "
        "people who look, can."
    ),
    "content": (
        "It can be a true cue, as where fakes are blurred by their making, or a false one, as "
        "where one class came from better cameras. Look at examples before you decide."
    ),
}
_FIXES = {
    "pixels": (
        "Save both classes in the same way, from the same originals where you have them. `fix` "
        "gives both one size, one history of compression and one encoding."
    ),
    "file": "Take it from all files: `fix` does, and keeps the pixels where it can.",
    "place": "Name pictures by numbers in an order of chance and give all one date: `fix` does.",
    "content": "Compare examples; collect both classes in one way, or augment both alike.",
}
_MEASURED = (
    "Scored by values seen in other groups (five folds); .5 is guessing. Among them: {values}."
)


def cue_findings(facts: Facts, cues: Sequence[Cue]) -> list[AuditFinding]:
    """Report the strongest cue of each family in each scope, if strong enough."""
    best: dict[tuple[str, str], tuple[Cue, Severity]] = {}
    for cue in cues:
        fact = FACTS[cue.name]
        found = severity.cue_severity(fact.reach, cue.low)
        if found is None:
            continue
        key = fact.family, cue.scope
        known = best.get(key)
        rank = SEVERITIES.index(found), -cue.auc
        if known is None or rank < (SEVERITIES.index(known[1]), -known[0].auc):
            best[key] = cue, found
    return [_of_cue(facts, cue, found) for cue, found in best.values()]


def combined_findings(together: Sequence[CombinedCues], cues: Sequence[Cue]) -> list[AuditFinding]:
    """Report how well all facts together predict the label, for the whole set or a source."""
    found = []
    for one in together:
        reach: Reach = "pixels" if _by_pixels(one, cues) else "file"
        how = severity.cue_severity(reach, one.low)
        if how is None:
            continue
        uses = ", ".join(FACTS[name].title for name, _ in one.uses[:4])
        where = one.scope or "this set"
        found.append(
            AuditFinding(
                kind="cue.together",
                severity=how,
                title=(
                    f"{100 * one.accuracy:.0f} % of {where} can be told without looking at a face "
                    f"(AUC {_area(one)})"
                ),
                detail=(
                    "A gradient-boosted model of all facts of the files, without a pixel of a "
                    "face, told real from fake in groups that it had not seen; guessing gives 50 %."
                    + (f" It went by: {uses}." if uses else "")
                ),
                fix="Mend the cues below; `fix` takes those away that the encoding leaves.",
                count=one.pictures,
                scope=one.scope,
                action="encode",
            )
        )
    return found


def _by_pixels(one: CombinedCues, cues: Sequence[Cue]) -> bool:
    """Whether facts with traces in the pixels contribute."""
    if any(FACTS[name].reach == "pixels" for name, _ in one.uses):
        return True
    return any(
        FACTS[cue.name].reach == "pixels" and cue.scope == one.scope and cue.low >= severity.CLEAR
        for cue in cues
    )


def _of_cue(facts: Facts, cue: Cue, found: Severity) -> AuditFinding:
    fact = FACTS[cue.name]
    rows = np.flatnonzero(facts.rows_of(cue.scope) & facts.readable)
    values = ", ".join(f"{v.value} ({v.real:,} real, {v.fake:,} fake)" for v in cue.values[:4])
    return AuditFinding(
        kind=f"cue.{fact.family}",
        severity=found,
        title=f"Real and fake are told by {fact.title} alone: AUC {_area(cue)}",
        detail=f"{_MEANS[fact.reach]} {_MEASURED.format(values=values)}",
        fix=_FIXES[fact.reach],
        count=cue.real + cue.fake,
        scope=cue.scope,
        action="" if fact.reach == "content" else "encode",
        examples=class_examples(facts, rows, lambda row: _example_caption(facts, cue.name, row)),
    )


def _example_caption(facts: Facts, name: str, row: int) -> str:
    title = FACTS[name].title
    if name in facts.categories:
        return f"{title}: {facts.categories[name].of(row) or 'none'}"
    value = float(facts.numbers[name][row])
    return f"{title}: {'none' if np.isnan(value) else f'{value:.4g}'}"


def _area(one: Cue | CombinedCues) -> str:
    shown = [format_auc(value) for value in (one.auc, one.low, one.high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"
