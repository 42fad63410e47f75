"""Crops in, calibrated scores and evidence maps out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import onnxruntime

from mesoscope.errors import ModelError, ModelMismatch
from mesoscope.model_file import model_id, read_card

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mesoscope.types import ModelCard, Pixels

GUARD_OUTPUT = "unfamiliar"
CHECK_TOLERANCE = 1e-3  # other processors round differently; another network differs by far more


class Scores(NamedTuple):
    """What a model says of ``n`` crops.

    Attributes:
        p_fake: ``(n,) float32``, calibrated, 0 to 1.
        logit: ``(n,) float32``, its log-odds.
        heat: ``(n, h, w) float32``, not negative; ``None`` where it was not asked for.
        unfamiliar: ``(n,) float32``, how far each crop is from those of the training, not negative;
            ``None`` from a model without a guard.
    """

    p_fake: NDArray[np.float32]
    logit: NDArray[np.float32]
    heat: NDArray[np.float32] | None
    unfamiliar: NDArray[np.float32] | None = None


class Scorer(Protocol):
    """Scores face crops. One object is shared by all threads."""

    card: ModelCard
    model_id: str

    def score(self, crops: Pixels, *, heat: bool = False) -> Scores:
        """Score ``(n, S, S, 3) uint8`` RGB crops."""
        ...


class OnnxScorer:
    """A model file on ONNX Runtime's CPU provider.

    Args:
        path: The ``.onnx`` file with its card.
        threads: Of one call. Several threads may call at once, and one thread a call with as many
            callers as cores is quicker than the other way round.

    Raises:
        ModelError: Not a model file, damaged, or without its card.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self.card = read_card(path)
        self.model_id = model_id(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # its errors come back as exceptions all the same
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"{path}: ONNX Runtime cannot open it: {reason}") from error
        self._names = ["p_fake", "logit"]
        if any(output.name == GUARD_OUTPUT for output in self._session.get_outputs()):
            self._names.append(GUARD_OUTPUT)
        elif self.card.guard is not None:
            raise ModelError(
                f"{path}: its card has a guard and its graph no output {GUARD_OUTPUT}: export the "
                "model again"
            )

    def score(self, crops: Pixels, *, heat: bool = False) -> Scores:
        """Score crops.

        Args:
            crops: ``(n, S, S, 3) uint8`` RGB, ``S`` the card's ``input_px``.
            heat: Also return the evidence maps.

        Returns:
            One row a crop.

        Raises:
            ModelError: Crops of another shape.
        """
        side = self.card.input_px
        if crops.ndim != 4 or crops.shape[1:] != (side, side, 3) or crops.dtype != np.uint8:
            raise ModelError(
                f"{self.model_id} takes (n, {side}, {side}, 3) uint8, got {crops.shape} "
                f"{crops.dtype}"
            )
        names = [*self._names, "heat"] if heat else self._names
        answer = dict(zip(names, self._session.run(names, {"crops": crops}), strict=True))
        return Scores(
            answer["p_fake"], answer["logit"], answer.get("heat"), answer.get(GUARD_OUTPUT)
        )


def check_pictures() -> Pixels:
    """Four pictures made by a formula, whose answers a model's card holds.

    Picture ``n``, row ``i``, column ``j``, channel ``c``:
    ``rint(255 (½ + ½ sin((n+1)(.031 i + .017 j (c+1)) + c)))``.

    Returns:
        ``(4, 256, 256, 3) uint8``.
    """
    n, i, j, c = np.ogrid[:4, :256, :256, :3]
    wave = np.sin((n + 1) * (0.031 * i + 0.017 * j * (c + 1)) + c)
    return np.asarray(np.rint(255 * (0.5 + 0.5 * wave)), np.uint8)


def self_check(scorer: Scorer) -> float:
    """Let a model answer the pictures of :func:`check_pictures` and compare with its card.

    Returns:
        The largest difference of ``p_fake``.

    Raises:
        ModelMismatch: The card holds no answers, or they differ.
    """
    expected = np.asarray(scorer.card.self_check)
    if expected.shape != (4,):
        raise ModelMismatch(f"{scorer.model_id}: its card holds no self check: export it again")
    difference = float(np.abs(scorer.score(check_pictures()).p_fake - expected).max())
    if not difference <= CHECK_TOLERANCE:
        raise ModelMismatch(
            f"{scorer.model_id}: its answers differ from its card by {difference:.2g}: "
            "the file is damaged or was changed"
        )
    return difference
