"""Scoring on GPUs: one session a GPU, which the judges of all machines share."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

from mesoscope.detection.scorer import OnnxScorer, gpu_providers
from mesoscope.errors import MesoscopeError
from mesoscope.models.file import find_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.detection.scorer import Scores
    from mesoscope.types import ModelCard, Pixels

__all__ = ["GpuScorer", "SharedScorer"]


class GpuScorer:
    """Scores crops on the GPU that an engine gave to this process.

    Args:
        model: Name of a shipped model, or path of a model file on this machine.
        provider: ONNX Runtime's execution provider; ``None`` for that of a GPU.
    """

    def __init__(self, model: str, provider: str | None = None) -> None:
        self._refusal, self._crops = "", 0
        providers = [provider] if provider else gpu_providers()
        if not providers:
            self._refusal = (
                f"{platform.node()}: its ONNX Runtime has no provider for a GPU: install "
                "onnxruntime-gpu in place of onnxruntime, or leave `gpus` out"
            )
            return
        try:
            self._scorer = OnnxScorer(find_model(model), provider=providers[0])
        except MesoscopeError as error:
            self._refusal = f"{platform.node()}: {error}"

    def facts(self) -> tuple[str, ModelCard | None, str]:
        """Return the line that ends the scan, or ``""``; the card; and the model's id."""
        if self._refusal:
            return self._refusal, None, ""
        return "", self._scorer.card, self._scorer.model_id

    def score(self, crops: Pixels, *, heat: bool = False) -> Scores:
        """Score ``(n, S, S, 3) uint8`` RGB crops."""
        self._crops += len(crops)
        return self._scorer.score(crops, heat=heat)

    def scored(self) -> int:
        """Return the number of crops so far."""
        return self._crops


class SharedScorer:
    """A judge's scorer that asks :class:`GpuScorer` actors in turn.

    Args:
        actors: Their handles.
        card: Card of the model.
        model_id: Id of the model.
    """

    def __init__(self, actors: Sequence[Any], card: ModelCard, model_id: str) -> None:
        self.actors, self.card, self.model_id = actors, card, model_id
        self._turn = 0

    def score(self, crops: Pixels, *, heat: bool = False) -> Scores:
        """Score ``(n, S, S, 3) uint8`` RGB crops on a GPU, perhaps of another machine."""
        import ray

        self._turn += 1
        actor = self.actors[(os.getpid() + self._turn) % len(self.actors)]
        scores: Scores = ray.get(actor.score.remote(crops, heat=heat))
        return scores
