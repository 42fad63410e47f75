"""A larger network's opinion as part of the label (Hinton, Vinyals & Dean, 2015, section 2).

The teacher sees the very pixels that the student sees, after augmentation and mixing, which is what
lets a student follow it closely (Beyer et al., *Knowledge distillation: a good teacher is patient
and consistent*, CVPR 2022, section 3).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.detection.scorer import OnnxScorer
from mesoscope.errors import ModelError, RecipeError, RunError
from mesoscope.training.fit import checkpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from mesoscope.training.recipe.keys import DistilKeys
    from mesoscope.types import Pixels

    Floats = NDArray[np.float32]

BATCH = 4  # quickest on a CPU: its activations stay in the cache


class Teacher:
    """A model file whose answers are mixed into the labels.

    It runs on ONNX Runtime, on the CPU, which is where it is quickest for small machines; on a
    machine with a GPU it may be what the training waits for.

    Args:
        keys: Which file, and how much it counts.

    Raises:
        RecipeError: There is no such model file.
    """

    def __init__(self, keys: DistilKeys) -> None:
        self._share = keys.share
        try:
            self._scorer = OnnxScorer(Path(keys.teacher))
        except ModelError as error:
            raise RecipeError(
                f"distil.teacher: {error}: train it first (recipes/teacher.toml), or set "
                "distil.share=0"
            ) from error

    @property
    def model_id(self) -> str:
        """``name@first 8 digits of the file's SHA-256``."""
        return self._scorer.model_id

    def teach(self, crops: Pixels, labels: Floats) -> Floats:
        """Labels between those given and the teacher's ``p_fake``.

        Args:
            crops: ``(n, 256, 256, 3) uint8``, as the student sees them.
            labels: ``(n,)``, 0 to 1.

        Returns:
            ``(n,)``, 0 to 1.
        """
        parts = [
            self._scorer.score(np.ascontiguousarray(crops[at : at + BATCH])).p_fake
            for at in range(0, len(crops), BATCH)
        ]
        taught = labels + self._share * (np.concatenate(parts) - labels)
        return np.asarray(taught, np.float32)


def open_teacher(keys: DistilKeys) -> Teacher | None:
    """The recipe's teacher, if it has one."""
    return Teacher(keys) if keys.share > 0 else None


def teachers_weights(keys: DistilKeys) -> dict[str, Tensor]:
    """The best weights of the run that the teacher's file lies in.

    Raises:
        RecipeError: It lies in no run folder.
    """
    run = Path(keys.teacher).parent
    try:
        return checkpoint.best_weights(run)
    except RunError as error:
        raise RecipeError(
            f"network.initial = 'teacher' needs the run folder of distil.teacher: {error}"
        ) from error
