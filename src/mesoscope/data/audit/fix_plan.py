"""Plan what to do with each picture of a set to clean: leave out, move, copy, re-encode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mesoscope.data.audit.cues import FACTS
from mesoscope.data.audit.fix_pixels import LOSSLESS, Degradation, FinalEncoding
from mesoscope.errors import DatasetError, OptionError
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.finding import Audit


def assign_group_splits(facts: Facts, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Assign every group to one split, keeping the sizes of the splits as far as possible.

    Groups in one split stay. The others are placed whole, the largest first: each goes to the one
    of its splits that lacks most of its former pictures, counted by source and class.

    Args:
        facts: Facts of all pictures.
        kept: ``(k,)``, rows that are kept.

    Returns:
        ``(k,)``, split code of each kept row, in ``facts.splits``.
    """
    splits = facts.splits.codes[kept].astype(np.int64)
    n_splits = len(facts.splits.values)
    _, member = np.unique(facts.groups[kept], return_inverse=True)
    present = np.zeros((int(member.max(initial=-1)) + 1, n_splits), bool)
    present[member, splits] = True
    torn = present.sum(axis=1) > 1
    if not torn.any():
        return splits
    # A cell is a class of a source: its count in each split before, and so far.
    cell = facts.sources.codes[kept].astype(np.int64) * 2 + facts.labels[kept]
    held = np.zeros((n_splits, int(cell.max()) + 1))
    np.add.at(held, (splits, cell), 1)
    settled = np.zeros_like(held)
    stays = ~torn[member]
    np.add.at(settled, (splits[stays], cell[stays]), 1)
    rows_of = _rows_of(member, np.flatnonzero(torn))
    for rows in sorted(rows_of, key=lambda rows: (-len(rows), int(rows[0]))):
        count = np.bincount(cell[rows], minlength=held.shape[1])
        lacks = (held - settled) / np.maximum(held, 1)  # relative, so that small splits are filled
        held_in = present[member[rows[0]]]
        gain = np.where(held_in, (lacks * count).sum(axis=1), -np.inf)
        best = int(gain.argmax())
        settled[best] += count
        splits[rows] = best
    return splits


