"""The networks, one file each, by the name that recipes and cards use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.errors import RecipeError
from mesoscope.training.nets.meso4 import Meso4
from mesoscope.training.nets.mesoinception4 import MesoInception4

if TYPE_CHECKING:
    from typing import Protocol

    from torch import Tensor, nn

    class Network(Protocol):
        """What the trainer and the exporter need of a network."""

        def features(self, x: Tensor) -> Tensor:
            """Output of the last convolution after its activation, ``[N, C, h, w]``."""
            ...

        def judge(self, a: Tensor) -> Tensor:
            """Logit ``[N]`` from :meth:`features`; higher = more fake."""
            ...

        def heat(self, a: Tensor) -> Tensor:
            """Evidence map ``[N, h, w]`` from :meth:`features`, not negative."""
            ...


NETWORKS: dict[str, type[Meso4]] = {"meso4": Meso4, "mesoinception4": MesoInception4}


def build(architecture: str, *, dropout: float = 0.5) -> Meso4:
    """Make a network with fresh weights.

    Raises:
        RecipeError: No network of that name.
    """
    if architecture not in NETWORKS:
        raise RecipeError(f"no network {architecture!r}: there are {', '.join(NETWORKS)}")
    return NETWORKS[architecture](dropout=dropout)


def parameter_count(net: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
