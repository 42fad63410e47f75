"""What the service asks of its database, in SQLite and in PostgreSQL alike."""

import contextlib
import threading
import time
from dataclasses import replace

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from mesoscope.server.job_store import JobStore
from mesoscope.server.keys import KeyRing, add_key, list_keys, revoke_key
from mesoscope.server.problems import Problem
from mesoscope.server.store import DatabaseUnreachable, Filters, Recorder, ResultRow, Store
from mesoscope.server.tables import metadata

ROW = ResultRow(
    id="r0", key=None, name="ünïcode \u2603 'q' %_.jpg", kind="image", label="real", p_fake=0.5,
    model="m@1", sha256="0" * 64, place="here", verdict='{"error":null}', provenance=None,
    created=1000.0, failed=False,
)  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'service.sqlite'}"
    else:
        url = request.getfixturevalue("server")
    with contextlib.closing(Store(url)) as made:
        yield made
        with made.engine.begin() as connection:
            metadata.drop_all(connection)


def rows(store, **values):
    return [row.id for row in store.page(None, Filters(**values), before=None, limit=100)]


def test_results_are_found_again(store):
    store.record([ROW, replace(ROW, id="r1", label=None, key="k", created=2000.0)])
    assert rows(store) == ["r0"]
    assert [r.id for r in store.page("k", Filters(), before=None, limit=9)] == ["r1"]
    assert rows(store, name="'q' %_") == ["r0"]
    assert rows(store, name="%%") == []
    assert rows(store, label="real", kind="image", since=1000.0, until=1000.1) == ["r0"]
    assert rows(store, label="none") == []
    row = store.result("r0", None)
    assert (row.name, row.says, row.p_fake) == (ROW.name, None, 0.5)
    assert store.result("r0", "k") is None
    assert store.result("r1", None) is None


def test_a_later_word_replaces_an_earlier_one(store):
    store.record([ROW])
    store.add_feedback("r0", "real", "")
    store.add_feedback("r0", "forged", "look at the ear")
    assert [(r.says, r.note) for r in store.with_feedback(None)] == [("forged", "look at the ear")]
    assert rows(store, says="forged") == ["r0"]
    assert store.forget("r0", "k") is None
    assert store.forget("r0", None) == ("here", None)
    assert store.with_feedback(None) == []


def test_a_job_counts_each_file_once(store):
    jobs = JobStore(store, "here")
    jobs.add("j", None, "a.zip")
    jobs.begin("j", 3)
    first = replace(ROW, job="j", seq=0, label="fake")
    store.record([first, replace(first, id="x")])  # the same file, judged again after a kill
    store.record([replace(first, id="y"), replace(first, id="r1", seq=1, label=None, failed=True)])
    job = jobs.get("j", None)
    assert (job.done, job.failed, job.fake, job.total) == (2, 1, 1, 3)
    assert store.judged("j") == {0, 1}
    assert [r.seq for r in store.job_results("j", after=0, limit=9)] == [1]
    assert jobs.finish("j", "done")
    assert not jobs.finish("j", "cancelled")
    assert jobs.get("j", None).state == "done"


def test_jobs_are_taken_once_and_put_back(store):
    jobs, elsewhere = JobStore(store, "here"), JobStore(store, "there")
    for number, key in enumerate(["a", "a", "b"]):
        jobs.add(f"j{number}", key, "x")
    assert elsewhere.claim_next() is None
    assert [jobs.claim_next().id for _ in range(3)] == ["j0", "j2", "j1"]  # callers take turns
    assert jobs.claim_next() is None
    jobs.finish("j2", "cancelled")
    jobs.requeue_all()
    assert jobs.open_ids() == {"j0", "j1"}
    assert jobs.claim_next().id == "j0"
    assert jobs.count_open("a") == 2
    assert [j.id for j in jobs.page("a", before=None, limit=9)] == ["j1", "j0"]


def test_tries_count_what_brought_no_result(store):
    jobs = JobStore(store, "here")
    jobs.add("j", None, "x")
    tries = []
    for _ in range(3):
        tries.append(jobs.claim_next().tries)
        jobs.requeue_all()  # as after a kill
    assert tries == [0, 1, 2]
    jobs.claim_next()
    jobs.requeue("j")  # as on a stop
    assert jobs.claim_next().tries == 3
    store.record([replace(ROW, job="j", seq=0)])
    jobs.requeue_all()
    assert jobs.claim_next().tries == 0


def test_threads_take_each_job_once(store):
    jobs = JobStore(store, "here")
    for number in range(12):
        jobs.add(f"j{number}", None, "x")
    taken = []

    def take():
        while len(taken) < 12:  # one that another has just taken may look like none
            row = jobs.claim_next()
            if row is not None:
                taken.append(row.id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"j{n}" for n in range(12))


def test_jobs_of_revoked_keys_do_not_go_on(store):
    key = add_key(store, "desk").split("_")[1]
    jobs = JobStore(store, "here")
    jobs.add("j", key, "x")
    assert jobs.may_continue("j")
    revoke_key(store, key)
    assert not jobs.may_continue("j")
    assert jobs.is_revoked("j")
    assert not jobs.may_continue("nobody")


def test_keys_are_known_by_their_hash(store):
    text = add_key(store, "desk", 60)
    (row,) = list_keys(store)
    assert (row.name, row.rate, row.revoked) == ("desk", 60, None)
    assert text.encode() not in bytes(row.digest)
    ring = KeyRing(store)
    ring.open()
    assert ring.find(f"Bearer {text}").name == "desk"
    with pytest.raises(Problem):
        ring.find(f"Bearer {text}x")
    ring.close()


def test_old_things_go(store):
    day = 86_400.0
    now = time.time()
    aged = [replace(ROW, id=f"d{n}", created=now - n * day, kept=f"d{n}") for n in range(5)]
    store.record(aged)
    store.add_feedback("d4", "real", "")
    files, whole = store.expire(
        "here", kept_before=now - 1.5 * day, before=now - 3.5 * day, jobs_before=now - 3.5 * day
    )
    assert (sorted(files), whole) == (["d2", "d3", "d4"], True)
    assert rows(store) == ["d3", "d2", "d1", "d0"]
    assert store.with_feedback(None) == []


def test_what_is_recorded_is_committed_when_its_future_is_done(store):
    recorder = Recorder(store)
    futures = [recorder.submit(replace(ROW, id=f"r{n}")) for n in range(100)]
    for future in futures:
        future.result(60)
    assert len(rows(store)) == 100
    recorder.close()


def test_one_bad_row_spoils_no_other(store):
    recorder = Recorder(store)
    store.record([ROW])
    futures = [recorder.submit(replace(ROW, id=f"r{n}")) for n in range(3)]
    assert isinstance(futures[0].exception(60), DatabaseUnreachable)
    assert [future.exception(60) for future in futures[1:]] == [None, None]
    recorder.close()
