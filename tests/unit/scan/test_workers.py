"""Who is alive on a ledger, and whose claims are free again."""

import contextlib
import subprocess
import sys
import time

import pytest

from mesoscope.errors import OutputError
from mesoscope.scan import workers
from mesoscope.scan.workers import LEASE_S, Worker


class WorkerRegistry:
    """A ledger's processes, in memory."""

    def __init__(self):
        self.at, self.alive, self.released = 1000.0, {}, []

    def heartbeat(self, owner):
        self.alive[owner] = self.at

    def seen(self):
        return dict(self.alive)

    def now(self):
        return self.at

    def release(self, owner):
        self.alive.pop(owner, None)
        self.released.append(owner)


def test_one_that_leaves_frees_its_claims_and_its_lock(tmp_path):
    roster = WorkerRegistry()
    with Worker(roster, tmp_path) as worker:
        assert list(roster.alive) == [worker.owner]
        assert len(list((tmp_path / "workers").iterdir())) == 1
        assert worker.reap() == []
    assert roster.released == [worker.owner]
    assert list((tmp_path / "workers").iterdir()) == []


def test_the_living_keep_their_claims_and_the_silent_lose_them(tmp_path):
    roster = WorkerRegistry()
    with Worker(roster, tmp_path) as one, Worker(roster, tmp_path) as other:
        assert one.reap() == []
        roster.alive["elsewhere"] = roster.at - LEASE_S + 1  # no lock that could be asked
        assert one.reap() == []
        roster.at += 2
        assert one.reap() == ["elsewhere"]
        assert other.owner in roster.alive


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock: leases alone decide")
def test_claims_that_could_not_be_released_are_free_at_once(tmp_path, monkeypatch):
    roster = WorkerRegistry()

    def full(_owner):
        raise OutputError("ledger: database or disk is full")

    with Worker(roster, tmp_path) as first:
        monkeypatch.setattr(roster, "release", full)
    assert roster.alive.keys() == {first.owner}
    monkeypatch.undo()
    with Worker(roster, tmp_path) as second:
        assert second.reap() == [first.owner]
    assert list((tmp_path / "workers").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock: leases alone decide")
def test_a_killed_process_loses_its_claims_at_once(tmp_path):
    code = """
import sys, time
from pathlib import Path
from mesoscope.scan.workers import Worker
class WorkerRegistry:
    def heartbeat(self, owner): print(owner, flush=True)
with_worker = Worker(WorkerRegistry(), Path(sys.argv[1])).__enter__()
time.sleep(300)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    owner = process.stdout.readline().strip()
    roster = WorkerRegistry()
    roster.heartbeat(owner)
    with Worker(roster, tmp_path) as worker:
        assert worker.reap() == []
        process.kill()
        process.communicate()
        assert worker.reap() == [owner]
    assert roster.released[0] == owner


def test_a_worker_says_again_and_again_that_it_is_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "HEARTBEAT_S", 0.01)
    roster, beats = WorkerRegistry(), []
    with contextlib.suppress(TimeoutError), Worker(roster, tmp_path) as worker:
        roster.heartbeat = beats.append
        end = time.monotonic() + 60
        while len(beats) < 3 and time.monotonic() < end:
            time.sleep(0.01)
    assert beats[:3] == [worker.owner] * 3
