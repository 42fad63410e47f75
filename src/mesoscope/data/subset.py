"""Draw a subset of a data set, balanced over sources, classes and groups."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mesoscope.data.sample import Sample

__all__ = ["LIMIT", "split_of", "subset", "subset_of_splits"]

LIMIT = 100  # pictures of a source and class: minutes on two cores for six sources


def subset(samples: Sequence[Sample], *, limit: int = LIMIT, seed: int = 0) -> list[Sample]:
    """Draw at most ``limit`` pictures of each source and class.

    Every group (a video, a person) is drawn once before any is drawn twice. The order mixes sources
    and classes evenly, so that any prefix represents the whole when the work is interrupted.

    Args:
        samples: Labelled pictures.
        limit: Pictures of each source and class; 0 = all.
        seed: Seed of the draw.
    """
    strata: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in samples:
        strata[sample.source, sample.label].append(sample)
    placed = []
    for number, (_, members) in enumerate(sorted(strata.items(), key=lambda item: item[0])):
        rng = np.random.default_rng((seed, number))
        shuffled = [members[i] for i in rng.permutation(len(members))]
        seen: Counter[str] = Counter()
        rounds = []
        for sample in shuffled:
            rounds.append(seen[sample.group])
            seen[sample.group] += 1
        order = np.argsort(rounds, kind="stable")[: limit or None]
        placed += [((k + 0.5) / len(order), number, shuffled[i]) for k, i in enumerate(order)]
    return [sample for _, _, sample in sorted(placed, key=lambda one: one[:2])]


def subset_of_splits(
    samples: Sequence[Sample], *, limit: int = LIMIT, seed: int = 0
) -> list[Sample]:
    """Draw at most ``limit`` pictures of each source, split and class, keeping their order.

    Args:
        samples: Labelled pictures.
        limit: Pictures of each source, split and class; 0 = all.
        seed: Seed of the draw.
    """
    kept: set[int] = set()
    for split in {sample.split for sample in samples}:
        of_split = [sample for sample in samples if sample.split == split]
        kept |= {id(sample) for sample in subset(of_split, limit=limit, seed=seed)}
    return [sample for sample in samples if id(sample) in kept]


def split_of(samples: Sequence[Sample], split: str, roots: Sequence[Path]) -> list[Sample]:
    """Select the samples of a split, or of all for ``all``; samples without a split always count.

    Args:
        samples: Samples of data sets.
        split: ``train``, ``validation``, ``test`` or ``all``.
        roots: The data sets, for messages.

    Raises:
        DatasetError: There is none; the message names the existing splits.
    """
    found = [sample for sample in samples if split == "all" or sample.split in (split, "")]
    if not found:
        splits = Counter(sample.split for sample in samples)
        there = ", ".join(f"{name} ({count:,})" for name, count in splits.items())
        where = ", ".join(str(root) for root in roots)
        raise DatasetError(
            f"{where}: no pictures in {split}: there are {there}: choose with `split`"
        )
    return found
