"""Real and forged pictures of one group in one step, changed alike.

Where a forgery was made from a video that is among the reals, the two differ in little but the
forgery. Seen in one step under the same crop, colours and compression, what they share pulls the
weights both ways and cancels; what is left is the trace. Self-blended images are trained on so
(Shiohara & Yamasaki, CVPR 2022, section 4.1: each real picture beside its own forgery).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.data.manifest import Sample

    Order = NDArray[np.int64]


def pair(order: Order, samples: Sequence[Sample], rng: np.random.Generator) -> Order:
    """Put a forgery of the same source and group behind each real picture that has one.

    The forgeries of such groups come only there; all others keep their turn.

    Args:
        order: ``(n,)`` indices into ``samples``.
        samples: The train split.
        rng: Chooses among several forgeries of a group.

    Returns:
        At most ``n`` indices.
    """
    forged: dict[tuple[str, str], list[int]] = defaultdict(list)
    with_real = set()
    for index, sample in enumerate(samples):
        if sample.label == 1:
            forged[sample.source, sample.group].append(index)
        else:
            with_real.add((sample.source, sample.group))
    paired = []
    for index in order:
        sample = samples[index]
        group = sample.source, sample.group
        if sample.label == 0:
            paired.append(index)
            if group in forged:
                paired.append(rng.choice(forged[group]))
        elif group not in with_real:
            paired.append(index)
    return np.asarray(paired[: len(order)], np.int64)


def behind_their_real(order: Order, samples: Sequence[Sample]) -> NDArray[np.bool_]:
    """Which places hold a forgery with a real picture of its group right before it, ``(n,)``."""
    found = np.zeros(len(order), bool)
    for place in range(1, len(order)):
        before, here = samples[order[place - 1]], samples[order[place]]
        found[place] = (
            (before.label, here.label) == (0, 1)
            and before.source == here.source
            and before.group == here.group
        )
    return found
