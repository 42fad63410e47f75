"""The training loop."""

from __future__ import annotations

import copy
import ctypes
import math
import platform
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from mesoscope.ahead import ahead, cores
from mesoscope.errors import RunError
from mesoscope.metrics import roc_auc
from mesoscope.training import checkpoint
from mesoscope.training.checkpoint import State
from mesoscope.training.dataset import batches, draw, plain_crop, training_crop
from mesoscope.training.nets import build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightning_fabric import Fabric
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from mesoscope.data.manifest import Sample
    from mesoscope.training.dataset import Survey
    from mesoscope.training.recipe import OptimiseKeys, Recipe

SCORE_BATCH = 16


class Watcher(Protocol):
    """Shown what happens while it happens; the command line draws bars from it."""

    def step(self, *, done: int, total: int, loss: float, images_per_s: float) -> None:
        """Called after every step of an epoch."""
        ...

    def epoch(self, record: dict[str, Any], state: State) -> None:
        """Called after every validated epoch."""
        ...


def fit(
    recipe: Recipe, data: Survey, run: Path, fabric: Fabric, watcher: Watcher, *, resume: bool
) -> State:
    """Train until the recipe's last epoch or until patience runs out.

    Every random choice is seeded by (seed, epoch, place), and the checkpoint holds weights, their
    running mean and the optimiser's state, so a run that was killed goes on from its last finished
    epoch and ends as an unbroken one would.

    Args:
        recipe: What to do.
        data: On what.
        run: The run folder; ``checkpoints/last.safetensors`` and ``best.safetensors`` go there.
        fabric: Devices and precision (Lightning Fabric).
        watcher: Shown the progress.
        resume: Go on from the last checkpoint; without one yet, from the start.

    Returns:
        Where the run ended.

    Raises:
        RunError: The checkpoint is of another recipe or other data.
        OutputError: A checkpoint could not be written.
    """
    keep_heap()
    o = recipe.optimise
    torch.manual_seed(recipe.seed)
    net = build(recipe.network.architecture, dropout=recipe.network.dropout)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = copy.deepcopy(net).eval()
    wrapped, optimiser = fabric.setup(net, torch.optim.AdamW(_groups(net, o), lr=o.learning_rate))
    mean = fabric.to_device(mean)
    state = State(recipe_sha256=recipe.sha256(), data_sha256=data.digests)
    last, best = run / "checkpoints/last.safetensors", run / "checkpoints/best.safetensors"
    if resume and last.exists():
        tensors, before = checkpoint.load(last)
        _refuse_other(before, state, run)
        state = before
        net.load_state_dict(checkpoint.unpack("net", tensors))
        mean.load_state_dict(checkpoint.unpack("mean", tensors))
        checkpoint.restore_optimiser(optimiser.optimizer, checkpoint.unpack("optimiser", tensors))

    while state.epoch < o.epochs and not _out_of_patience(state, o.patience):
        started = time.perf_counter()
        epoch = state.epoch
        torch.manual_seed(recipe.seed * 1_000_003 + epoch * 1009 + fabric.global_rank)
        order = draw(data.train, recipe.data, np.random.default_rng((recipe.seed, epoch)))
        steps = len(order) // o.batch_size or 1
        mine = order[fabric.global_rank :: fabric.world_size]  # a share of each step's pictures
        labels = torch.tensor([float(data.train[i].label) for i in mine])
        share = max(1, o.batch_size // fabric.world_size)
        crops = ahead(
            lambda place: training_crop(
                data.train[mine[place]], recipe, (recipe.seed, epoch, int(place))  # noqa: B023
            ),
            range(min(steps * share, len(mine))),
            threads=cores(),
            depth=4 * share,
        )
        wrapped.train()
        total_loss = 0.0
        for step, pixels in enumerate(batches(crops, share)):
            now = epoch + step / steps
            for group in optimiser.param_groups:
                group["lr"] = o.learning_rate * _schedule(now, o)
            x = to_input(fabric.to_device(torch.from_numpy(pixels)))
            y = fabric.to_device(labels[step * share : step * share + len(pixels)])
            loss = loss_of(wrapped(x).float(), y, o)
            optimiser.zero_grad()
            fabric.backward(loss)
            optimiser.step()
            average(mean, net, min(o.ema_decay, (1 + now * steps) / (10 + now * steps)))
            total_loss += loss.item()
            done = (step + 1) * share * fabric.world_size
            rate = done / (time.perf_counter() - started)
            watcher.step(
                done=done, total=steps * o.batch_size, loss=total_loss / (step + 1), images_per_s=rate
            )
        trained_s = time.perf_counter() - started
        scores = scores_of(mean, data.validation, recipe.data.crop_margin, fabric)
        by_source = auc_by_source(data.validation, scores)
        auc = float(np.mean(list(by_source.values())))
        record = {
            "epoch": epoch + 1,
            "loss": round(total_loss / steps, 5),
            "auc": round(auc, 5),
            "auc_by_source": {k: round(v, 5) for k, v in by_source.items()},
            "learning_rate": optimiser.param_groups[0]["lr"],
            "images_per_s": round(steps * o.batch_size / trained_s, 1),
            "elapsed_s": round(time.perf_counter() - started, 1),
        }
        state = State(
            epoch + 1, state.best_epoch, state.best_auc, [*state.history, record],
            state.recipe_sha256, state.data_sha256,
        )  # fmt: skip
        improved = auc > state.best_auc
        if improved:
            state.best_epoch, state.best_auc = epoch + 1, auc
        if fabric.is_global_zero:
            if improved:
                checkpoint.save(best, checkpoint.pack("mean", checkpoint.plain(mean)), state)
            tensors = checkpoint.pack("net", checkpoint.plain(net))
            tensors |= checkpoint.pack("mean", checkpoint.plain(mean))
            tensors |= checkpoint.pack(
                "optimiser", checkpoint.optimiser_tensors(optimiser.optimizer)
            )
            checkpoint.save(last, tensors, state)
            watcher.epoch(record, state)
        fabric.barrier()
    return state


def to_input(pixels: Tensor) -> Tensor:
    """``[N, S, S, 3] uint8`` → ``[N, 3, S, S]`` in 0..1, laid out channels last."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def loss_of(logits: Tensor, labels: Tensor, keys: OptimiseKeys) -> Tensor:
    """Mean loss of a batch; labels ``[N]``, fake = 1."""
    soft = labels * (1 - keys.label_smoothing) + keys.label_smoothing / 2
    if keys.loss == "mse":
        return F.mse_loss(torch.sigmoid(logits), soft)
    return F.binary_cross_entropy_with_logits(logits, soft)


@torch.no_grad()
def average(mean: nn.Module, net: nn.Module, decay: float) -> None:
    """Draw the running mean of the weights towards the network; statistics are copied over."""
    weights = list(mean.parameters())
    torch._foreach_lerp_(weights, list(net.parameters()), 1 - decay)  # noqa: SLF001
    for kept, new in zip(mean.buffers(), net.buffers(), strict=True):
        kept.copy_(new)


@torch.no_grad()
def scores_of(
    net: nn.Module, samples: Sequence[Sample], margin: float, fabric: Fabric
) -> NDArray[np.float64]:
    """Raw logits ``(n,)`` of the pictures as inference sees them."""
    rank, world = fabric.global_rank, fabric.world_size
    each = -(-len(samples) // world)
    mine = [samples[min(i * world + rank, len(samples) - 1)] for i in range(each)]
    crops = ahead(lambda s: plain_crop(s, margin), mine, threads=cores())
    parts = [
        net(to_input(fabric.to_device(torch.from_numpy(pixels)))).float()
        for pixels in batches(crops, SCORE_BATCH)
    ]
    scores = torch.cat(parts)
    if world > 1:
        scores = fabric.all_gather(scores).T.flatten()[: len(samples)]  # type: ignore[union-attr]
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


def _refuse_other(before: State, now: State, run: Path) -> None:
    if before.recipe_sha256 != now.recipe_sha256:
        raise RunError(
            f"{run}: was begun with another recipe ({run}/recipe.toml): resume with that one, or "
            "start a new run folder"
        )
    if before.data_sha256 != now.data_sha256:
        raise RunError(
            f"{run}: was begun on other pictures: bring them back, or start a new run folder"
        )


def _schedule(now: float, o: OptimiseKeys) -> float:
    """Share of the highest learning rate at ``now`` epochs: linear warm-up, then a half cosine."""
    if now < o.warmup_epochs:
        return (now + 1e-3) / o.warmup_epochs
    through = (now - o.warmup_epochs) / max(o.epochs - o.warmup_epochs, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min(through, 1)))


def _groups(net: nn.Module, o: OptimiseKeys) -> list[dict[str, Any]]:
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": o.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def _out_of_patience(state: State, patience: int) -> bool:
    return bool(patience) and state.epoch - state.best_epoch >= patience


def keep_heap() -> None:
    """Ask the C library to keep freed memory for the next step instead of handing it back.

    The loop frees and asks again for the same hundreds of megabytes at every step; page faults
    took a third of its time. Linux with glibc only; elsewhere nothing happens.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # malloc.h
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 64 << 20)
