import csv
import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("measure")


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("workers")


def row(measure: ModuleType, ours: float, theirs: float | None = None, **rest: object):
    beside = None if theirs is None else measure.Spread.of([theirs])
    return measure.Row("bench", "what", "s", measure.Spread.of([ours]), beside, **rest)


def test_spread_is_median_and_range(measure: ModuleType) -> None:
    assert measure.Spread.of([3.0, 1.0, 10.0, 2.0]) == measure.Spread(2.5, 1.0, 10.0, 4)


@pytest.mark.parametrize(
    ("ours", "theirs", "inverse", "bound", "reached"),
    [
        (130.0, 100.0, False, ("ratio", "≥", 1.3), "yes"),
        (129.0, 100.0, False, ("ratio", "≥", 1.3), "no"),
        (0.5, 3.0, True, ("ratio", "≥", 5), "yes"),
        (0.61, 3.0, True, ("ours", "≤", 0.6), "no"),
        (119.0, 100.0, False, ("ratio", "≤", 1.2), "yes"),
        (1.0, None, False, ("ratio", "≥", 1), "no"),
        (1.0, 2.0, False, None, ""),
    ],
)
def test_what_was_asked_for_is_judged(
    measure: ModuleType,
    ours: float,
    theirs: float | None,
    inverse: bool,
    bound: tuple[str, str, float] | None,
    reached: str,
) -> None:
    asked = None if bound is None else measure.Bound(*bound)
    assert row(measure, ours, theirs, inverse=inverse, asked=asked).reached == reached


def test_sides_take_turns(measure: ModuleType) -> None:
    order: list[str] = []
    values = iter(range(100))

    def side(name: str):
        def once() -> float:
            order.append(name)
            return next(values)

        return once

    found = measure.rounds({"a": side("a"), "b": side("b")}, 3)
    assert order == ["a", "b"] * 3
    assert found["a"] == measure.Spread(2, 0, 4, 3)
    assert found["b"] == measure.Spread(3, 1, 5, 3)


def test_rows_are_appended_under_one_header(measure: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "new/speed.csv"
    conditions = measure.Conditions({"numpy": "2.0"}, "benchmarks/x.py --n 3")
    asked = measure.Bound("ratio", "≥", 2)
    for _ in range(2):
        measure.write_rows([row(measure, 2.0, 4.0, inverse=True, asked=asked)], conditions, path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert tuple(rows[0]) == measure.COLUMNS
    told = {
        name: rows[1][name] for name in ("ours", "theirs", "ratio", "asked", "reached", "command")
    }
    assert told == {
        "ours": "2",
        "theirs": "4",
        "ratio": "2.000",
        "asked": "≥ 2 ×",
        "reached": "yes",
        "command": "benchmarks/x.py --n 3",
    }
    assert "numpy=2.0" in rows[1]["versions"]
    assert rows[1]["cpu"]


def test_versions_that_differ_by_side_are_both_kept(measure: ModuleType) -> None:
    conditions = measure.Conditions()
    conditions.add({"numpy": "2.2", "pillow": "12"})
    conditions.add({"numpy": "2.4", "pillow": "12"}, "peers")
    assert conditions.versions == {"numpy": "2.2", "pillow": "12", "numpy peers": "2.4"}


def test_record_of_a_command_names_no_folder_of_this_machine(measure: ModuleType) -> None:
    told = measure.command_line(
        "benchmarks/x.py", ["--peers", "/home/someone/env/python", "--quick"]
    )
    assert told == "benchmarks/x.py --peers …/python --quick"


def test_workplace_is_removed_also_after_a_failure(measure: ModuleType) -> None:
    kept = []

    def fail() -> None:
        with measure.workplace() as path:
            kept.append(path)
            (path / "file").write_text("x")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    assert not kept[0].exists()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "side.py"
    path.write_text(
        f"import os, sys\nsys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "from workers import serve\n"
        "def double(x):\n    print('noise')\n    return 2 * x\n"
        "def leave():\n    print('last words', file=sys.stderr, flush=True)\n    os._exit(3)\n"
        "serve({'double': double, 'leave': leave})\n"
    )
    return path


def test_worker_answers_and_what_it_prints_is_not_an_answer(
    workers: ModuleType, script: Path
) -> None:
    with workers.Worker(Path(sys.executable), str(script)) as worker:
        assert [worker.ask("double", x=n) for n in (1, 21)] == [2, 42]


def test_worker_that_fails_says_why(workers: ModuleType, script: Path) -> None:
    with workers.Worker(Path(sys.executable), str(script)) as worker:
        with pytest.raises(workers.WorkerError, match="TypeError"):
            worker.ask("double", y=1)
        with pytest.raises(workers.WorkerError, match="last words"):
            worker.ask("leave")
