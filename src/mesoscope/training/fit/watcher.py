"""Who is shown a run, and what its folder keeps of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from mesoscope.files.whole import write_whole
from mesoscope.training.fit.curves import draw_curves
from mesoscope.training.fit.loop import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mesoscope.training.fit.checkpoint import State

T = TypeVar("T")


class RunWatcher(Watcher, Protocol):
    """Shown what a run does; the command line draws bars and lines from it."""

    def count(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:
        """Wraps work for a progress bar."""
        ...

    def say(self, text: str) -> None:
        """One line on what was found or done."""
        ...


class LogWatcher:
    """Passes on what is watched and keeps ``log.jsonl`` and the curves up to date."""

    def __init__(self, run: Path, watcher: RunWatcher) -> None:
        self._run = run
        self.step = watcher.step
        self._watcher = watcher

    def epoch(self, record: dict[str, Any], state: State) -> None:
        """Write both anew and pass it on."""
        write_log(self._run, state)
        draw_curves(state.history, self._run / "curves.png")
        self._watcher.epoch(record, state)


class SilentWatcher:
    """For all processes but the first."""

    def step(self, *, done: int, total: int, loss: float, images_per_s: float) -> None:
        """Nothing."""

    def epoch(self, record: dict[str, Any], state: State) -> None:
        """Nothing."""

    def count(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:  # noqa: ARG002
        """The items."""
        return items

    def say(self, text: str) -> None:
        """Nothing."""


def write_log(run: Path, state: State) -> None:
    """Write ``log.jsonl``, one line a finished epoch."""
    # Written whole from the checkpoint's history: a killed run leaves no line of an epoch that is
    # trained again.
    lines = "".join(json.dumps(r) + "\n" for r in state.history)
    write_whole(run / "log.jsonl", lines.encode())
