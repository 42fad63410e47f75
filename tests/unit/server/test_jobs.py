"""Jobs: archives and clips in the background, whatever is in them and whatever happens."""

import contextlib
import io
import json
import stat
import struct
import time
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesoscope.errors import SourceError
from mesoscope.types import Verdict

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from mesoscope.server.archives import members
from mesoscope.server.jobs import POLL_S, Stopped
from mesoscope.server.problems import Problem
from mesoscope.server.settings import Limits
from mesoscope.server.store import DatabaseUnreachable


def folders_of_jobs(service):
    return [folder.name for folder in (service.service.settings.data / "jobs").iterdir()]


def names_and_codes(service, job_id):
    results = service.http.get(f"/v1/jobs/{job_id}/results?limit=200").json()["results"]
    return {r["name"]: (r["verdict"]["error"] or {}).get("code") for r in results}


def test_an_archive_is_judged_as_the_detector_would(run, jpeg, make_zip):
    service = run()
    files = {f"faces/{n}.jpg": jpeg(n) for n in range(12)} | {"notes.txt": b"hello"}
    job_id = service.job(make_zip({**files, "__MACOSX/._0.jpg": b"x", "faces/": b""}), name="s.zip")
    job = service.ended(job_id)
    assert {k: job[k] for k in ("name", "state", "total", "done", "failed", "error")} == {
        "name": "s.zip", "state": "done", "total": 13, "done": 13, "failed": 1, "error": None,
    }  # fmt: skip
    results = service.http.get(f"/v1/jobs/{job_id}/results").json()["results"]
    assert [r["name"] for r in results] == list(files)
    assert [r["seq"] for r in results] == sorted(r["seq"] for r in results)
    for result in results[:-1]:
        verdict = Verdict.from_json(json.dumps(result["verdict"]))
        local = service.service.checker.plain.check(files[result["name"]])
        assert verdict.p_fake == pytest.approx(local.p_fake, abs=1e-6)
    service.wait_for(lambda: not folders_of_jobs(service))


def test_a_clip_is_a_job_of_one_file(run, make_clip, make_face):
    path = make_clip([make_face(n, 128) for n in range(8)])
    service = run()
    job = service.ended(service.job(path.read_bytes(), name="clip.mp4"))
    assert (job["state"], job["total"], job["done"], job["failed"]) == ("done", 1, 1, 0)
    (result,) = service.http.get(f"/v1/jobs/{job['id']}/results").json()["results"]
    assert result["verdict"]["kind"] == "clip"
    assert result["verdict"]["source"] == "clip.mp4"
    assert result["verdict"]["frames_read"] == 8
    assert str(service.service.settings.data) not in json.dumps(result)
    assert result["provenance"]["source"] == "clip.mp4"


