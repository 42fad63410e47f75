"""In which order an epoch's pictures are shown and read: as drawn, or as their shards lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.data.shards.stream import in_turn, turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mesoscope.data.sample import Sample
    from mesoscope.training.recipe.keys import DataKeys


def in_order(
    drawn: NDArray[np.int64],
    samples: Sequence[Sample],
    keys: DataKeys,
    rng: np.random.Generator,
    *,
    device: int = 0,
    devices: int = 1,
) -> tuple[NDArray[np.int64], Iterator[Sample]]:
    """Order what was drawn for an epoch, and give one device's share of it.

    Args:
        drawn: ``(n,)`` indices into ``samples``.
        samples: The train split.
        keys: ``read`` says how: ``random`` leaves the order as it is, ``stream`` makes one in which
            shards are read front to back.
        rng: Decides that order.
        device: Whose share, from 0.
        devices: That train together.

    Returns:
        The order, ``(n,)``, and the samples at ``order[device::devices]``; those of a stream hold
        their bytes.
    """
    if keys.read == "random":
        return drawn, (samples[i] for i in drawn[device::devices])
    made = turns(drawn, samples, rng, buffer=keys.buffer, devices=devices)
    return made.order, in_turn(samples, made, device)
