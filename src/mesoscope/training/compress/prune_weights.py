"""Unstructured pruning: the smallest weights of all layers become zero and stay it.

Han et al., *Learning both Weights and Connections for Efficient Neural Networks*, NIPS 2015, with
one ranking over all layers; the gradual schedule of Zhu & Gupta, *To prune, or not to prune*, 2017.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.training.fit.loop import Position
    from mesoscope.types import Json

    Masks = dict[str, Tensor]  # by the name of a weight, True where it stays

RAMP = 0.5  # share of the fine-tuning in which a gradual schedule reaches its sparsity
LEAST_KEPT = 0.5  # of the share that layers keep on average: the dense layer's weights are small
RANKINGS = 100  # on that way; ranking 300,000 weights takes a few hundredths of a second


def prunable(net: nn.Module) -> dict[str, Tensor]:
    """Weights of all convolutions and dense layers, by name; never biases or norms."""
    kinds = nn.Conv1d | nn.Conv2d | nn.Linear
    layers = ((name, layer) for name, layer in net.named_modules() if isinstance(layer, kinds))
    return {f"{name}.weight": layer.weight for name, layer in layers}


def smallest(weights: Mapping[str, Tensor], held: Mapping[str, Tensor], zeros: int) -> Masks:
    """Masks that leave all but the smallest magnitudes, ranked over all layers together.

    Each layer keeps at least half the share that it would keep if all lost alike. Without that, one
    whose weights are small, as those behind a mean over places are, is emptied long before the
    others, and an empty layer lets nothing through (Tanaka et al., *Pruning neural networks without
    any data by iteratively conserving synaptic flow*, NeurIPS 2020, section 3, call it the collapse
    of a layer).

    Args:
        weights: By name.
        held: Masks of the same names and shapes; what they have taken out stays out.
        zeros: How many weights to take out in all. Exact: equal magnitudes go in the order of
            the layers.

    Returns:
        ``True`` where a weight stays, by name.
    """
    kept = LEAST_KEPT * (1 - zeros / sum(w.numel() for w in weights.values()))
    ranks = torch.cat([_ranks(w, held[name], kept) for name, w in weights.items()])
    stays = torch.ones(len(ranks), dtype=torch.bool, device=ranks.device)
    stays[torch.sort(ranks, stable=True).indices[:zeros]] = False
    parts = torch.split(stays, [w.numel() for w in weights.values()])
    return {
        name: part.reshape(w.shape) for (name, w), part in zip(weights.items(), parts, strict=True)
    }


def _ranks(weight: Tensor, held: Tensor, kept: float) -> Tensor:
    """Magnitudes of one layer, ``(n,)``: −1 where it is out, infinite for those that must stay."""
    ranks = torch.where(held, weight.detach().abs(), -1.0).flatten()
    stays = ranks.topk(min(math.ceil(kept * len(ranks)), int(held.sum()))).indices
    ranks[stays] = math.inf
    return ranks


def cubic(first: float, last: float, through: float) -> float:
    """Sparsity on the way from ``first`` to ``last`` (Zhu & Gupta 2017, equation 1).

    Quick at first, while there is much to spare, and slow at the end.

    Args:
        first: Where it begins.
        last: Where it ends.
        through: Share of the way, cut to 0..1.
    """
    left = 1 - min(max(through, 0.0), 1.0)
    return last + (first - last) * left**3


class WeightPruning:
    """Holds a network to its masks while it is fine-tuned.

    It is a :class:`mesoscope.training.fit.loop.Hold`. Masks only grow: a weight that is out stays
    out. They are applied after every step, to the network and to the running mean of its weights.

    Args:
        start: The weights and statistics to begin with.
        sparsity: Share of the prunable weights that are zero at the end.
        ramp_epochs: Epochs until then; 0 = at once.
    """

    def __init__(self, start: Mapping[str, Tensor], sparsity: float, ramp_epochs: float) -> None:
        self._start = start
        self._sparsity, self._ramp = sparsity, ramp_epochs
        self._first = 0.0
        self.masks: Masks = {}

    def begin(self, at: Position) -> None:
        """Put in the first weights; zeros that they hold already count and stay."""
        self.put_in(at.net)
        at.mean.load_state_dict(at.net.state_dict())

    def put_in(self, net: nn.Module) -> None:
        """Load the first weights into a network, without those that go at once."""
        net.load_state_dict(self._start)
        weights = prunable(net)
        self.masks = {name: w.detach() != 0 for name, w in weights.items()}
        self._first = min(share_of_zeros(self.masks), self._sparsity)
        self._rank(weights, 0.0)
        self._apply(net)

    def step(self, at: Position, epochs: float) -> None:
        """Rank anew where the schedule asks for more zeros, and put the zeros back."""
        if self._ramp:
            self._rank(prunable(at.net), epochs / self._ramp)
        self._apply(at.net)
        self._apply(at.mean)

    def reached(self, epochs: int) -> bool:
        """Whether the sparsity is the one asked for."""
        return epochs >= self._ramp

    def tensors(self) -> dict[str, Tensor]:
        """The masks, and the sparsity that the first weights had."""
        return {**self.masks, "first": torch.tensor(self._first, dtype=torch.float64)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what :meth:`tensors` gave."""
        self._first = float(tensors["first"])
        self.masks = {name: tensors[name].to(device=old.device) for name, old in self.masks.items()}

    def _rank(self, weights: Mapping[str, Tensor], through: float) -> None:
        through = 1.0 if not self._ramp else int(through * RANKINGS) / RANKINGS
        share = cubic(self._first, self._sparsity, through)
        zeros = round(share * sum(w.numel() for w in weights.values()))
        if zeros > sum(int((~mask).sum()) for mask in self.masks.values()):
            self.masks = smallest(weights, self.masks, zeros)

    @torch.no_grad()
    def _apply(self, net: nn.Module) -> None:
        for name, weight in prunable(net).items():
            weight.masked_fill_(~self.masks[name], 0.0)  # a product would leave −0


def share_of_zeros(masks: Mapping[str, Tensor]) -> float:
    """Share of all weights that masks take out."""
    total = sum(mask.numel() for mask in masks.values())
    return sum(int((~mask).sum()) for mask in masks.values()) / total


def sparsity_of(net: nn.Module) -> dict[str, Json]:
    """Zeros among the weights of convolutions and dense layers, overall and by layer.

    Returns:
        ``overall`` (share), ``weights`` and ``zeros`` (numbers), ``by_layer`` (share by name).
    """
    weights = prunable(net)
    zeros = {name: int((w == 0).sum()) for name, w in weights.items()}
    total = sum(w.numel() for w in weights.values())
    by_layer: dict[str, Json] = {
        name.removesuffix(".weight"): round(zeros[name] / w.numel(), 4)
        for name, w in weights.items()
    }
    return {
        "overall": round(sum(zeros.values()) / total, 6),
        "weights": total,
        "zeros": sum(zeros.values()),
        "by_layer": by_layer,
    }
