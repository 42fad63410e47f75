"""The guard in the model file: the distance of a face crop from the training distribution.

A network gives a score for anything: noise, a page of text, a cat. The guard is a density of the
training data. It summarises each crop by about a hundred numbers: means and root mean squares over
positions, of the network's last features and of sixteen small filters on the crop (a 4×4 cosine
transform of its luma, its two colour differences). Such networks judge by low-level traces, and
noise, drawings and blur change these first. One normal distribution is fitted to the summaries of
training crops. A crop's Mahalanobis distance from it, in units of the distance that few validation
faces exceed, is the model's output ``unfamiliar``.

Lee et al., *A simple unified framework for detecting out-of-distribution samples and adversarial
attacks*, NeurIPS 2018, use such a distance on a network's features, with one mean per class.
``benchmarks/densities.py`` compares it with this guard and with nearest neighbours.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mesoscope.errors import DatasetError
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.training.data.dataset import batches, draw_epoch, plain_crop, training_crop
from mesoscope.types import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from mesoscope.data.manifest import Sample
    from mesoscope.training.data.dataset import Survey
    from mesoscope.training.nets.network import Network
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import Pixels

    Floats = NDArray[np.float64]

__all__ = [
    *(
        "CROPS",
        "REFUSED",
        "Familiarity",
        "Normal",
        "balanced_weights",
        "cut_at",
        "filters",
        "fit",
        "floors",
    ),
    *("fit_normal", "summaries", "summary", "train_crops"),
]

CROPS = 6000  # of the train split; half plain, half augmented as in training
REFUSED = 0.01  # share of validation faces beyond the threshold
LEAST_BEYOND = 20  # faces beyond a cut of distances: fewer do not place it
LEAST_SHRINKAGE = 0.01  # keeps the whitening matrix small enough for 32-bit arithmetic
SIDE = 4  # of the filters, in pixels
STRIDE = 6  # sampling positions suffices; no multiple of JPEG's 8, so its block edges are met
DARKEST = 1e-4  # below the rounding of 8 bits, so that a smooth crop differs from a flat one
PALE = 0.03  # of the plain maps, so that a grey photograph counts as pale and not as unfamiliar
BATCH = 16
LUMA, BLUE, RED = (0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081)  # BT.601
FILTERS = 16  # one SIMD register
PLAIN_FILTERS = 3  # means of luma and of the two colour differences come first


class Normal(NamedTuple):
    """A normal distribution, with the factors of its Mahalanobis distance.

    Attributes:
        mean: Mean, ``(d,)``.
        whiten: ``(d, d)``; the distance of ``z`` is the norm of ``(z - mean) @ whiten``.
        shrinkage: Weight of the scaled identity in the covariance, 0 to 1.
    """

    mean: Floats
    whiten: Floats
    shrinkage: float


class Familiarity(nn.Module):
    """Distance of crops from the training distribution; 1 is the threshold.

    Args:
        normal: Distribution of the summaries of training crops.
        threshold: Distance that is scaled to 1.
        record: Entry of the model's card.
    """

    filters: Tensor
    floors: Tensor
    mean: Tensor
    whiten: Tensor

    def __init__(self, normal: Normal, threshold: float, record: Guard) -> None:
        super().__init__()
        self.record = record
        self.register_buffer("filters", filters())
        self.register_buffer("floors", floors())
        self.register_buffer("mean", torch.as_tensor(normal.mean, dtype=torch.float32))
        scaled = torch.as_tensor(normal.whiten / threshold, dtype=torch.float32)
        self.register_buffer("whiten", scaled)

    def forward(self, x: Tensor, a: Tensor) -> Tensor:
        """Crops ``[N, 3, S, S]`` in 0..1 and their features ``[N, C, h, w]`` → ``[N]``, ≥ 0."""
        z = summary(x, a, self.filters, self.floors) - self.mean  # [N, 35 + 2C]
        w = z @ self.whiten
        return (w * w).sum(1).sqrt()


def fit(
    net: Network,
    data: Survey,
    recipe: Recipe,
    *,
    watch: Callable[[Iterable[Pixels], int], Iterable[Pixels]] = lambda items, _total: items,
) -> Familiarity:
    """Fit the guard of a trained network.

    The distribution is that of train crops, drawn with the recipe's balance, half of them augmented
    as in training, so augmented crops are familiar. The threshold is set so that at most 1 % of
    validation faces lie beyond it, sources and classes weighted equally.

    Args:
        net: In evaluation mode, on the CPU.
        data: The survey, with train and validation splits.
        recipe: The recipe of its training.
        watch: Wraps an iterable for a progress bar: ``(items, total) → items``.

    Returns:
        The guard, with its entry for the card.

    Raises:
        DatasetError: The network's features of some crop are not finite.
    """
    order, crops = train_crops(data, recipe)
    margin = recipe.data.crop_margin
    ordinary = map_ordered(lambda s: plain_crop(s, margin), data.validation, threads=cores())
    total = len(order) + len(data.validation)
    found = summaries(net, watch(itertools.chain(crops, ordinary), total))
    normal = fit_normal(found[: len(order)])
    distances = np.linalg.norm((found[len(order) :] - normal.mean) @ normal.whiten, axis=1)
    threshold, refused = cut_at(distances, balanced_weights(data.validation), REFUSED)
    return Familiarity(normal, threshold, _record(normal, len(order), data, refused))


def train_crops(data: Survey, recipe: Recipe) -> tuple[NDArray[np.int64], Iterator[Pixels]]:
    """Draw train crops to fit the guard; every second one is augmented as in training.

    Args:
        data: The survey, with face boxes.
        recipe: Gives the balance and the augmentation; its windows are left out, as a network that
            is trained on windows judges whole crops.

    Returns:
        ``(n,)`` indices into the train split, and a crop ``(256, 256, 3) uint8`` for each.
    """
    samples = data.train
    wanted = min(CROPS, 2 * len(samples))
    keys = dataclasses.replace(recipe.data, images_per_epoch=wanted)
    whole = dataclasses.replace(recipe.augment, window_px=0)
    recipe = dataclasses.replace(recipe, augment=whole)
    order = draw_epoch(samples, keys, np.random.default_rng(recipe.seed))

    def make(place: int) -> Pixels:
        sample = samples[order[place]]
        # Beyond the last epoch's number: draws that the network has not seen.
        key = (recipe.seed, recipe.optimise.epochs + 1, place)
        if place % 2:
            return training_crop(sample, recipe, key, face=data.box(int(order[place])))
        return plain_crop(sample, recipe.data.crop_margin)

    return order, map_ordered(make, range(len(order)), threads=cores())


@torch.no_grad()
def summaries(net: Network, crops: Iterable[Pixels]) -> Floats:
    """Apply :func:`summary` to crops ``(256, 256, 3) uint8``: ``(n, 35 + 2C)``."""
    kernels, least, parts = filters(), floors(), []
    for pixels in batches(crops, BATCH):
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
        parts.append(summary(x, net.forward_features(x), kernels, least).double().numpy())
    return np.concatenate(parts)


def summary(x: Tensor, a: Tensor, kernels: Tensor, floors: Tensor) -> Tensor:
    """Summarise crops ``[N, 3, S, S]`` and their features ``[N, C, h, w]``: ``[N, 35 + 2C]``.

    From the filtered crop: the means of the three plain maps, and the logarithms of all root mean
    squares and mean magnitudes. The ratio of these two separates drawings, which are flat with a
    few hard edges, from photographs. From the features: means and root mean squares.
    """
    c = F.conv2d(x, kernels, stride=STRIDE)  # [N, 16, s, s]
    parts = [
        c.mean((2, 3))[:, :PLAIN_FILTERS],
        torch.log(_root_mean_square(c) + floors),
        torch.log(c.abs().mean((2, 3)) + floors),
        a.mean((2, 3)),
        _root_mean_square(a),
    ]
    return torch.cat(parts, 1)


def floors() -> Tensor:
    """Offsets inside the logarithm, one per filter ``[16]``."""
    return torch.tensor([PALE] * PLAIN_FILTERS + [DARKEST] * (FILTERS - PLAIN_FILTERS))


def filters() -> Tensor:
    """Sixteen filters ``[16, 3, 4, 4]``: three plain means, then frequencies of luma.

    The frequencies are those of the 4×4 cosine transform except its two highest mixed ones, which
    their neighbours nearly determine.
    """
    u, i = np.mgrid[:SIDE, :SIDE]
    wave = np.cos(np.pi * (2 * i + 1) * u / (2 * SIDE)) * np.where(u == 0, 0.5, np.sqrt(0.5))
    planes = np.einsum("ui,vj->uvij", wave, wave).reshape(SIDE * SIDE, SIDE, SIDE) / SIDE
    frequencies = [k for k in range(1, SIDE * SIDE) if k not in (2 * SIDE + 3, 3 * SIDE + 2)]
    kernels = [np.multiply.outer(colour, planes[0]) for colour in (LUMA, BLUE, RED)]
    kernels += [np.multiply.outer(LUMA, planes[k]) for k in frequencies]
    return torch.as_tensor(np.stack(kernels), dtype=torch.float32)


def fit_normal(values: ArrayLike) -> Normal:
    """Fit a normal distribution to ``(n, d)`` values, with a shrunk covariance.

    Columns are scaled to a variance of 1. The covariance is then shrunk towards the identity by the
    share of least expected loss (Ledoit & Wolf, *A well-conditioned estimator for large-dimensional
    covariance matrices*, Journal of Multivariate Analysis 88, 2004, section 3), at least by 1 %.

    Raises:
        DatasetError: There are fewer than two rows, or a value is not finite.
    """
    x = np.asarray(values, np.float64)
    if len(x) < 2 or not np.isfinite(x).all():
        raise DatasetError(
            "the guard cannot be fitted: it needs the finite features of at least two training "
            f"pictures, got {len(x)}; are all weights finite?"
        )
    mean, spread = x.mean(0), x.std(0)
    # A constant column: any change is unfamiliar, but not infinitely so.
    spread = np.maximum(spread, 1e-3 * max(float(spread.max()), 1e-6))
    z = (x - mean) / spread
    covariance = z.T @ z / len(z)
    size = covariance.shape[0]
    level = np.trace(covariance) / size
    apart = ((covariance - level * np.eye(size)) ** 2).sum()
    # Σ‖zzᵀ − S‖² / n² = (Σ‖z‖⁴ − n‖S‖²) / n²
    noise = (((z**2).sum(1) ** 2).sum() - len(z) * (covariance**2).sum()) / len(z) ** 2
    share = float(np.clip(noise / apart if apart > 0 else 1.0, LEAST_SHRINKAGE, 1.0))
    shrunk = (1 - share) * covariance + share * max(level, 1e-6) * np.eye(size)
    root = np.linalg.cholesky(shrunk)
    whiten = np.linalg.inv(root).T / spread[:, None]
    return Normal(mean, whiten, share)


def cut_at(distances: ArrayLike, weights: ArrayLike, share: float) -> tuple[float, float]:
    """Return the lowest cut with at most ``share`` of the weight beyond it, and the share beyond.

    Args:
        distances: ``(n,)``, at least one.
        weights: ``(n,)``; only their ratios matter.
        share: Target share, 0 to 1.

    Returns:
        The cut, between two distances or slightly above the largest, and the share beyond it.
    """
    d, w = np.asarray(distances, np.float64), np.asarray(weights, np.float64)
    order = np.argsort(d)
    d, w = d[order], w[order] / w.sum()
    beyond = np.append(np.cumsum(w[::-1])[::-1][1:], 0.0)  # weight beyond each distance
    last_of_tie = np.append(d[1:] != d[:-1], True)
    i = int(np.flatnonzero(last_of_tie & (beyond <= share + 1e-12))[0])
    cut = (d[i] + d[i + 1]) / 2 if i + 1 < len(d) else d[i] * 1.02
    return max(float(cut), 1e-6), float(max(beyond[i], 0.0))


def _root_mean_square(maps: Tensor) -> Tensor:  # [N, C, h, w] → [N, C]
    # No vector norm: ONNX Runtime computes that more slowly.
    return (maps * maps).mean((2, 3)).sqrt()


def balanced_weights(samples: Sequence[Sample]) -> Floats:
    """Return weights ``(n,)`` that balance sources and classes."""
    cells = Counter((s.source, s.label) for s in samples)
    return np.array([1 / cells[s.source, s.label] for s in samples])


def _record(normal: Normal, crops: int, data: Survey, refused: float) -> Guard:
    numbers = len(normal.mean)
    return Guard(
        unfamiliar_above=1.0,
        false_refusals=round(refused, 5),
        rule=(
            f"Mahalanobis distance of {numbers} statistics of the crop and of the network's last "
            f"features; 1 = the distance that at most {REFUSED:.0%} of the validation faces exceed"
        ),
        fitted_on=(
            f"{crops} crops of the train split, half of them changed as in training; threshold on "
            f"{len(data.validation)} validation faces, each source and class alike"
        ),
    )
