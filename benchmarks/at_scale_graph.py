"""A scan on many machines as discrete events: tasks in blocks, workers, and machines that fail.

Nothing is judged and nothing waits: the times of a task's stages are drawn, and a clock jumps from
event to event. Blocks are what the engine hands out and repeats (``distributed.on_ray.BLOCKS``),
tasks are what leaves a part behind (``distributed.judge``).
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    Draws = np.ndarray


@dataclass(frozen=True)
class Cluster:
    """Machines and what befalls them.

    Attributes:
        machines: Their number.
        cores: Workers of each.
        failures_per_h: Of all machines together, at random moments.
        away_s: Until another machine takes the place of one that failed.
        start_s: Until a worker on a new machine judges.
    """

    machines: int = 50
    cores: int = 16
    failures_per_h: float = 1.0
    away_s: float = 600.0
    start_s: float = 0.0


@dataclass
class Ran:
    """What came of it.

    Attributes:
        hours: From the first task to the last.
        failures: Machines that failed.
        repeated: Tasks that were begun again because their machine failed.
        lost_core_h: Work on them that left nothing behind.
        rejudged: Tasks that were judged again although their part stood.
        busy: Share of the cores' time that was work, until the last task.
    """

    hours: float
    failures: int = 0
    repeated: int = 0
    lost_core_h: float = 0.0
    rejudged: int = 0
    busy: float = 0.0


def task_seconds(
    tasks: int,
    files: int,
    stages: Mapping[str, tuple[float, float, float]],
    fixed_s: float,
    rng: np.random.Generator,
) -> Draws:
    """Durations of tasks on one core, ``(tasks,)``, in seconds.

    Args:
        tasks: Their number.
        files: Of a task.
        stages: Milliseconds of a file by stage: lowest, median and highest that were measured. A
            task draws one of each for all its files, so tasks differ more than they would if each
            file drew its own.
        fixed_s: Of a task besides: its sources are read, its part is written.
        rng: Draws.
    """  # fmt: skip
    took = np.full(tasks, fixed_s)
    for low, median, high in stages.values():
        took += files / 1000 * rng.triangular(low, median, high, tasks)
    return took


def run(
    took: Draws, cluster: Cluster, blocks: int, rng: np.random.Generator, *, whole: bool = False
) -> Ran:
    """Run tasks on a cluster until all are done.

    Args:
        took: Seconds of each task.
        cluster: Where they run.
        blocks: So many at most: neighbours that one worker does one after the other.
        rng: Draws the failures.
        whole: All tasks of a block that is repeated are judged again, also those whose part
            stands: what an engine does that does not look for parts.
    """
    return _Run(took, cluster, blocks, rng, whole=whole).to_the_end()


class _Run:
    """The state of a run: what waits, what each worker does, and what happens when."""

    def __init__(
        self, took: Draws, cluster: Cluster, blocks: int, rng: np.random.Generator, *, whole: bool
    ) -> None:
        edges = np.linspace(0, len(took), min(blocks, len(took)) + 1).astype(int).tolist()
        self.took, self.cluster, self.rng, self.whole = took, cluster, rng, whole
        self.waiting = deque(itertools.pairwise(edges))
        workers = cluster.machines * cluster.cores
        self.doing: list[tuple[int, int, int] | None] = [None] * workers  # first, at, end
        self.begun, self.turn = [0.0] * workers, [0] * workers
        self.free = deque(range(workers))
        self.away: set[int] = set()
        self.events: list[tuple[float, int, int]] = []  # when, worker or ~machine, turn
        self.now, self.done, self.ran = 0.0, 0, Ran(0.0)

    def to_the_end(self) -> Ran:
        self._draw_failure()
        self._hand_out(late=self.cluster.start_s)
        while self.done < len(self.took):
            self.now, who, number = heapq.heappop(self.events)
            if who < 0 and number:
                self._replace(~who)
            elif who < 0:
                self._draw_failure()
                self._fail(~who)
            elif number == self.turn[who]:  # else its machine has failed since
                self._finish(who)
        self.ran.hours = self.now / 3600
        self.ran.busy = float(self.took.sum()) / (self.now * len(self.doing))
        return self.ran

    def _draw_failure(self) -> None:
        if self.cluster.failures_per_h:
            gap = self.rng.exponential(3600 / self.cluster.failures_per_h)
            machine = int(self.rng.integers(self.cluster.machines))
            heapq.heappush(self.events, (self.now + gap, ~machine, 0))

    def _hand_out(self, *, late: float = 0.0) -> None:
        while self.waiting and self.free:
            first, end = self.waiting.popleft()
            self._begin(self.free.popleft(), (first, first, end), late)

    def _begin(self, worker: int, block: tuple[int, int, int], late: float = 0.0) -> None:
        self.doing[worker], self.begun[worker] = block, self.now + late
        when = self.now + late + self.took[block[1]]
        heapq.heappush(self.events, (when, worker, self.turn[worker]))

    def _finish(self, worker: int) -> None:
        block = self.doing[worker]
        assert block is not None
        first, at, end = block
        self.done += 1
        if at + 1 < end:
            self._begin(worker, (first, at + 1, end))
            return
        self.doing[worker] = None
        self.free.append(worker)
        self._hand_out()

    def _of(self, machine: int) -> range:
        return range(machine * self.cluster.cores, (machine + 1) * self.cluster.cores)

    def _replace(self, machine: int) -> None:
        self.away.discard(machine)
        self.free.extend(self._of(machine))
        self._hand_out(late=self.cluster.start_s)

    def _fail(self, machine: int) -> None:
        if machine in self.away:
            return
        self.ran.failures += 1
        self.away.add(machine)
        heapq.heappush(self.events, (self.now + self.cluster.away_s, ~machine, 1))
        its = self._of(machine)
        self.free = deque(worker for worker in self.free if worker not in its)
        for worker in its:
            self.turn[worker] += 1  # what it was to finish is not finished
            block, self.doing[worker] = self.doing[worker], None
            if block is not None:
                self._give_back(worker, *block)
        self._hand_out()

    def _give_back(self, worker: int, first: int, at: int, end: int) -> None:
        if self.now > self.begun[worker]:
            self.ran.repeated += 1
            self.ran.lost_core_h += (self.now - self.begun[worker]) / 3600
        if self.whole:
            self.done -= at - first
            self.ran.rejudged += at - first
            self.ran.lost_core_h += float(self.took[first:at].sum()) / 3600
        self.waiting.appendleft((first if self.whole else at, end))


def expected_repeats(cluster: Cluster, hours: float) -> float:
    """Tasks that failures repeat: each takes the tasks of one machine's cores with it."""
    return cluster.failures_per_h * hours * cluster.cores
