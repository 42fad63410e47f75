"""Base class of networks for trainer, exporter and evidence map; a faster convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from mesoscope.training.nets.channels import ChannelGroup


class Network(nn.Module):
    """RGB ``[N, 3, 256, 256]`` in 0..1 → logit ``[N]``, higher = more fake.

    The network is split at the evidence map: :meth:`forward_features` ends with the last
    convolution, :meth:`forward_head` is all that follows.
    """

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the output of the last convolution, ``[N, 3, 256, 256]`` → ``[N, C, h, w]``."""
        raise NotImplementedError

    def forward_head(self, a: Tensor) -> Tensor:
        """Compute the logit ``[N]`` from :meth:`forward_features`; higher = more fake."""
        raise NotImplementedError

    def heat(self, a: Tensor) -> Tensor:
        """Compute the evidence map ``[N, h, w]`` from :meth:`forward_features`, not negative."""
        raise NotImplementedError

    def channel_groups(self) -> list[ChannelGroup]:
        """Return the current channel groups for structured pruning."""
        raise NotImplementedError

    def stages(self) -> list[list[nn.Module]]:
        """Return the layers of each stage before the head, from the input on."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logit ``[N]``."""
        return self.forward_head(self.forward_features(x))


class PairedConv2d(nn.Conv2d):
    """A square ``Conv2d`` with size-preserving padding, for 8 filters or fewer.

    CPU kernels place filters side by side in 16 lanes, so 8 leave half of them idle. While training
    on a CPU, twice the filters run over every second column, the second half shifted by one column.
    In channels-last memory the result has the layout of the plain one: nothing is copied. Weights,
    gradients and outputs equal those of ``Conv2d``.
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
