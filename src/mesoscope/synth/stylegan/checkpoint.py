"""Checkpoints of training runs: one safetensors file, written atomically."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from mesoscope.errors import RunError
from mesoscope.errors.failures import cause
from mesoscope.synth.stylegan.ada import Controller
from mesoscope.synth.stylegan.loading import write_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, optim

    from mesoscope.synth.stylegan.training_step import StepPosition

_KEY = "mesoscope.stylegan-train 1"


@dataclass
class GanState:
    """State of a run besides its tensors.

    Attributes:
        settings: Training settings.
        data_sha256: Digest of the reals' pixels.
        step: Number of finished steps.
        controller: State of the adaptive augmentation.
        best: Smallest distance so far; ``None`` if not measured.
        history: Records of the snapshots.
    """

    settings: dict[str, Any]
    data_sha256: str
    step: int = 0
    controller: dict[str, Any] = field(default_factory=dict)
    best: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


def save(path: Path, at: StepPosition, state: GanState) -> None:
    """Write a checkpoint.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    state.step, state.controller = at.step, asdict(at.controller)
    tensors = {"path_mean": at.path_mean}
    for name, network in _networks(at).items():
        tensors |= {f"{name}/{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in _optimisers(at).items():
        entries = optimiser.state_dict()["state"]
        tensors |= {f"{name}/{i}/{k}": v for i, entry in entries.items() for k, v in entry.items()}
    tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    write_tensors(path, tensors, {_KEY: json.dumps(vars(state))})


def load(path: Path, at: StepPosition, settings: dict[str, Any]) -> GanState:
    """Load a checkpoint into the networks and optimisers.

    Raises:
        RunError: The checkpoint is missing, damaged, or has other settings.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = GanState(**json.loads(metadata[_KEY]))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError as error:
        raise RunError(f"{path}: no such checkpoint: start the run without `resume`") from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: not a checkpoint of this version: {cause(error)}") from error
    for name, now in settings.items():
        if state.settings.get(name) != now:
            raise RunError(
                f"{path}: the run was started with {name} {state.settings.get(name)}, and now it "
                f"is {now}: repeat the first options, or choose a new folder"
            )
    try:
        _restore(at, tensors, state)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        first = str(error).partition("\n")[0]
        raise RunError(f"{path}: its tensors do not match its settings: {first}") from error
    return state


def _restore(at: StepPosition, tensors: dict[str, Tensor], state: GanState) -> None:
    for name, network in _networks(at).items():
        network.load_state_dict(_under(name, tensors))
    for name, optimiser in _optimisers(at).items():
        entries: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(name, tensors).items():
            number, _, what = key.partition("/")
            entries.setdefault(int(number), {})[what] = value
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": entries, "param_groups": groups})
    at.path_mean = tensors["path_mean"].to(at.device)
    at.controller = Controller(**state.controller)
    at.step = state.step


def _networks(at: StepPosition) -> dict[str, Any]:
    return {
        "generator": at.generator,
        "discriminator": at.discriminator,
        "averaged": at.averaged,
    }


def _optimisers(at: StepPosition) -> dict[str, optim.Optimizer]:
    return {"of_generator": at.of_generator, "of_discriminator": at.of_discriminator}


def _under(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = name + "/"
    return {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}
