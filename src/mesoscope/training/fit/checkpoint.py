"""Checkpoints of a run: one safetensors file, written atomically; never a pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mesoscope.errors import OutputError, RunError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn, optim


@dataclass
class TrainingState:
    """State of a run after a finished epoch.

    Attributes:
        epoch: Finished epochs.
        best_epoch: Epoch with the best validation AUC, from 1; 0 = none yet.
        best_auc: The best validation AUC.
        history: The record of each epoch.
        recipe_sha256: Digest of the run's recipe.
        data_sha256: Digest of the data.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_auc: float = -1.0
    history: list[dict[str, Any]] = field(default_factory=list)
    recipe_sha256: str = ""
    data_sha256: str = ""


def save(path: Path, tensors: dict[str, Tensor], state: TrainingState) -> None:
    """Write tensors and state atomically: after a kill the file is the old one or the new one.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    whole = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    try:
        with atomic_path(path) as fresh:
            save_file(whole, fresh, metadata={"state": json.dumps(vars(state))})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: the checkpoint cannot be written: {cause(error)}") from error


def load(path: Path) -> tuple[dict[str, Tensor], TrainingState]:
    """Read what :func:`save` wrote.

    Raises:
        RunError: The file is missing or no checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = TrainingState(**json.loads((file.metadata() or {})["state"]))
            return {key: file.get_tensor(key) for key in file.keys()}, state  # noqa: SIM118
    except FileNotFoundError as error:
        raise RunError(f"{path}: no checkpoint there: start the run without `resume`") from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: not a checkpoint of this version: {cause(error)}") from error


def best_weights(run: Path) -> dict[str, Tensor]:
    """Return the weights and statistics of a run's best epoch, by their names in the network.

    Raises:
        RunError: The folder holds none.
    """
    tensors, _ = load(run / "checkpoints/best.safetensors")
    return unpack("mean", tensors)


def pack(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Prefix each key with a name."""
    return {f"{prefix}.{key}": value for key, value in tensors.items()}


def unpack(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with a prefix, without it."""
    start = prefix + "."
    return {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}


def optimiser_tensors(optimiser: optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's state as named tensors."""
    state = optimiser.state_dict()["state"]
    return {f"{i}.{key}": value for i, entry in state.items() for key, value in entry.items()}


def restore_optimiser(optimiser: optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the tensors of :func:`optimiser_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict(
        {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
    )


def plain(net: nn.Module) -> dict[str, Tensor]:
    """Return copies of a network's weights and statistics."""
    return {key: value.detach().clone() for key, value in net.state_dict().items()}
