"""A part of a data set: some pictures of each source and class, drawn fairly over its groups."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.data.sample import Sample

__all__ = ["LIMIT", "subset", "subset_of_splits"]

LIMIT = 100  # pictures of a source and class: a few minutes on two cores for six sources


def subset(samples: Sequence[Sample], *, limit: int = LIMIT, seed: int = 0) -> list[Sample]:
    """Draw at most ``limit`` pictures of each source and class.

    Every group (a video, a person) is drawn from once before any is drawn from twice. The result
    is in an order that mixes sources and classes evenly, so that its beginning stands for the
    whole when the work is interrupted.

    Args:
        samples: Labelled pictures.
        limit: Pictures of a source and class; 0 = all.
        seed: The same seed draws the same pictures.
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
    """Draw at most ``limit`` pictures of each source, split and class; their order stays.

    Args:
        samples: Labelled pictures.
        limit: Pictures of a source, split and class; 0 = all.
        seed: The same seed draws the same pictures.
    """
    kept: set[int] = set()
    for split in {sample.split for sample in samples}:
        of_split = [sample for sample in samples if sample.split == split]
        kept |= {id(sample) for sample in subset(of_split, limit=limit, seed=seed)}
    return [sample for sample in samples if id(sample) in kept]
