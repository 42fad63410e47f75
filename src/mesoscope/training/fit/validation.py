"""What a network under training says of the validation pictures."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mesoscope.metrics import roc_auc
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.training.data.dataset import batches, plain_crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning_fabric import Fabric
    from numpy.typing import NDArray

    from mesoscope.data.manifest import Sample

SCORE_BATCH = 16


def to_input(pixels: Tensor) -> Tensor:
    """``[N, S, S, 3] uint8`` → ``[N, 3, S, S]`` in 0..1, laid out channels last."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)


@torch.no_grad()
def scores_of(
    net: nn.Module, samples: Sequence[Sample], margin: float, fabric: Fabric
) -> NDArray[np.float64]:
    """Raw logits ``(n,)`` of the pictures as inference sees them."""
    rank, world = fabric.global_rank, fabric.world_size
    each = -(-len(samples) // world)
    mine = [samples[min(i * world + rank, len(samples) - 1)] for i in range(each)]
    crops = map_ordered(lambda s: plain_crop(s, margin), mine, threads=cores())
    parts = [
        net(to_input(fabric.to_device(torch.from_numpy(pixels)))).float()
        for pixels in batches(crops, SCORE_BATCH)
    ]
    scores = torch.cat(parts)
    if world > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Fabric calls what this torch renames
            gathered = fabric.all_gather(scores)
        scores = gathered.T.flatten()[: len(samples)]  # type: ignore[union-attr]
    return scores.double().cpu().numpy()


def auc_by_source(samples: Sequence[Sample], scores: NDArray[np.float64]) -> dict[str, float]:
    """AUC of each source that holds both classes."""
    rows: dict[str, list[int]] = defaultdict(list)
    for i, sample in enumerate(samples):
        rows[sample.source].append(i)
    labels = np.array([s.label for s in samples])
    found = {source: roc_auc(labels[i], scores[i]) for source, i in rows.items()}
    known = {source: auc for source, auc in found.items() if not math.isnan(auc)}
    return known or {"all": roc_auc(labels, scores)}
