"""Measure how well single file facts predict the label, cross-validated by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mesoscope import metrics
from mesoscope.data.audit.finding import Cue, CueValue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Codes, Facts, Floats
    from mesoscope.data.audit.options import AuditOptions


FOLDS = 5
_SHRINK = 2.0  # prior pictures at the mean rate, added to each value's


def group_folds(groups: Codes, labels: NDArray[np.int8], *, seed: int) -> NDArray[np.int8]:
    """Assign groups to :data:`FOLDS` folds, stratified by class.

    Args:
        groups: ``(n,)``.
        labels: ``(n,)``.
        seed: Decides which group goes where.

    Returns:
        ``(n,)``, 0 to 4.
    """
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    fakes = np.bincount(member, weights=labels, minlength=len(sizes)) / sizes
    luck = np.random.default_rng(seed).random(len(sizes))
    fold = np.empty(len(sizes), np.int8)
    # Groups with one share of fakes and one size are dealt to all folds in turn.
    fold[np.lexsort((luck, -sizes, fakes))] = np.arange(len(sizes)) % FOLDS
    return fold[member]


def target_rates(
    codes: Codes, labels: NDArray[np.int8], folds: NDArray[np.int8]
) -> NDArray[np.float64]:
    """Target-encode values: their share of fakes in the other folds, minus the folds' mean share.

    Rare values are shrunk towards zero; values that other folds lack get zero. This is target
    encoding (Micci-Barreca 2001, formula 3) without leaking the picture's own label.

    Args:
        codes: ``(n,)``, value code of each picture, not negative.
        labels: ``(n,)``.
        folds: ``(n,)``.

    Returns:
        ``(n,)``, higher = more fake.
    """
    scores = np.empty(len(codes))
    values = int(codes.max(initial=-1)) + 1
    for fold in range(FOLDS):
        held = folds == fold
        known, y = codes[~held], labels[~held]
        mean = float(y.mean()) if y.size else 0.5
        n = np.bincount(known, minlength=values)
        fakes = np.bincount(known, weights=y, minlength=values)
        rate = (fakes + _SHRINK * mean) / (n + _SHRINK) - mean
        scores[held] = rate[codes[held]]
    return scores


Reach = Literal["pixels", "file", "place", "content"]

LEAST_GROUPS = 10  # groups of each class needed for a figure
_BINS = 24  # quantile bins of a number
_SHOWN = 6  # values listed for a cue


@dataclass(frozen=True, slots=True)
class Fact:
    """A file fact that may be a cue.

    Attributes:
        title: Name for people.
        family: Facts of one family give one finding, that of the strongest.
        reach: ``pixels`` where it leaves traces in the pixels that a network sees; ``file`` for
            other file properties; ``place`` for the file's name, folder and date; ``content`` for
            properties of the picture's content.
    """

    title: str
    family: str
    reach: Reach


FACTS = {
    "format": Fact("file format", "format", "pixels"),
    "colours": Fact("colour mode", "format", "pixels"),
    "suffix": Fact("suffix of the name", "format", "file"),
    "suffix_fits": Fact("suffix against content", "format", "file"),
    "size": Fact("width and height", "size", "pixels"),
    "width": Fact("width", "size", "pixels"),
    "height": Fact("height", "size", "pixels"),
    "aspect": Fact("aspect ratio", "size", "pixels"),
    "jpeg_quality": Fact("JPEG quality", "jpeg", "pixels"),
    "tables": Fact("quantisation tables", "jpeg", "pixels"),
    "subsampling": Fact("chroma subsampling", "jpeg", "pixels"),
    "coding": Fact("coding (progressive or not)", "jpeg", "file"),
    "bits_per_pixel": Fact("file size per pixel", "bytes", "pixels"),
    "exif": Fact("EXIF tags", "metadata", "file"),
    "software": Fact("camera or program in EXIF", "metadata", "file"),
    "icc": Fact("colour profile", "metadata", "file"),
    "marks": Fact("marks of the encoder", "metadata", "file"),
    "name_shape": Fact("shape of the file name", "name", "place"),
    "name_words": Fact("words in the file name", "name", "place"),
    "name_length": Fact("length of the file name", "name", "place"),
    "name_number": Fact("number in the file name", "name", "place"),
    "folder": Fact("folder", "folder", "place"),
    "date": Fact("date of the file", "date", "place"),
    "sharpness": Fact("sharpness", "sharpness", "content"),
    "brightness": Fact("brightness", "brightness", "content"),
    "spread": Fact("contrast", "contrast", "content"),
}


def measure_cues(facts: Facts, options: AuditOptions) -> list[Cue]:
    """Measure every fact with several values: over the whole set, and in each source.

    Args:
        facts: Facts of all pictures.
        options: Number of resamples and seed.

    Returns:
        Cues, the strongest first.
    """
    found = []
    sources = facts.sources.values
    for scope in ("", *(sources if len(sources) > 1 else ())):
        rows = np.flatnonzero(facts.rows_of(scope) & facts.readable)
        for name, fact in FACTS.items():
            cue = _measure(facts, name, fact, scope, rows, options)
            if cue is not None:
                found.append(cue)
    return sorted(found, key=lambda cue: -cue.low)


def enough_groups(labels: NDArray[np.int8], groups: Codes) -> bool:
    """Whether both classes have enough groups for a figure."""
    return all(len(np.unique(groups[labels == label])) >= LEAST_GROUPS for label in (0, 1))


def codes_of(facts: Facts, name: str, rows: NDArray[np.int64]) -> Codes | None:
    """Encode a fact as integers: a category's codes, a number's bins.

    Returns:
        ``(len(rows),)``, -1 where a picture lacks the fact; ``None`` if all lack it.
    """
    if name in facts.categories:
        return facts.categories[name].codes[rows]
    if name not in facts.numbers:
        return None
    values = facts.numbers[name][rows]
    codes = np.searchsorted(_edges(values), values, side="right").astype(np.int32)
    codes[np.isnan(values)] = -1
    return codes


def cue_auc(
    codes: Codes, labels: NDArray[np.int8], groups: Codes, options: AuditOptions
) -> tuple[float, float, float]:
    """Measure how well values separate two classes, cross-fitted by group.

    Args:
        codes: ``(n,)``, value code of each picture, not negative.
        labels: ``(n,)``, 0 or 1.
        groups: ``(n,)``.
        options: Number of resamples and seed.

    Returns:
        The AUC and its 95 % interval.
    """
    scores = target_rates(codes, labels, group_folds(groups, labels, seed=options.seed))
    drawn = metrics.bootstrap_auc(
        labels, scores, groups, n=options.resamples, seed=[options.seed, 1]
    )
    return (metrics.roc_auc(labels, scores), *metrics.interval(drawn))


def _edges(values: Floats) -> Floats:
    """Return quantile bin edges, or midpoints between the few distinct values."""
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) <= _BINS:
        return distinct[1:]
    return np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])).astype(np.float32)


def _measure(
    facts: Facts,
    name: str,
    fact: Fact,
    scope: str,
    rows: NDArray[np.int64],
    options: AuditOptions,
) -> Cue | None:
    codes = codes_of(facts, name, rows)
    if codes is None:
        return None
    rows, codes = rows[codes >= 0], codes[codes >= 0]
    labels, groups = facts.labels[rows], facts.groups[rows]
    if codes.size == 0 or codes.min() == codes.max() or not enough_groups(labels, groups):
        return None
    auc, low, high = cue_auc(codes, labels, groups, options)
    fakes = int(labels.sum())
    return Cue(
        name=name,
        title=fact.title,
        scope=scope,
        auc=auc,
        low=low,
        high=high,
        real=len(labels) - fakes,
        fake=fakes,
        values=_values(facts, name, rows, codes),
    )


def _values(facts: Facts, name: str, rows: NDArray[np.int64], codes: Codes) -> tuple[CueValue, ...]:
    """Return the values that differ most between the classes; bins in ascending order."""
    labels = facts.labels[rows]
    if name in facts.categories:
        words = facts.categories[name].values
        real, fake = (np.bincount(codes[labels == y], minlength=len(words)) for y in (0, 1))
        apart = np.abs(real / max(1, real.sum()) - fake / max(1, fake.sum()))
        shown = np.lexsort((-(real + fake), -apart))[:_SHOWN]
        return tuple(
            CueValue(words[v], int(real[v]), int(fake[v])) for v in shown if real[v] + fake[v]
        )
    numbers = facts.numbers[name][rows]
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _SHOWN + 1)))
    within = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(0, len(edges) - 2))
    found = []
    for number in range(max(1, len(edges) - 1)):
        of = within == number
        if not of.any():  # for example where most have one value, or NaN
            continue
        low, high = numbers[of].min(), numbers[of].max()
        text = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
        fakes = int(labels[of].sum())
        found.append(CueValue(text, int(of.sum()) - fakes, fakes))
    return tuple(found)