def _rows_of(member: NDArray[np.int64], groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of each of these groups."""
    order = np.argsort(member, kind="stable")
    begins = np.searchsorted(member[order], groups, side="left")
    ends = np.searchsorted(member[order], groups, side="right")
    return [order[begin:end] for begin, end in zip(begins, ends, strict=True)]


Encode = Literal["auto", "always", "never"]

UNREADABLE, TOO_SMALL, TORN = "pictures.unreadable", "too_small", "groups.across_splits"
# Cue families that only re-encoding removes, and one that may need it.
_OF_PIXELS = frozenset(fact.family for fact in FACTS.values() if fact.reach == "pixels")
_OF_METADATA = "metadata"
_ALL_FACTS = "together"
_SMALLEST = 0.02  # of a class may be smaller than the common size, and is left out
_BALANCED = 0.05  # tolerance of a source's share of fakes: it must not predict the class
_ALIKE = 0.01  # tolerance of equal aspect ratios
_OFF_THE_GRID = 16  # re-encoded JPEGs lose one part in so many of their sides
_ASSUMED = 75  # assumed JPEG quality of lossy WebP and AVIF, which record none
_LOSSLESS = frozenset(("png", "bmp", "tiff", "gif"))


@dataclass(frozen=True, slots=True)
class FixOptions:
    """Options of cleaning a data set.

    Attributes:
        encode: Re-encode pictures: ``auto`` if their encoding predicts the class.
        size_px: Short side of re-encoded pictures; ``None`` takes that of nearly all pictures.
        quality: JPEG quality of re-encoded pictures. If all pictures are lossless, PNG is written.
        seed: Seed of all randomness.
        threads: 0 for one per core.
        max_pixels: Pictures with more pixels are not decoded.

    Raises:
        OptionError: An option is out of range.
    """

    encode: Encode = "auto"
    size_px: int | None = None
    quality: int = 90
    seed: int = 0
    threads: int = 0
    max_pixels: int = 120_000_000

    def __post_init__(self) -> None:
        if self.encode not in ("auto", "always", "never"):
            raise OptionError(f"encode must be auto, always or never, got {self.encode!r}")
        if not 1 <= self.quality <= 100:
            raise OptionError(f"quality must be 1 to 100, got {self.quality}")
        if self.size_px is not None and self.size_px < 16:
            raise OptionError(f"size_px must be at least 16, got {self.size_px}")


@dataclass(frozen=True, slots=True)
class EncodingPool:
    """Pictures that get one shape and encoding.

    Attributes:
        source: Their source; empty for all.
        rows: Their rows in the facts.
        final: Their final shape and encoding.
    """

    source: str
    rows: NDArray[np.int64]
    final: FinalEncoding


@dataclass(frozen=True, slots=True)
class FixStep:
    """Planned treatment of one picture.

    Attributes:
        row: Its row in the facts.
        name: Path of the new file within the copy, without suffix; empty if left out.
        split: Split in the copy.
        reason: Codes of findings: why it is left out or moved.
        history: Its degradation; ``None`` keeps its pixels.
        final: Its final encoding.
    """

    row: int
    name: str
    split: str
    reason: str
    history: Degradation | None = None
    final: FinalEncoding | None = None


def plan(audit: Audit, options: FixOptions) -> list[FixStep]:
    """Plan every picture; kept pictures come in random order.

    Args:
        audit: Audit from this process, with its facts.
        options: Options of the cleaning.

    Returns:
        One step per picture: first those that are left out.

    Raises:
        OptionError: The audit was read from a file and has no facts.
        DatasetError: A split would lose all pictures of a class.
    """
    facts = audit.facts
    if facts is None:
        raise OptionError("an audit that was read from a file cannot be mended: audit again")
    left_out = _left_out(audit, facts)
    kept = np.array([r for r in range(len(facts.samples)) if r not in left_out], np.int64)
    pools = [] if options.encode == "never" else _pools(audit, facts, kept, options)
    for pool in pools:
        least = min(pool.final.width, pool.final.height)
        small = pool.rows[_short_side(facts)[pool.rows] < least]
        left_out |= dict.fromkeys(map(int, small), TOO_SMALL)
    kept = np.array([int(row) for row in kept if int(row) not in left_out], np.int64)
    _refuse_emptied(facts, kept)
    splits = assign_group_splits(facts, kept)
    encoded = _histories(facts, pools, kept, options.seed)
    steps = [FixStep(row, "", "", reason) for row, reason in sorted(left_out.items())]
    # Random numbers as names, so that names and write times predict neither class.
    order = np.random.default_rng((options.seed, 1)).permutation(len(kept))
    digits = max(6, len(str(len(kept))))
    for number, place in enumerate(order):
        row, split = int(kept[place]), facts.splits.values[splits[place]]
        moved = split != facts.splits.of(row)
        history, final, why = encoded.get(row, (None, None, ""))
        reasons = [TORN] * moved + [why] * bool(why)
        name = f"{split}/{CLASSES[facts.labels[row]]}/{number:0{digits}}"
        steps.append(FixStep(row, name, split, " ".join(reasons), history, final))
    return steps


def _left_out(audit: Audit, facts: Facts) -> dict[int, str]:
    """Return rows to drop with the codes of findings; unreadable files are always dropped."""
    rows = {name: row for row, name in enumerate(facts.names)}
    found: dict[int, str] = dict.fromkeys(facts.unreadable, UNREADABLE)
    for finding in audit.findings:
        if finding.action == "drop":
            for path in finding.drop:
                if path in rows:
                    found.setdefault(rows[path], finding.kind)
    return found


def _pools(
    audit: Audit, facts: Facts, kept: NDArray[np.int64], options: FixOptions
) -> list[EncodingPool]:
    """Return the pools of pictures that are re-encoded together."""
    scopes = _scopes(audit, facts, options)
    if not scopes or not len(kept):
        return []
    both = [s for s in facts.sources.values if _has_both(facts, kept, s)]
    alone = set(facts.sources.values) - set(both)
    by_source = not alone and _is_balanced(facts, kept)
    if "" in scopes and not by_source:
        return [_pool("", facts, kept, options)]
    chosen = both if "" in scopes else [s for s in both if s in scopes]
    return [_pool(s, facts, kept[facts.rows_of(s)[kept]], options) for s in chosen]


def _scopes(audit: Audit, facts: Facts, options: FixOptions) -> set[str]:
    """Return the sources, or the empty name for all, whose encoding predicts the class."""
    if options.encode == "always":
        return {""}
    found = set()
    for finding in audit.findings:
        family = finding.kind.removeprefix("cue.")
        if finding.action != "encode" or finding.severity == "note":
            continue
        metadata = family in (_OF_METADATA, _ALL_FACTS)
        pixels = family in _OF_PIXELS or (family == _ALL_FACTS and finding.severity == "severe")
        if pixels or (metadata and _needs_pixels(facts, finding.scope)):
            found.add(finding.scope)
    return found


def _needs_pixels(facts: Facts, scope: str) -> bool:
    """Whether removing metadata changes pixels: colour profiles, and rotated pictures."""
    of = facts.rows_of(scope)
    for name in ("icc", "exif"):
        column = facts.categories.get(name)
        if column is None:
            continue
        for code, value in enumerate(column.values):
            acts = value == "some" if name == "icc" else "orientation" in value or "tags" in value
            if acts and bool((of & (column.codes == code)).any()):
                return True
    return False


def _has_both(facts: Facts, kept: NDArray[np.int64], source: str) -> bool:
    labels = facts.labels[kept[facts.rows_of(source)[kept]]]
    return bool((labels == 0).any() and (labels == 1).any())


def _is_balanced(facts: Facts, kept: NDArray[np.int64]) -> bool:
    """Whether a picture's source does not predict its class."""
    share = float(facts.labels[kept].mean())
    return all(
        abs(float(facts.labels[kept[facts.rows_of(s)[kept]]].mean()) - share) <= _BALANCED
        for s in facts.sources.values
        if facts.rows_of(s)[kept].any()
    )


def _pool(source: str, facts: Facts, rows: NDArray[np.int64], options: FixOptions) -> EncodingPool:
    lossless = all(_quality(facts, int(row)) == LOSSLESS for row in rows)
    side = options.size_px or _common_side(facts, rows, lossless=lossless)
    aspects = facts.numbers["width"][rows] / facts.numbers["height"][rows]
    aspect = float(np.median(aspects))
    if (np.abs(aspects / aspect - 1) > _ALIKE).any():
        aspect = 1.0
    final = FinalEncoding(
        width=round(side * max(aspect, 1.0)),
        height=round(side / min(aspect, 1.0)),
        quality=LOSSLESS if lossless else options.quality,
    )
    return EncodingPool(source, rows, final)


def _common_side(facts: Facts, rows: NDArray[np.int64], *, lossless: bool) -> int:
    """Return a short side that nearly all pictures of both classes have."""
    short, labels = _short_side(facts)[rows], facts.labels[rows]
    side = min(
        int(np.quantile(short[labels == y], _SMALLEST, method="lower"))
        for y in (0, 1)
        if (labels == y).any()
    )
    # A little less than all have: resampling moves the blocks of former compressions off the grid
    # of the last one, and removes most of their traces.
    return side if lossless else side - side // _OFF_THE_GRID


def _histories(
    facts: Facts, pools: Sequence[EncodingPool], kept: NDArray[np.int64], seed: int
) -> dict[int, tuple[Degradation, FinalEncoding, str]]:
    """Draw for each picture one of the other class, and take the worse of both.

    Both classes get one distribution of sizes and qualities, that of the worse of a real and a fake
    picture.
    """
    short = _short_side(facts)
    stays = set(map(int, kept))
    drawn = {}
    for number, pool in enumerate(pools):
        rows = np.array([int(row) for row in pool.rows if int(row) in stays], np.int64)
        rng = np.random.default_rng((seed, 2, number))
        labels = facts.labels[rows]
        for y in (0, 1):
            own, others = rows[labels == y], rows[labels != y]
            partners = rng.choice(others, len(own)) if len(others) else own
            for row, partner in zip(own, partners, strict=True):
                mine, other = (_history(facts, short, int(r)) for r in (row, partner))
                drawn[int(row)] = (mine.with_other(other), pool.final, "encode")
    return drawn


def _history(facts: Facts, short: NDArray[np.int64], row: int) -> Degradation:
    half = "subsampling" in facts.categories and facts.categories["subsampling"].of(row) == "4:2:0"
    return Degradation(int(short[row]), _quality(facts, row), half)


def _quality(facts: Facts, row: int) -> int:
    qualities = facts.numbers.get("jpeg_quality")
    if qualities is not None and not np.isnan(qualities[row]):
        return int(np.clip(round(float(qualities[row])), 1, 99))
    kind = facts.categories["format"].of(row)
    coding = facts.categories["coding"].of(row) if "coding" in facts.categories else ""
    return LOSSLESS if kind in _LOSSLESS or coding == "lossless" else _ASSUMED


def _short_side(facts: Facts) -> NDArray[np.int64]:
    sides = np.minimum(facts.numbers["width"], facts.numbers["height"])
    return np.nan_to_num(sides, nan=0).astype(np.int64)


def _refuse_emptied(facts: Facts, kept: NDArray[np.int64]) -> None:
    before = {(facts.splits.of(r), int(facts.labels[r])) for r in range(len(facts.samples))}
    after = {(facts.splits.of(int(r)), int(facts.labels[r])) for r in kept}
    for split, label in sorted(before - after):
        raise DatasetError(
            f"no {CLASSES[label]} picture of {split} would be left: look at what the audit found "
            "there, or choose a smaller `size_px`"
        )
