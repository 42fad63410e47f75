"""What an evaluation asks for verdicts: a detector, or the job of a scan that is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mesoscope.media.image import Source
    from mesoscope.media.walk import Unreadable
    from mesoscope.types import DetectOptions, Guard, ModelCard, Thresholds, Verdict

__all__ = ["Judge"]


class Judge(Protocol):
    """Gives verdicts: a :class:`~mesoscope.detection.detector.Detector`, or what a job holds."""

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        ...

    @property
    def model_id(self) -> str:
        """Id of the model."""
        ...

    options: DetectOptions
    guard: Guard | None

    @property
    def thresholds(self) -> Thresholds:
        """Thresholds that the labels come from."""
        ...

    def check_many(
        self,
        sources: Iterable[Source | Unreadable],
        *,
        keep_going: bool = False,
        clips: bool = True,
    ) -> Iterator[Verdict]:
        """Yield a verdict for each source, in their order."""
        ...
