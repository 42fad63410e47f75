"""How fast which parameters are changed, and when."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from mesoscope.training.recipe.keys import OptimiseKeys


def learning_rate_share(now: float, o: OptimiseKeys) -> float:
    """Share of the highest learning rate at ``now`` epochs: linear warm-up, then a half cosine."""
    if now < o.warmup_epochs:
        return (now + 1e-3) / o.warmup_epochs
    through = (now - o.warmup_epochs) / max(o.epochs - o.warmup_epochs, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min(through, 1)))


def parameter_groups(net: nn.Module, o: OptimiseKeys) -> list[dict[str, Any]]:
    """Weights, which decay, and biases and norms, which do not."""
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": o.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
