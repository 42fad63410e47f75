"""Knowledge distillation from a teacher, and logits on validation pictures.

The teacher sees the same pixels as the student, after augmentation and mixing, so the student can
match it closely (Beyer et al., *Knowledge distillation: a good teacher is patient and consistent*,
CVPR 2022, section 3).
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from mesoscope.detection.scorer import OnnxScorer, open_session
from mesoscope.errors import ModelError, RecipeError, RunError
from mesoscope.metrics import roc_auc
from mesoscope.models.file import find_model
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.training.data.dataset import batches, plain_crop
from mesoscope.training.fit import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lightning_fabric import Fabric
    from numpy.typing import NDArray

    from mesoscope.data.manifest import Sample
    from mesoscope.training.recipe.keys import DistilKeys
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import ModelCard, Pixels

    Floats = NDArray[np.float32]


BATCH = 4  # fastest on a CPU: its activations stay in the cache


class Teacher:
    """A model file whose ``p_fake`` is mixed into the labels.

    It runs on ONNX Runtime on the CPU. Training on a GPU may wait for it.

    Args:
        keys: The teacher's file and its share in the labels.
        window_px: Side of the student's crops, ``augment.window_px``; 0 = that of the teacher.

    Raises:
        RecipeError: The model file does not exist, or its network takes no crops of that side.
    """

    def __init__(self, keys: DistilKeys, window_px: int = 0) -> None:
        self._share = keys.share
        self._windows: Callable[[Pixels], Floats] | None = None
        try:
            path = find_model(keys.teacher)
            self._scorer = OnnxScorer(path)
            if window_px not in (0, self._scorer.card.input_px):
                self._windows = _scorer_of_windows(path, window_px, self._scorer.card)
        except ModelError as error:
            raise RecipeError(
                f"distil.teacher: {error}: train it first (recipes/teacher.toml), or set "
                "distil.share=0"
            ) from error

    @property
    def model_id(self) -> str:
        """Name and digest: ``name@first 8 digits of the file's SHA-256``."""
        return self._scorer.model_id

    def soft_labels(self, crops: Pixels, labels: Floats) -> Floats:
        """Mix the teacher's ``p_fake`` into the labels.

        Args:
            crops: ``(n, S, S, 3) uint8``, as the student sees them.
            labels: ``(n,)``, 0 to 1.

        Returns:
            ``(n,)``, 0 to 1.
        """
        parts = [
            self._p_fake(np.ascontiguousarray(crops[at : at + BATCH]))
            for at in range(0, len(crops), BATCH)
        ]
        taught = labels + self._share * (np.concatenate(parts) - labels)
        return np.asarray(taught, np.float32)

    def _p_fake(self, crops: Pixels) -> Floats:
        if self._windows is None:
            return self._scorer.score(crops).p_fake
        return self._windows(crops)


def _scorer_of_windows(path: Path, window_px: int, card: ModelCard) -> Callable[[Pixels], Floats]:
    """Open a model file for crops of another side than its card's: crops → ``p_fake``.

    Raises:
        RecipeError: Its network takes no other side, such as one that ends in a dense layer.
    """
    if card.quantisation:  # its first convolution reads a view of the bytes of a whole crop
        raise RecipeError(
            f"distil.teacher: {path} computes in 8-bit integers and takes whole crops only: give "
            f"its original, {card.original}, or set augment.window_px=0"
        )
    graph = onnx.load(path)
    for side in graph.graph.input[0].type.tensor_type.shape.dim[1:3]:
        side.dim_value = window_px
    del graph.graph.value_info[:]
    for output in graph.graph.output:
        output.type.tensor_type.ClearField("shape")
    crops = np.zeros((1, window_px, window_px, 3), np.uint8)
    try:
        session = open_session(graph.SerializeToString(), path, threads=1)
        session.run(["p_fake"], {"crops": crops})
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise RecipeError(
            f"distil.teacher: {path} takes no crops of {window_px} px: set augment.window_px=0, or "
            "take a teacher of the architecture meso4_ira"
        ) from error

    def p_fake(crops: Pixels) -> Floats:
        (found,) = session.run(["p_fake"], {"crops": crops})
        return np.asarray(found, np.float32)

    return p_fake


def open_teacher(keys: DistilKeys, window_px: int = 0) -> Teacher | None:
    """Open the recipe's teacher, if it has one."""
    return Teacher(keys, window_px) if keys.share > 0 else None


def check_teacher(recipe: Recipe, *, fresh: bool) -> None:
    """Check that the recipe's teacher can be used, before a run folder is written.

    Args:
        recipe: The recipe.
        fresh: Whether the run begins, and so needs its initial weights.

    Raises:
        RecipeError: The file is missing or takes no such crops; or initial weights are the
            teacher's and its file lies in no run folder.
    """
    open_teacher(recipe.distil, recipe.augment.window_px)
    if fresh and recipe.network.initial == "teacher":
        teacher_weights(recipe.distil)


def teacher_weights(keys: DistilKeys) -> dict[str, Tensor]:
    """Return the best weights of the run that the teacher's file belongs to.

    Raises:
        RecipeError: The file lies in no run folder.
    """
    run = Path(keys.teacher).parent
    try:
        return checkpoint.best_weights(run)
    except RunError as error:
        raise RecipeError(
            "network.initial = 'teacher' takes the weights of the run that distil.teacher lies in, "
            f"and {run}/checkpoints holds none: name the model.onnx of a run folder, or set "
            "network.initial='imagenet'"
        ) from error


SCORE_BATCH = 16


def to_input(pixels: Tensor) -> Tensor:
    """Convert ``[N, S, S, 3] uint8`` to ``[N, 3, S, S]`` in 0..1, channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)


@torch.no_grad()
def scores_of(
    net: nn.Module, samples: Sequence[Sample], margin: float, fabric: Fabric
) -> NDArray[np.float64]:
    """Return raw logits ``(n,)`` of the pictures as inference sees them."""
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
            warnings.simplefilter("ignore")  # Fabric calls what this torch version renames
            gathered = fabric.all_gather(scores)
        scores = gathered.T.flatten()[: len(samples)]  # type: ignore[union-attr]
    return scores.double().cpu().numpy()


def some_inputs(
    recipe: Recipe, samples: Sequence[Sample], fabric: Fabric, count: int = 512
) -> Iterator[Tensor]:
    """Yield inputs ``[N, 3, S, S]`` of pictures drawn at random, the same on every device."""
    chance = np.random.default_rng((recipe.seed, len(samples)))
    chosen = [samples[i] for i in chance.permutation(len(samples))[:count]]
    crops = map_ordered(
        lambda sample: plain_crop(sample, recipe.data.crop_margin), chosen, threads=cores()
    )
    for pixels in batches(crops, SCORE_BATCH):
        yield to_input(fabric.to_device(torch.from_numpy(pixels)))


def auc_by_source(samples: Sequence[Sample], scores: NDArray[np.float64]) -> dict[str, float]:
    """Return the AUC of each source that holds both classes."""
    rows: dict[str, list[int]] = defaultdict(list)
    for i, sample in enumerate(samples):
        rows[sample.source].append(i)
    labels = np.array([s.label for s in samples])
    found = {source: roc_auc(labels[i], scores[i]) for source, i in rows.items()}
    known = {source: auc for source, auc in found.items() if not math.isnan(auc)}
    return known or {"all": roc_auc(labels, scores)}
