"""The training loop."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from mesoscope.errors import RunError
from mesoscope.runtime.allocator import keep_heap
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.training.data.augment import follows_its_real, mix, pair_forgeries, pair_sources
from mesoscope.training.data.dataset import batches, draw_epoch, reals_by_source, training_crop
from mesoscope.training.data.forging import ForgeryMaker
from mesoscope.training.data.makers import Makers
from mesoscope.training.data.reconstruct import Reconstructor
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.checkpoint import TrainingState
from mesoscope.training.fit.distil import (
    auc_by_source,
    scores_of,
    some_inputs,
    to_input,
)
from mesoscope.training.fit.position import EpochPosition, average, blend
from mesoscope.training.fit.schedule import epoch_samples, learning_rate_share
from mesoscope.training.nets.model_file import is_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightning_fabric import Fabric
    from numpy.typing import NDArray

    from mesoscope.data.sample import Sample
    from mesoscope.training.data.dataset import Survey
    from mesoscope.training.fit.position import WeightConstraint
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import Box, Pixels

SCORE_BATCH = 16
KEPT_BYTES = 2 << 30  # about the memory that a step of 32 pictures frees


class Watcher(Protocol):
    """Receives progress of an epoch; the command line draws bars from it."""

    def step(self, *, done: int, total: int, loss: float, images_per_s: float) -> None:
        """Receive the progress after a step."""
        ...

    def epoch(self, record: dict[str, Any], state: TrainingState) -> None:
        """Receive the record of a validated epoch."""
        ...


def fit(
    recipe: Recipe,
    data: Survey,
    run: Path,
    fabric: Fabric,
    watcher: Watcher,
    *,
    resume: bool,
    constraint: WeightConstraint | None = None,
) -> TrainingState:
    """Train until the recipe's last epoch or until patience runs out.

    Every random choice is seeded by (seed, epoch, position), and the checkpoint holds weights,
    their running mean and the optimiser's state. So a killed run resumes after its last finished
    epoch and ends as an uninterrupted one would.

    Args:
        recipe: The recipe.
        data: The survey of the data.
        run: The run folder; ``checkpoints/last.safetensors`` and ``best.safetensors`` go there.
        fabric: Devices and precision (Lightning Fabric).
        watcher: Receives progress.
        resume: Continue from the last checkpoint; start anew if there is none.
        constraint: Gives the initial weights and constrains them, for pruning.

    Returns:
        The final state of the run.

    Raises:
        RunError: The checkpoint belongs to another recipe or other data, training diverged, or
            there are more devices than pictures per epoch.
        OutputError: A checkpoint could not be written.
    """
    keep_heap(KEPT_BYTES, large_blocks=True)
    last, best = run / "checkpoints/last.safetensors", run / "checkpoints/best.safetensors"
    resumed = resume and last.exists()
    groups = 2 * len(sources_of(data.train))
    share = recipe.optimise.initial_share if constraint is None else 0.0
    fresh = not resumed or share > 0
    at = EpochPosition(recipe, fabric, constraint, fresh=fresh, groups=groups)
    if fresh and constraint is None and is_model(recipe.network.initial):
        at.restore_norms(some_inputs(recipe, data.train, fabric))
    initial = checkpoint.plain(at.mean) if share else {}
    forge = None if data.points is None else ForgeryMaker(recipe.synth, data.train, data.points)
    nets = Reconstructor.of_run(run) if recipe.augment.reconstructed else None
    makers = Makers(recipe.augment, data.train, data.landmarks, nets)
    state = TrainingState(recipe_sha256=recipe.sha256(), data_sha256=data.digests)
    if resumed:
        tensors, before = checkpoint.load(last)
        _refuse_other(before, state, run)
        at.restore(tensors)
        state = before

    while state.epoch < recipe.optimise.epochs and not _out_of_patience(state, recipe):
        started = time.perf_counter()
        loss, images_per_s = train_epoch(
            at, recipe, data, fabric, watcher, epoch=state.epoch, forge=forge, makers=makers
        )
        shown = blend(at.mean, initial, share) if share else at.mean
        scores = scores_of(shown, data.validation, recipe.data.crop_margin, fabric)
        if not np.isfinite(scores).all():
            raise RunError(
                f"{run}: training diverged in epoch {state.epoch + 1}: start again with a lower "
                "optimise.learning_rate"
            )
        by_source = auc_by_source(data.validation, scores)
        auc = float(np.mean(list(by_source.values())))
        record = {
            "epoch": state.epoch + 1,
            "loss": round(loss, 5),
            "auc": round(auc, 5),
            "auc_by_source": {k: round(v, 5) for k, v in by_source.items()},
            "learning_rate": at.optimiser.param_groups[0]["lr"],
            "images_per_s": round(images_per_s, 1),
            "elapsed_s": round(time.perf_counter() - started, 1),
        }
        reached = constraint is None or constraint.reached(state.epoch + 1)
        improved = (auc > state.best_auc or share > 0) and reached
        state = dataclasses.replace(
            state,
            epoch=state.epoch + 1,
            best_epoch=state.epoch + 1 if improved else state.best_epoch,
            best_auc=auc if improved else state.best_auc,
            history=[*state.history, record],
        )
        if fabric.is_global_zero:
            if improved:
                mean = checkpoint.pack("mean", checkpoint.plain(shown))
                checkpoint.save(best, mean, state)
            checkpoint.save(last, at.tensors(), state)
            watcher.epoch(record, state)
        fabric.barrier()
    return state


def train_epoch(
    at: EpochPosition,
    recipe: Recipe,
    data: Survey,
    fabric: Fabric,
    watcher: Watcher,
    *,
    epoch: int,
    forge: ForgeryMaker | None = None,
    makers: Makers | None = None,
) -> tuple[float, float]:
    """Train one epoch; return its mean loss and the pictures per second."""
    started, o = time.perf_counter(), recipe.optimise
    torch.manual_seed(recipe.seed * 1_000_003 + epoch * 1009 + fabric.global_rank)
    chance = np.random.default_rng((recipe.seed, epoch))
    samples = data.train if forge is None else forge.samples
    order = draw_epoch(samples, recipe.data, chance)
    if recipe.data.pairs:
        order = pair_forgeries(order, samples, chance)
    if recipe.data.source_pairs:
        order = pair_sources(order, samples)
    rank, world = fabric.global_rank, fabric.world_size
    order, shown = epoch_samples(order, samples, recipe.data, chance, device=rank, devices=world)
    twins = follows_its_real(order, samples) & recipe.data.pairs
    beside = follows_its_real(order, samples, any_group=True) & recipe.data.source_pairs | twins
    if len(order) < world:  # other devices would wait for one without a picture
        raise RunError(f"{world} devices for {len(order)} pictures an epoch: take fewer devices")
    steps = len(order) // o.batch_size or 1
    mine = order[rank::world]  # a share of each step's pictures
    share = max(1, o.batch_size // world)
    labels = np.array([samples[i].label for i in mine], np.float32)
    groups = groups_of([samples[i] for i in mine], sources_of(data.train))
    views = at.objective.views
    reals = reals_by_source(data.train)
    places_of = {} if data.boxes is None else {s: i for i, s in enumerate(data.train)}
    # Separate from the generator of the order, or devices would mix their shares alike.
    mixing = np.random.default_rng((recipe.seed, epoch, rank, 1))

    def prepare(one: tuple[int, Sample]) -> Pixels:
        # The position in the epoch, not in this device's share: devices must not draw alike.
        place, sample = one
        turn = place * world + rank
        those = [samples[order[turn - 1]]] if beside[turn] else reals.get(sample.source, ())
        face = data.box(order[turn - bool(twins[turn])])
        key = (recipe.seed, epoch, turn - bool(beside[turn]))
        crops = [
            training_crop(sample, recipe, key, those, forge, face, face_of, makers, view=view)
            for view in range(views)
        ]
        return np.stack(crops)  # (views, S, S, 3)

    def face_of(real: Sample) -> Box | None:
        return data.box(places_of[real]) if real in places_of else None

    places = range(min(steps * share, len(mine)))
    crops = map_ordered(prepare, zip(places, shown, strict=False), threads=cores(), depth=4 * share)
    at.learn()
    loss_sum, images_per_s = 0.0, 0.0
    for step, stacked in enumerate(batches(crops, share)):
        now = epoch + step / steps
        for group in at.optimiser.param_groups:
            group["lr"] = o.learning_rate * learning_rate_share(now, o)
        those = slice(step * share, step * share + len(stacked))
        wanted, of = labels[those].repeat(views), groups[those].repeat(views)
        plain = stacked.reshape(-1, *stacked.shape[2:])  # (share · views, S, S, 3)
        pixels, wanted = mix(plain, wanted, recipe.mix, mixing)
        at.update_norm_momentum(now * steps, mixed=pixels is not plain)
        if at.teacher is not None:
            wanted = at.teacher.soft_labels(pixels, wanted)
        x = to_input(fabric.to_device(torch.from_numpy(pixels)))  # [share, 3, 256, 256]
        y = fabric.to_device(torch.from_numpy(wanted))  # [share]
        at.optimiser.zero_grad()
        loss = at.objective.backward(
            fabric,
            at.wrapped,
            (x, y),
            fabric.to_device(torch.from_numpy(of)),
            mixed=pixels is not plain,
        )
        at.optimiser.step()
        average(at.mean, at.net, min(o.ema_decay, (1 + now * steps) / (10 + now * steps)))
        if at.constraint is not None:
            at.constraint.step(at, epoch + (step + 1) / steps)
        loss_sum += loss
        done = min((step + 1) * share * world, len(order))
        images_per_s = done / (time.perf_counter() - started)
        watcher.step(
            done=done,
            total=min(steps * o.batch_size, len(order)),
            loss=loss_sum / (step + 1),
            images_per_s=images_per_s,
        )
    return loss_sum / steps, images_per_s


def sources_of(samples: Sequence[Sample]) -> list[str]:
    """Return the names of the sources, sorted."""
    return sorted({sample.source for sample in samples})


def groups_of(samples: Sequence[Sample], sources: list[str]) -> NDArray[np.int64]:
    """Return the group of each sample, ``(n,)``: twice its source's index, plus its label."""
    index = {source: i for i, source in enumerate(sources)}
    return np.array([2 * index[s.source] + s.label for s in samples], np.int64)


def _refuse_other(before: TrainingState, now: TrainingState, run: Path) -> None:
    if before.recipe_sha256 != now.recipe_sha256:
        raise RunError(
            f"{run}: was begun with another recipe ({run}/recipe.toml): resume with that one, or "
            "start a new run folder"
        )
    if before.data_sha256 != now.data_sha256:
        raise RunError(
            f"{run}: was begun on other pictures: bring them back, or start a new run folder"
        )


def _out_of_patience(state: TrainingState, recipe: Recipe) -> bool:
    patience = recipe.optimise.patience
    return bool(patience) and state.epoch - state.best_epoch >= patience
