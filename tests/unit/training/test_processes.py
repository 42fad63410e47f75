"""Precision by hardware, and a process of a run that ends."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from mesoscope.errors import OutputError
from mesoscope.training import processes


@pytest.mark.parametrize(
    ("asked", "pays", "used"),
    [("bf16", False, "32-true"), ("bf16", True, "bf16-mixed"), ("32", False, "32-true")],
)
def test_a_cpu_that_gains_nothing_by_bfloat16_takes_32_bits_and_says_so(
    asked, pays, used, monkeypatch
):
    said = []
    monkeypatch.setattr(processes, "bfloat16_pays", lambda: pays)
    monkeypatch.setattr(processes.logger, "info", said.append)
    fabric = processes.open_fabric("cpu", 1, 1, asked)
    assert fabric.strategy.precision.precision == used
    assert len(said) == (asked == "bf16" and not pays)
    if said:
        assert "no matrices of bfloat16 (AMX): precision = '32' is used in place of" in said[0]


def test_whether_bfloat16_pays_can_be_asked():
    assert processes.bfloat16_pays() in (True, False)


def fabric_with(*procs):
    launcher = SimpleNamespace(procs=list(procs))
    return SimpleNamespace(strategy=SimpleNamespace(launcher=launcher), world_size=2)


def ended(code):
    process = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"])
    process.wait()
    return process


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(processes, "LOOK_S", 0.01)
    monkeypatch.setattr(processes, "GRACE_S", 0.2)


def test_fabric_has_no_process_to_look_after_any_more(tmp_path, quick):
    fabric = fabric_with(ended(0))
    procs = fabric.strategy.launcher.procs  # the very list that Fabric's observer holds
    with processes.lost_processes(tmp_path, fabric):
        assert procs == []


def test_a_process_that_notices_in_time_says_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LOOK_S", 0.01)
    exits = []
    monkeypatch.setattr(processes.os, "_exit", exits.append)

    def work():
        with processes.lost_processes(tmp_path, fabric_with(ended(3))):
            time.sleep(0.2)
            raise RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer")

    with pytest.raises(OutputError, match="another process of the run has ended"):
        work()
    time.sleep(0.1)
    assert exits == []


def test_a_process_that_notices_nothing_is_ended_after_a_while(tmp_path, quick, monkeypatch):
    said, exits = [], []
    monkeypatch.setattr(processes.logger, "error", said.append)
    monkeypatch.setattr(processes.os, "_exit", exits.append)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    with processes.lost_processes(tmp_path, fabric_with(other, ended(3))):
        limit = time.monotonic() + 30
        while not exits and time.monotonic() < limit:
            time.sleep(0.01)
    assert exits == [1]
    assert said[0].startswith(f"{tmp_path}: another process of the run has ended")
    assert other.wait(30) != 0


def test_processes_that_end_well_end_nothing(tmp_path, quick, monkeypatch):
    exits = []
    monkeypatch.setattr(processes.os, "_exit", exits.append)
    with processes.lost_processes(tmp_path, fabric_with(ended(0))):
        time.sleep(0.5)
    assert exits == []


def test_another_fault_stays_as_it_is(tmp_path):
    with (
        pytest.raises(RuntimeError, match="shapes"),
        processes.lost_processes(tmp_path, fabric_with()),
    ):
        raise RuntimeError("shapes do not match")
