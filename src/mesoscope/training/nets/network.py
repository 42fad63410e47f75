"""What the trainer, the exporter and the evidence map need of a network; a quicker convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


class PairedConv2d(nn.Conv2d):
    """A square ``Conv2d`` with padding that keeps the size, for 8 filters or fewer.

    CPU kernels lay filters side by side in 16 lanes, so 8 leave half of them idle. While training
    on a CPU, twice the filters go over every second column, the second half shifted by one column,
    and in channels-last memory the result already lies as the plain one does: nothing is copied.
    Weights, gradients and answers are those of ``Conv2d``.
    """

    def forward(self, x: Tensor) -> Tensor:  # [N, inputs, H, W] → [N, filters, H, W]
        """As ``Conv2d``."""
        if not self.training or x.device.type != "cpu" or x.shape[3] % 2 or self.bias is None:
            return super().forward(x)
        even, odd = F.pad(self.weight, (0, 1)), F.pad(self.weight, (1, 0))  # [filters, in, k, k+1]
        both, bias = torch.cat([even, odd]), self.bias.repeat(2)
        y = F.conv2d(x, both, bias, stride=(1, 2), padding=self.kernel_size[0] // 2)
        n, _, height, pairs = y.shape  # [N, 2 × filters, H, W/2]
        rows = y.permute(0, 2, 3, 1).reshape(n, height, 2 * pairs, self.out_channels)
        return rows.permute(0, 3, 1, 2)
