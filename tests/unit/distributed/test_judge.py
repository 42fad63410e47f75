"""A judge: one task, and what became of whoever had it before."""

import json
import os
import signal

import pytest
from PIL import Image

from mesoscope.detection.detector import DetectorSpec
from mesoscope.distributed import judge as judges
from mesoscope.distributed.judge import TaskJudge, TaskOrder, spec_digest
from mesoscope.distributed.listing import ListedCounts, list_sources
from mesoscope.distributed.tasks import read_task, write_tasks
from mesoscope.errors import OptionError
from mesoscope.files.store import open_store

parquet = pytest.importorskip(
    "pyarrow.parquet", reason="parts are Parquet, and pyarrow is not installed"
)

SPEC = DetectorSpec("meso4", faces="whole")


@pytest.fixture
def store(tmp_path, make_face):
    """A job of one task with four pictures."""
    for n in range(4):
        Image.fromarray(make_face(n, 64)).save(tmp_path / f"{n}.png")
    store = open_store(str(tmp_path / "job"))
    sources = list_sources([str(tmp_path)], ListedCounts(), leave_out=store.name)
    assert write_tasks(store, sources, 256) == (1, 4)
    return store


def verdicts(store):
    with store.open("parts/000000000.parquet") as opened:
        return [json.loads(v) for v in parquet.read_table(opened)["verdict"].to_pylist()]


def test_a_file_that_ends_its_process_is_a_row(store, monkeypatch):
    """A task that was begun before is judged in another process, which each file may end."""
    order = TaskOrder.of(store.name, SPEC)
    judge = TaskJudge(order)
    assert judge({"task": 0})["fault"] == ""
    before = verdicts(store)
    store.remove("parts/000000000.parquet")
    store.write("begun/000000000", b"")
    fetch = judges.fetch_all
    made = []

    class Apart(judges._Apart):
        def __init__(self, order, ends):
            super().__init__(order, ends)
            made.append(self)

    def poison(task, folder, **options):
        for number, one in enumerate(fetch(task, folder, **options)):
            if number == 2:
                os.kill(next(iter(made[0]._pool._processes)), signal.SIGKILL)
            yield one

    monkeypatch.setattr(judges, "fetch_all", poison)
    monkeypatch.setattr(judges, "_Apart", Apart)
    part = json.loads(judge({"task": 0})["part"])
    assert (part["rows"], part["failed"], part["labels"]["none"]) == (4, 1, 1)
    after = verdicts(store)
    assert after[2]["error"]["code"] == "source.failed"
    assert "the process that judged it was ended" in after[2]["error"]["message"]
    for row in (*before, *after):
        del row["elapsed_s"]
    assert [after[n] for n in (0, 1, 3)] == [before[n] for n in (0, 1, 3)]
    assert store.names("begun") == []


def test_a_file_that_ends_its_judge_is_a_row_after_two_further_tries(store, monkeypatch):
    """Where memory runs out, Ray's monitor may end the judge and not the process of the file."""
    order = TaskOrder.of(store.name, SPEC)
    alone = judges._Ends.begin

    def ended(ends, number):
        if (tried := alone(ends, number)) and number == 2:
            raise KeyboardInterrupt  # the judge is no more
        return tried

    monkeypatch.setattr(judges._Ends, "begin", ended)
    store.write("begun/000000000", b"")
    judge = TaskJudge(order)
    for _ in range(judges.MOST_ENDS):
        with pytest.raises(KeyboardInterrupt):
            judge({"task": 0})
        assert store.names("parts") == []
    part = json.loads(judge({"task": 0})["part"])
    assert (part["rows"], part["failed"]) == (4, 1)
    assert [row["error"] and row["error"]["code"] for row in verdicts(store)] == [
        None, None, "source.failed", None,
    ]  # fmt: skip
    assert store.names("begun") == []


def test_a_task_whose_part_stands_is_not_judged_again(store, monkeypatch):
    """An engine repeats a block of tasks where its machine is lost, and some of them are done."""
    order = TaskOrder.of(store.name, SPEC)
    first = TaskJudge(order)({"task": 0})
    fetched = []
    fetch = judges.fetch_all

    def counted(task, folder, **options):
        fetched.append(len(task))
        return fetch(task, folder, **options)

    monkeypatch.setattr(judges, "fetch_all", counted)
    assert TaskJudge(order)({"task": 0}) == first
    assert (fetched, store.names("begun")) == ([], [])
    part = judges.Part(0, "another", rows=4)
    judges.write_part(store, part, [])
    assert TaskJudge(order)({"task": 0})["part"] != json.dumps(part.to_dict())
    assert fetched == [4]
    assert len(verdicts(store)) == 4


def test_a_plan_that_is_gone_is_a_fault_and_no_part(store, tmp_path):
    (tmp_path / "job/plan/000000.parquet").unlink()
    answer = TaskJudge(TaskOrder.of(store.name, SPEC))({"task": 0})
    assert "000000.parquet" in answer["fault"]
    assert (answer["part"], answer["refusal"]) == ("", "")
    assert store.names("parts") == []


def test_the_digest_is_of_bytes_options_and_version(tmp_path, monkeypatch):
    from mesoscope.models.file import find_model

    same = tmp_path / "other.onnx"
    same.write_bytes(find_model("meso4").read_bytes())
    digest = spec_digest(SPEC)
    assert spec_digest(DetectorSpec(same, faces="whole", jobs=3, batch_size=8)) == digest
    assert spec_digest(DetectorSpec("mesoscope", faces="whole")) != digest
    assert spec_digest(DetectorSpec("meso4", faces="whole", threshold=0.5)) != digest
    monkeypatch.setattr(judges, "__version__", "0.0.1")
    assert spec_digest(SPEC) != digest
    with pytest.raises(OptionError, match="by name or file"):
        spec_digest(DetectorSpec(object()))


def test_tasks_are_read_as_they_were_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("mesoscope.distributed.tasks.PIECE", 2)
    odd = tmp_path / os.fsdecode(b"not-utf8-\xff.jpg")
    odd.touch()
    for n in range(9):
        (tmp_path / f"{n}.jpg").touch()
    (tmp_path / "zz.jpg").symlink_to("nowhere")
    store = open_store(str(tmp_path / "job"))
    listed = list(list_sources([str(tmp_path)], ListedCounts(), leave_out=store.name))
    assert write_tasks(store, listed, 2) == (6, 11)
    assert len(store.names("plan")) == 3
    assert [one for task in range(6) for one in read_task(store, task)] == listed
    assert listed[9].name == str(odd)
    assert listed[-1].unreadable().error.code == "source.missing"