def test_clips_within_an_archive(run, make_clip, make_face, make_zip, jpeg):
    path = make_clip([make_face(n, 128) for n in range(4)])
    data = path.read_bytes()
    service = run()
    job_id = service.job(
        make_zip({"a/one.mp4": data, "b.jpg": jpeg(), "broken.mp4": data[: len(data) // 3]})
    )
    assert service.ended(job_id)["state"] == "done"
    codes = names_and_codes(service, job_id)
    assert codes["a/one.mp4"] is codes["b.jpg"] is None
    assert codes["broken.mp4"] == "source.unreadable"
    text = service.http.get(f"/v1/jobs/{job_id}/results").text
    assert str(service.service.settings.data) not in text
    assert "member" not in text


def test_pages_and_events_tell_all(run, jpeg, make_zip):
    service = run()
    job_id = service.job(make_zip({f"{n}.jpg": jpeg(n) for n in range(5)}))
    told = service.http.get(f"/v1/jobs/{job_id}/events").text
    again = service.http.get(f"/v1/jobs/{job_id}/events").text  # two browsers on one job
    for text in (told, again):
        event, *_, data = text.strip().split("\n\n")[-1].splitlines()
        assert event == "event: end"
        assert json.loads(data.removeprefix("data: "))["done"] == 5
    seen, after = [], -1
    while after is not None:
        page = service.http.get(
            f"/v1/jobs/{job_id}/results", params={"after": after, "limit": 2}
        ).json()
        seen += [result["seq"] for result in page["results"]]
        after = page["next"]
    assert seen == [0, 1, 2, 3, 4]
    listed = service.http.get("/v1/jobs").json()["jobs"]
    assert [job["id"] for job in listed] == [job_id]
    history = service.http.get("/v1/results", params={"job": job_id}).json()["results"]
    assert [r["seq"] for r in history] == [4, 3, 2, 1, 0]


def test_a_cancelled_job_stops_and_its_upload_goes(run, jpeg, make_zip):
    service = run()
    go_on = service.held_back(0.05)
    job_id = service.job(make_zip({f"{n}.jpg": jpeg(n) for n in range(200)}))
    service.wait_for(lambda: service.http.get(f"/v1/jobs/{job_id}").json()["state"] == "running")
    answer = service.http.delete(f"/v1/jobs/{job_id}")
    assert answer.json()["state"] == "cancelled"
    assert service.http.delete(f"/v1/jobs/{job_id}").json()["code"] == "job.finished"
    go_on.set()
    service.wait_for(lambda: not folders_of_jobs(service))
    job = service.http.get(f"/v1/jobs/{job_id}").json()
    assert job["state"] == "cancelled"
    assert job["done"] < 200


def test_the_upload_of_a_job_cancelled_before_it_began_goes_at_once(
    run, jpeg, make_zip, monkeypatch
):
    service = run()
    monkeypatch.setattr(service.service.job_store, "claim_next", lambda: None)
    time.sleep(POLL_S)  # runners in the real method have left it
    job_id = service.job(make_zip({"a.jpg": jpeg()}))
    assert folders_of_jobs(service) == [job_id]
    assert service.http.delete(f"/v1/jobs/{job_id}").json()["state"] == "cancelled"
    assert not folders_of_jobs(service)


def test_an_upload_that_could_not_be_removed_goes_with_the_next_sweep(
    run, jpeg, make_zip, monkeypatch
):
    service = run()

    def away():
        raise DatabaseUnreachable("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(service.service.job_store, "open_ids", away)
        job_id = service.job(make_zip({"a.jpg": jpeg()}))
        assert service.ended(job_id)["state"] == "done"
        assert folders_of_jobs(service) == [job_id]
    service.wait_for(lambda: not service.service.jobs._in_use)
    service.service.sweep()
    assert not folders_of_jobs(service)


def test_a_stopped_job_is_requeued_once_the_database_is_back(run, jpeg, make_zip, monkeypatch):
    service = run()
    jobs, store = service.service.jobs, service.service.job_store
    requeue, calls = store.requeue, []

    def away(job_id):
        calls.append(job_id)
        if len(calls) == 1:
            raise DatabaseUnreachable("the database does not answer")
        requeue(job_id)

    def stop(_job):
        monkeypatch.undo()
        monkeypatch.setattr(store, "requeue", away)
        raise Stopped

    monkeypatch.setattr(jobs, "_do", stop)
    monkeypatch.setattr("mesoscope.server.jobs.RETRY_S", 0.05)
    job_id = service.job(make_zip({"a.jpg": jpeg()}))
    assert service.ended(job_id)["state"] == "done"
    assert calls == [job_id, job_id]


def test_checks_go_before_jobs(run, jpeg, make_zip):
    service = run()
    go_on = service.held_back(0.02)
    job_id = service.job(make_zip({f"{n}.jpg": jpeg(n) for n in range(100)}))
    go_on.set()
    assert service.check(jpeg()).status_code == 200
    assert service.http.get(f"/v1/jobs/{job_id}").json()["state"] in ("queued", "running")
    assert service.ended(job_id)["done"] == 100


def link(name, target):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry, target


def test_hostile_archives_reach_no_file(run, jpeg, make_zip, tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("../../up.jpg", "/etc/abs.jpg", "C:\\win.jpg", "a/../../b.jpg", "..\\w.jpg"):
            archive.writestr(name, jpeg())
        archive.writestr(*link("link.jpg", "/etc/passwd"))
        archive.writestr("inner.zip", make_zip({"a.jpg": jpeg()}))
        archive.writestr("<script>alert(1)</script>.jpg", jpeg())
        archive.writestr("'; DROP TABLE x; --.jpg", jpeg())
        archive.writestr("picture.svg", "<svg onload='alert(1)'/>")
    before = {p for p in tmp_path.rglob("*") if "data" not in p.parts}
    service = run()
    job_id = service.job(file.getvalue(), name="../../../x.zip")
    assert service.ended(job_id)["state"] == "done"
    codes = names_and_codes(service, job_id)
    assert not any(name.startswith(("/", "..")) or "/../" in name for name in codes)
    assert codes["link.jpg"] == codes["inner.zip"] == "source.unsupported"
    assert codes["picture.svg"] == "source.unsupported"
    assert codes["up.jpg"] is codes["etc/abs.jpg"] is codes["C:/win.jpg"] is None
    assert {p for p in tmp_path.rglob("*") if "data" not in p.parts} == before
    assert "root:" not in service.http.get(f"/v1/jobs/{job_id}/results").text


def test_a_bomb_is_refused_by_what_it_says_and_by_what_it_does(run, make_zip, jpeg):
    limits = {"picture_bytes": 1 << 20, "unpacked_bytes": 8 << 20}
    service = run(limits=limits)
    zeros = b"\0" * (4 << 20)
    answer = service.http.post("/v1/jobs", content=make_zip({f"{n}.jpg": zeros for n in range(4)}))
    assert (answer.status_code, answer.json()["code"]) == (413, "archive.invalid")
    job_id = service.job(make_zip({"one.jpg": jpeg() + zeros, "two.jpg": jpeg()}))
    assert service.ended(job_id)["state"] == "done"
    assert names_and_codes(service, job_id) == {"one.jpg": "source.too_large", "two.jpg": None}
    # One that lies: its directory says ten bytes, and four mebibytes come out.
    data = bytearray(make_zip({"liar.jpg": b"\xff\xd8\xff" + zeros}))
    at = data.rfind(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    job_id = service.job(bytes(data))
    assert service.ended(job_id)["state"] == "done"
    assert set(names_and_codes(service, job_id).values()) == {"source.unreadable"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"PK\3\4" + b"\0" * 100,
        lambda data: b"PK\5\6" + b"\0" * 18,
        lambda data: data[:-22] + data[-22:].replace(b"PK\5\6", b"PK\5\7"),
    ],
)
def test_damaged_archives_are_refused(run, jpeg, make_zip, spoil):
    service = run()
    answer = service.http.post("/v1/jobs", content=spoil(make_zip({"a.jpg": jpeg()})))
    assert (answer.status_code, answer.json()["code"]) == (422, "archive.invalid")
    service.wait_for(lambda: not folders_of_jobs(service))
    assert not list(service.service.spool.folder.iterdir())


def test_damaged_and_encrypted_members_end_nothing(run, jpeg, make_zip):
    data = bytearray(make_zip({"bad.jpg": jpeg(1), "good.jpg": jpeg(2), "locked.jpg": jpeg(3)}))
    data[60:80] = b"\xa5" * 20
    at = data.rfind(b"PK\1\2")
    data[at + 8] |= 1
    service = run()
    job_id = service.job(bytes(data))
    assert service.ended(job_id)["state"] == "done"
    assert names_and_codes(service, job_id) == {
        "bad.jpg": "source.unreadable", "good.jpg": None, "locked.jpg": "source.unsupported",
    }  # fmt: skip


def test_a_directory_of_gigabytes_is_never_read(run, make_zip, jpeg):
    """Its size is told in the last record, and nothing else of it needs to be there."""
    data = bytearray(make_zip({"a.jpg": jpeg()}))
    at = data.rfind(b"PK\5\6")
    entries = b"PK\1\2" + b"\0" * 42
    directory = entries * (9 * (1 << 20) // len(entries))
    data[at + 12 : at + 20] = struct.pack("<II", len(directory), 0)
    service = run()
    answer = service.http.post("/v1/jobs", content=b"PK\3\4" + directory + bytes(data[at:]))
    assert (answer.status_code, answer.json()["code"]) == (422, "archive.invalid")


def test_an_entry_without_a_name_is_a_file_like_others(run, make_zip, jpeg):
    """Its name's two bytes become an extra field, in both of its headers."""
    data = bytearray(make_zip({"xx": jpeg(), "y.jpg": jpeg()}))
    nameless = struct.pack("<HH", 0, 2)
    data[26:30] = nameless
    at = data.find(b"PK\1\2")
    data[at + 28 : at + 32] = nameless
    service = run()
    job_id = service.job(bytes(data))
    assert service.ended(job_id)["state"] == "done"
    assert list(names_and_codes(service, job_id)) == ["upload", "y.jpg"]


@settings(max_examples=80)
@given(st.data())
def test_damaged_archives_raise_problems_and_nothing_else(tmp_path_factory, data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", data.draw(st.sampled_from([0, 8]))) as archive:
        for name in ("a.jpg", "b/c.png", "x.mp4"):
            archive.writestr(name, b"\xff\xd8\xff" + bytes(range(200)))
    damaged = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("zip") / "damaged.zip"
    path.write_bytes(damaged)
    # Anything but a problem of the whole, or a source error of one file, ends this test.
    with contextlib.suppress(Problem), members(path, Limits()) as found:
        for member in found:
            with contextlib.suppress(SourceError):
                assert len(member.source()) <= Limits().picture_bytes


def test_an_archive_of_too_many_files_is_refused(run, make_zip):
    service = run(limits={"files": 10})
    answer = service.http.post("/v1/jobs", content=make_zip({f"{n}": b"x" for n in range(11)}))
    assert (answer.status_code, answer.json()["code"]) == (413, "archive.invalid")


@pytest.mark.parametrize("data", [b"hello", b"<html>", b"%PDF-1.7", b"GIF89", b"Rar!\x1a\7\0"])
def test_what_is_neither_clip_nor_archive_is_refused(run, data):
    answer = run().http.post("/v1/jobs", content=data)
    assert (answer.status_code, answer.json()["code"]) == (415, "source.unreadable")


def test_a_picture_may_be_a_job_too(run, jpeg):
    service = run()
    job = service.ended(service.job(jpeg(), name="a.jpg"))
    assert (job["state"], job["done"], job["failed"]) == ("done", 1, 0)


def test_too_many_open_jobs_are_told_to_wait(run, jpeg, make_zip):
    service = run(limits={"open_jobs": 1})
    go_on = service.held_back()
    job_id = service.job(make_zip({"a.jpg": jpeg()}))
    answer = service.http.post("/v1/jobs", content=make_zip({"a.jpg": jpeg()}))
    assert (answer.status_code, answer.json()["code"]) == (429, "queue.full")
    go_on.set()
    assert service.ended(job_id)["state"] == "done"
    service.job(make_zip({"a.jpg": jpeg()}))


def test_a_stopped_service_goes_on_where_it_was(run, jpeg, make_zip):
    files = {f"{n}.jpg": jpeg(n) for n in range(40)}
    with run.briefly() as service:
        go_on = service.held_back(0.05)
        job_id = service.job(make_zip(files))
        go_on.set()
        while not service.http.get(f"/v1/jobs/{job_id}").json()["done"]:
            time.sleep(0.01)
    service = run()
    job = service.ended(job_id)
    assert (job["state"], job["total"], job["done"]) == ("done", 40, 40)
    assert list(names_and_codes(service, job_id)) == list(files)


def test_a_file_that_fails_in_an_unforeseen_way_ends_nothing(run, jpeg, make_zip, monkeypatch):
    from mesoscope.server import checking

    bad = jpeg(2)
    read = checking.read_provenance

    def broken(source):
        if source == bad:
            raise ZeroDivisionError("oh")
        return read(source)

    monkeypatch.setattr(checking, "read_provenance", broken)
    service = run()
    job_id = service.job(make_zip({"1.jpg": jpeg(1), "2.jpg": bad, "3.jpg": jpeg(3)}))
    job = service.ended(job_id)
    assert (job["state"], job["done"], job["failed"]) == ("done", 3, 1)
    assert names_and_codes(service, job_id)["2.jpg"] == "source.unreadable"
    files = [("f", ("a.jpg", jpeg(1))), ("f", ("b.jpg", bad))]
    answer = service.http.post("/v1/check?provenance=true", files=files)
    assert [r["verdict"]["error"] is None for r in answer.json()["results"]] == [True, False]
    failed = next(line for line in service.lines() if line["event"] == "a file failed")
    assert "ZeroDivisionError" in failed["trace"]


def test_a_job_that_ends_the_process_each_time_is_left(run, jpeg, make_zip):
    """As if it had been killed five times in the middle of the job, before any result."""
    from sqlalchemy import update

    from mesoscope.server.tables import jobs

    with run.briefly() as service:
        service.held_back()
        service.service.jobs._stopping.set()  # nobody works on it
        job_id = service.job(make_zip({"a.jpg": jpeg()}))
        time.sleep(0.2)
        with service.service.store.write_transaction() as connection:
            connection.execute(update(jobs).values(state="running", tries=5))
    job = run().ended(job_id)
    assert (job["state"], job["error"]["code"]) == ("failed", "service.failed")


def test_a_key_revoked_during_a_job_ends_it(run, jpeg, make_zip, tmp_path):
    from mesoscope.server.keys import add_key, revoke_key

    service = run(keys=True)
    key = add_key(service.service.store, "desk")
    time.sleep(2.2)  # until the service has seen it
    service.http.headers["Authorization"] = f"Bearer {key}"
    go_on = service.held_back(0.1)
    job_id = service.job(make_zip({f"{n}.jpg": jpeg(n) for n in range(300)}))
    revoke_key(service.service.store, key.split("_")[1])
    go_on.set()
    store, owner = service.service.job_store, key.split("_")[1]
    service.wait_for(lambda: store.get(job_id, owner).state == "cancelled")
    row = store.get(job_id, owner)
    assert (row.state, row.error_code) == ("cancelled", "key.invalid")
    assert row.done < 300


def test_a_database_that_goes_away_and_comes_back(run, jpeg, make_zip):
    """Tables are renamed away and back: to the service that is a database that fails."""
    from sqlalchemy import text

    service = run()
    go_on = service.held_back(0.02)
    files = {f"{n}.jpg": jpeg(n) for n in range(60)}
    job_id = service.job(make_zip(files))
    go_on.set()
    away = "ALTER TABLE {} RENAME TO {}"
    table = "mesoscope_service_results"
    with service.service.store.engine.begin() as connection:
        connection.execute(text(away.format(table, "gone")))
    answer = service.check(jpeg())
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger.unreachable")
    assert answer.headers["retry-after"]
    assert "gone" not in answer.text
    time.sleep(1)
    with service.service.store.engine.begin() as connection:
        connection.execute(text(away.format("gone", table)))
    assert service.check(jpeg()).status_code == 200
    job = service.ended(job_id)
    assert (job["state"], job["done"]) == ("done", 60)
    assert len(names_and_codes(service, job_id)) == 60
