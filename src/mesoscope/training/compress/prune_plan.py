"""Options of a pruning run, and the file in its folder that keeps them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesoscope.errors import OptionError, RunError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import write_text
from mesoscope.models.file import file_sha256
from mesoscope.training.compress.sparsify import RAMP

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.types import Json

SCHEDULES = ("gradual", "oneshot")
BEST = "checkpoints/best.safetensors"
PLAN = "pruning.json"


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """Options of a pruning run.

    Attributes:
        sparsity: Share to remove: of the weights of convolutions and dense layers, or with
            ``structured`` of the multiply-adds.
        schedule: ``gradual`` (along a cubic curve over the first half of the fine-tuning) or
            ``oneshot`` (before it).
        finetune: Epochs of fine-tuning; 0 for none.
        structured: Remove whole channels, all before the fine-tuning.
    """

    sparsity: float = 0.2
    schedule: str = "gradual"
    finetune: int = 2
    structured: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.sparsity < 1:
            raise OptionError(f"sparsity must be at least 0 and less than 1, got {self.sparsity}")
        if self.schedule not in SCHEDULES:
            raise OptionError(f"schedule must be gradual or oneshot, got {self.schedule!r}")
        if self.finetune < 0:
            raise OptionError(f"finetune must not be negative, got {self.finetune}")
        if self.structured and self.schedule != "oneshot":
            raise OptionError("channels leave all at once: structured goes with schedule oneshot")

    def method(self) -> str:
        """Description of the method, for the card."""
        epochs = "1 epoch" if self.finetune == 1 else f"{self.finetune} epochs"
        tuned = f"fine-tuned for {epochs}" if self.finetune else "not fine-tuned"
        if self.structured:
            return (
                "channels of least importance (first-order change of the loss) for the "
                f"multiply-adds they cost, {tuned}"
            )
        how = "gradually, along a cubic curve" if self._ramps() else "at once"
        return f"smallest magnitudes of all layers ranked together, {how}, {tuned}"

    def ramp_epochs(self) -> float:
        """Epochs until the target sparsity."""
        return RAMP * self.finetune if self._ramps() else 0.0

    def _ramps(self) -> bool:
        return self.schedule == "gradual" and self.finetune > 0


def write_plan(run: Path, plan: PrunePlan, parent: Path) -> None:
    """Write the plan and the parent's identity into the run folder.

    Raises:
        OutputError: The file cannot be written.
    """
    write_text(run / PLAN, json.dumps(_identity(plan, parent), indent=2) + "\n")


def refuse_other_plan(run: Path, plan: PrunePlan, parent: Path) -> None:
    """Refuse to resume a run that was begun with another plan or parent.

    Raises:
        RunError: The plan or parent differs, or the folder is no pruning run.
    """
    if not (run / PLAN).exists():
        if (run / BEST).exists():
            raise RunError(f"{run}: holds a training run, not a pruning run: name another folder")
        return
    try:
        before = json.loads((run / PLAN).read_text(encoding="utf-8"))
        for key, value in _identity(plan, parent).items():
            if before[key] != value:
                raise RunError(
                    f"{run}: was begun with {key} {before[key]} and not {value}: resume with that, "
                    "or start a new run folder"
                )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{run / PLAN}: not a plan of this version: {cause(error)}") from error


def _identity(plan: PrunePlan, parent: Path) -> dict[str, Json]:
    return {**dataclasses.asdict(plan), "parent_weights_sha256": file_sha256(parent / BEST)}
