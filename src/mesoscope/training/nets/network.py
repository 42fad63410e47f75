"""What the trainer, the exporter and the evidence map need of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from mesoscope.training.nets.channels import ChannelGroup


class Network(nn.Module):
    """RGB ``[N, 3, 256, 256]`` in 0..1 → logit ``[N]``, higher = more fake.

    A network is cut in two where the evidence is read: :meth:`features` ends with the last
    convolution, :meth:`judge` is all that follows.
    """

    def features(self, x: Tensor) -> Tensor:
        """Output of the last convolution, ``[N, 3, 256, 256]`` → ``[N, C, h, w]``."""
        raise NotImplementedError

    def judge(self, a: Tensor) -> Tensor:
        """Logit ``[N]`` from :meth:`features`; higher = more fake."""
        raise NotImplementedError

    def heat(self, a: Tensor) -> Tensor:
        """Evidence map ``[N, h, w]`` from :meth:`features`, not negative."""
        raise NotImplementedError

    def channel_groups(self) -> list[ChannelGroup]:
        """Channels that structured pruning may take away, as they stand now."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Logit ``[N]``."""
        return self.judge(self.features(x))
