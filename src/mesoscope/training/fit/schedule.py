"""Learning rate schedule, parameter groups, and the order of samples in an epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mesoscope.data.shards.stream import read_in_order, shard_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from mesoscope.data.sample import Sample
    from mesoscope.training.recipe.keys import DataKeys, OptimiseKeys


def learning_rate_share(now: float, o: OptimiseKeys) -> float:
    """Share of the peak learning rate at ``now`` epochs: linear warm-up, then cosine decay."""
    if now < o.warmup_epochs:
        return (now + 1e-3) / o.warmup_epochs
    through = (now - o.warmup_epochs) / max(o.epochs - o.warmup_epochs, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min(through, 1)))


def parameter_groups(net: nn.Module, o: OptimiseKeys) -> list[dict[str, Any]]:
    """Split parameters: weights with decay, biases and norms without."""
    learnt = [p for p in net.parameters() if p.requires_grad]
    matrices = [p for p in learnt if p.ndim > 1]
    vectors = [p for p in learnt if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": o.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def epoch_samples(
    drawn: NDArray[np.int64],
    samples: Sequence[Sample],
    keys: DataKeys,
    rng: np.random.Generator,
    *,
    device: int = 0,
    devices: int = 1,
) -> tuple[NDArray[np.int64], Iterator[Sample]]:
    """Order the samples of an epoch, and return one device's share.

    Args:
        drawn: ``(n,)`` indices into ``samples``.
        samples: The train split.
        keys: ``read`` decides: ``random`` keeps the order as drawn, ``stream`` reorders it so that
            shards are read front to back.
        rng: Source of that order.
        device: Index of the device, from 0.
        devices: Number of devices that train together.

    Returns:
        The order, ``(n,)``, and the samples at ``order[device::devices]``; those of a stream hold
        their bytes.
    """
    if keys.read == "random":
        return drawn, (samples[i] for i in drawn[device::devices])
    made = shard_order(drawn, samples, rng, buffer=keys.buffer, devices=devices)
    return made.order, read_in_order(samples, made, device)
