"""Ray as the engine: it places the judges, repeats what a lost machine had, and holds back."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Any

from mesoscope.distributed.judge import CORES, TaskJudge
from mesoscope.errors import MissingExtra, OutputError
from mesoscope.errors.failures import describe
from mesoscope.runtime.threads import cores

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.distributed.judge import TaskOrder

__all__ = ["RayEngine"]

BLOCKS = 10_000  # of tasks, at most: each is an object that the engine keeps account of


class RayEngine:
    """Runs tasks on a Ray cluster, or on one that it starts on this machine.

    Args:
        address: Of a cluster, ``"auto"`` for the one that this machine belongs to; ``None``
            starts one.
        judges: So many at most, each on a core; 0 for as many as there are cores, and, in a
            cluster that grows, will be.

    Raises:
        MissingExtra: Ray is not installed.
        OutputError: The cluster cannot be reached.
    """

    def __init__(self, *, address: str | None = None, judges: int = 0) -> None:
        try:
            import ray
            import ray.data
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "ray", extra="scale") from error
        for name in ("ray", "ray.data"):  # its progress is shown by the caller
            logging.getLogger(name).setLevel(logging.ERROR)
        self._ray = ray
        self._judges = judges or (cores() if address is None else 0)
        self._ours = not ray.is_initialized()
        if not self._ours:
            return
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        stops = signal.getsignal(signal.SIGTERM)
        try:
            if address is None:
                ray.init("local", num_cpus=self._judges, include_dashboard=False, **quiet)
            else:
                ray.init(address, **quiet)
        except Exception as error:  # Ray's own classes, and those of its transport
            raise OutputError(
                f"Ray cannot be reached at {address}: {_why(error)}"
                if address is not None
                else f"Ray cannot be started here: {describe(error)}"
            ) from error
        finally:
            if stops is not None and threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, stops)  # Ray sets its own, which ends the process

    def run(self, order: TaskOrder, tasks: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Give the tasks to judges, and yield their answers as they come.

        Raises:
            OutputError: Ray gave a task up.
        """
        data = self._ray.data
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        rows = [{"task": task} for task in tasks]
        # Else a pool begins with one, and the other cores wait until the engine sees that it is
        # busy.
        cores_now = int(self._ray.cluster_resources().get("CPU", 1)) // CORES
        first = max(1, min(cores_now, self._judges or cores_now, len(rows)))
        answers = data.from_items(rows, override_num_blocks=min(len(rows), BLOCKS)).map(
            TaskJudge,
            fn_constructor_args=(order,),
            num_cpus=CORES,
            compute=data.ActorPoolStrategy(
                min_size=1, max_size=self._judges or None, initial_size=first
            ),
        )
        try:
            yield from answers.iter_rows()
        except self._ray.exceptions.RayError as error:
            raise OutputError(
                f"Ray gave up: {describe(error)}: see to it, then go on with `resume`"
            ) from error

    def close(self) -> None:
        """Leave the cluster, and end the one that was started here."""
        if self._ours:
            self._ray.shutdown()


def _why(error: BaseException) -> str:
    """Why a cluster is not reached, and what to do."""
    causes: list[BaseException] = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    if any("InvalidAuthToken" in str(cause) for cause in causes):
        return (
            "it wants its token: set RAY_AUTH_MODE=token, and copy ~/.ray/auth_token from its "
            "first machine"
        )
    return f"{describe(error)}: check `address`"
