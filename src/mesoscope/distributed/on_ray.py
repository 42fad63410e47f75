"""Ray as the engine: it places the judges, repeats what a lost machine had, and holds back."""

from __future__ import annotations

import dataclasses
import logging
import signal
import threading
from typing import TYPE_CHECKING, Any

from mesoscope.distributed.judge import CORES, TaskJudge
from mesoscope.distributed.scoring import GpuScorer, SharedScorer
from mesoscope.errors import MissingExtra, OptionError, OutputError
from mesoscope.errors.failures import describe
from mesoscope.runtime.threads import cores

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.distributed.judge import TaskOrder

__all__ = ["RayEngine"]

GPU_BATCH = 32  # crops that a judge sends at a time
BLOCKS = 10_000  # of tasks, at most: each is an object that the engine keeps account of


class RayEngine:
    """Runs tasks on a Ray cluster, or on one that it starts on this machine.

    Args:
        address: Of a cluster, ``"auto"`` for the one that this machine belongs to; ``None``
            starts one.
        judges: So many at most, each on a core; 0 for as many as there are cores, and, in a
            cluster that grows, will be.
        gpus: So many GPUs score for all judges; 0 for scoring by the judges.
        provider: ONNX Runtime's execution provider for them; ``None`` for that of a GPU.

    Raises:
        MissingExtra: Ray is not installed.
        OptionError: The cluster has fewer GPUs.
        OutputError: The cluster cannot be reached.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        judges: int = 0,
        gpus: int = 0,
        provider: str | None = None,
    ) -> None:
        try:
            import ray
            import ray.data
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "ray", extra="scale") from error
        for name in ("ray", "ray.data"):  # its progress is shown by the caller
            logging.getLogger(name).setLevel(logging.ERROR)
        self._ray = ray
        self._judges = judges or (cores() if address is None else 0)
        self._gpus, self._provider = gpus, provider
        self._ours = not ray.is_initialized()
        if self._ours:
            self._connect(address)
        there = int(ray.cluster_resources().get("GPU", 0))
        if gpus > there:
            self.close()
            raise OptionError(
                f"`gpus` asks for {gpus}, and Ray has {there}: give fewer, or 0 to score on the CPU"
            )

    def _connect(self, address: str | None) -> None:
        ray = self._ray
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
        scorer = None
        if self._gpus:
            refusal, scorer = self._scorer(order)
            if scorer is None:
                yield {"part": "", "refusal": refusal, "fault": ""}
                return
            batch = max(GPU_BATCH, order.options["batch_size"])
            order = dataclasses.replace(order, options={**order.options, "batch_size": batch})
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
            fn_constructor_args=(order, scorer),
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

    def _scorer(self, order: TaskOrder) -> tuple[str, SharedScorer | None]:
        """Start a scorer on each GPU; what refuses, or what judges share."""
        kind = self._ray.remote(GpuScorer).options(
            num_cpus=0, num_gpus=1, max_restarts=-1, max_task_retries=-1
        )
        actors = [kind.remote(order.model, self._provider) for _ in range(self._gpus)]
        facts = self._ray.get([actor.facts.remote() for actor in actors])
        refusals = [refusal for refusal, _, _ in facts if refusal]
        if refusals:
            return refusals[0], None
        _, card, model_id = facts[0]
        return "", SharedScorer(actors, card, model_id)

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
