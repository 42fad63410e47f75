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
            stands, as was done before version 0.3.
    """
    edges = np.linspace(0, len(took), min(blocks, len(took)) + 1).astype(int).tolist()
    waiting = deque(itertools.pairwise(edges))
    workers = cluster.machines * cluster.cores
    doing: list[tuple[int, int, int] | None] = [None] * workers  # first, at, end of its block
    begun, turn = [0.0] * workers, [0] * workers
    free = deque(range(workers))
    events: list[tuple[float, int, int]] = []  # when, worker or ~machine, turn
    ran, done, now, work_s = Ran(0.0), 0, 0.0, 0.0
    away = set()

    def fail_next(now: float) -> None:
        if cluster.failures_per_h:
            gap = rng.exponential(3600 / cluster.failures_per_h)
            heapq.heappush(events, (now + gap, ~int(rng.integers(cluster.machines)), 0))

    def begin(worker: int, block: tuple[int, int, int], late: float = 0.0) -> None:
        doing[worker], begun[worker] = block, now + late
        heapq.heappush(events, (now + late + took[block[1]], worker, turn[worker]))

    def hand_out(late: float = 0.0) -> None:
        while waiting and free:
            first, end = waiting.popleft()
            begin(free.popleft(), (first, first, end), late)

    fail_next(0.0)
    hand_out(cluster.start_s)
    while done < len(took):
        now, who, number = heapq.heappop(events)
        if who < 0 and number:  # another machine takes its place
            away.discard(~who)
            free.extend(range(~who * cluster.cores, (~who + 1) * cluster.cores))
            hand_out(cluster.start_s)
        elif who < 0:
            fail_next(now)
            if ~who in away:
                continue
            ran.failures += 1
            away.add(~who)
            heapq.heappush(events, (now + cluster.away_s, who, 1))
            its = range(~who * cluster.cores, (~who + 1) * cluster.cores)
            free = deque(worker for worker in free if worker not in its)
            for worker in its:
                turn[worker] += 1  # what it was to finish is not finished
                block, doing[worker] = doing[worker], None
                if block is None:
                    continue
                first, at, end = block
                if now > begun[worker]:
                    ran.repeated += 1
                    ran.lost_core_h += (now - begun[worker]) / 3600
                if whole:
                    done -= at - first
                    ran.rejudged += at - first
                    ran.lost_core_h += float(took[first:at].sum()) / 3600
                waiting.appendleft((first if whole else at, end))
            hand_out()
        elif number == turn[who]:
            first, at, end = doing[who]  # type: ignore[misc]
            done, work_s = done + 1, work_s + took[at]
            if at + 1 < end:
                begin(who, (first, at + 1, end))
            else:
                doing[who] = None
                free.append(who)
                hand_out()
    ran.hours = now / 3600
    ran.busy = float(took.sum()) / (now * workers)
    return ran


def expected_repeats(cluster: Cluster, hours: float) -> float:
    """Tasks that failures repeat: each takes the tasks of one machine's cores with it."""
    return cluster.failures_per_h * hours * cluster.cores
