"""Scans that survive: jobs killed, interrupted, resumed, shared, on full disks."""

import contextlib
import csv
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

PROGRAM = [sys.executable, "-m", "mesoscope"]
WHOLE = ("--faces", "whole", "--no-guard")


def run(*arguments, **options):
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=280, **options
    )


def start(*arguments, **options):
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Where the tests run in the background, Ctrl-C is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options,
    )  # fmt: skip


def query(job, sql):
    """Rows of a job's ledger, read beside whoever writes it; none where there is no table yet."""
    if not (job / "ledger.sqlite").exists():
        return []
    with contextlib.closing(sqlite3.connect(job / "ledger.sqlite", timeout=30)) as ledger:
        try:
            return ledger.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []


def judged(job):
    found = query(job, "select count(*) from mesoscope_files where state in ('done', 'failed')")
    return found[0][0] if found else 0


def wait_for(condition, *, process=None, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def answers(job):
    """Path → label, score, error of every file in a job."""
    out = job.parent / f"{job.name}.jsonl"
    assert run("export", job, "-o", out).returncode == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len({row["source"] for row in rows}) == len(rows)
    return {row["source"]: (row["label"], row["p_fake"], row["error"]) for row in rows}


@pytest.fixture
def faces(tmp_path, make_face):
    """``faces(n)`` → a folder with so many small pictures, every tenth of them broken."""

    def make(count, name="archive"):
        root = tmp_path / name
        for n in range(count):
            folder = root / f"{n % 7}"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{n:04d}.jpg"
            Image.fromarray(make_face(n, 48)).save(path, quality=90)
            if n % 10 == 0:
                data = path.read_bytes()
                path.write_bytes(data[: 3 + n % len(data) // 2])
        return root

    return make


@pytest.fixture
def job(tmp_path):
    return tmp_path / "job"


def test_an_archive_killed_twice_ends_as_one_scanned_in_one_go(faces, tmp_path, job):
    archive = faces(1000)
    unbroken = tmp_path / "unbroken"
    assert run("scan", archive, "--out", f"{unbroken}/", *WHOLE).returncode == 1

    command = ["scan", archive, "--out", f"{job}/", *WHOLE]
    for share in (250, 600):
        process = start(*command)
        wait_for(lambda share=share: judged(job) >= share, process=process)
        process.kill()
        process.communicate()
        assert judged(job) < 1000
        command = [*command, "--resume"] if "--resume" not in command else command
    before = judged(job)
    done = run(*command)
    assert done.returncode == 1
    now = int(done.stderr.split(" of them now")[0].split()[-1])
    assert now == 1000 - before  # nothing that was written down is scanned again
    assert "1000 files in" in done.stderr
    assert "100 could not be read" in done.stderr

    found = answers(job)
    assert len(found) == 1000
    assert sum(error is not None for *_, error in found.values()) == 100
    assert found == answers(unbroken)
    assert list((job / "workers").iterdir()) == []


def test_ctrl_c_ends_with_a_summary_and_the_line_to_resume(faces, job):
    archive = faces(300)
    process = start("scan", archive, "--out", f"{job}/", *WHOLE)
    wait_for(lambda: judged(job) >= 64, process=process)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in stderr
    summary, line = stderr.splitlines()
    assert f"files in {job}: " in summary
    left, line = line.split(" left; resume with: ")
    assert int(left) == 300 - judged(job)
    assert query(job, "select count(*) from mesoscope_files where state = 'claimed'") == [(0,)]
    assert line.startswith(f"mesoscope scan {archive} --out {job}/")
    assert line.endswith(" --resume")
    assert run(*line.split()[1:]).returncode == 1
    assert len(answers(job)) == 300


def test_changed_new_and_removed_files(faces, job, make_face):
    archive = faces(30)
    command = ("scan", archive, "--out", f"{job}/", *WHOLE, "--resume")
    run(*command[:-1])
    before = answers(job)
    changed, removed, new = archive / "1/0001.jpg", archive / "2/0002.jpg", archive / "new.png"
    Image.fromarray(make_face(501, 48)).save(changed)
    removed.unlink()
    Image.fromarray(make_face(502, 48)).save(new)
    os.utime(archive / "3/0003.jpg", ns=(1, 1))  # only its time is new, not its content

    stderr = run(*command).stderr
    assert "3 of them now" in stderr
    assert "1 removed since" in stderr
    after = answers(job)
    assert str(removed) not in after
    assert str(new) in after
    assert after[str(changed)] != before[str(changed)]
    for same in before.keys() - {str(changed), str(removed)}:
        assert after[same] == before[same]
    assert "0 of them now" in run(*command).stderr
    removed.write_bytes(changed.read_bytes())
    run(*command)
    assert answers(job)[str(removed)] == after[str(changed)]


def test_copies_are_scored_once_and_refer_to_the_first(faces, job, tmp_path):
    archive = faces(20)
    for n in range(300):
        shutil.copy(archive / f"{n % 7}" / f"{n % 7:04d}.jpg", archive / f"copy{n:03d}.jpg")
    done = run("scan", archive, "--out", f"{job}/", *WHOLE)
    assert "320 files in" in done.stderr
    assert "300 copies of others" in done.stderr
    run("export", job, "-o", tmp_path / "x.csv")
    with (tmp_path / "x.csv").open() as file:
        rows = {row["source"]: row for row in csv.DictReader(file)}
    for n in range(300):
        copy = rows[str(archive / f"copy{n:03d}.jpg")]
        first = rows[copy["duplicate_of"]]
        assert first["duplicate_of"] == ""
        for column in ("sha256", "label", "p_fake", "error_code"):
            assert copy[column] == first[column]
        if copy["error_message"]:  # 0.jpg is a broken one
            assert copy["error_message"].startswith(copy["source"])


def test_two_scans_of_one_job_share_its_files(faces, job):
    archive = faces(400)
    first = start("scan", archive, "--out", f"{job}/", *WHOLE)
    wait_for(lambda: judged(job) >= 32, process=first)
    second = start("scan", archive, "--out", f"{job}/", *WHOLE, "--resume")
    endings = [process.communicate(timeout=200)[1] for process in (first, second)]
    assert first.returncode == second.returncode == 1, endings
    each = [int(text.split(" of them now")[0].split()[-1]) for text in endings]
    assert sum(each) == 400
    assert len(answers(job)) == 400


def test_another_model_or_other_options_are_refused(faces, job, tmp_path):
    archive = faces(3)
    run("scan", archive, "--out", f"{job}/", *WHOLE)
    again = run("scan", archive, "--out", f"{job}/", *WHOLE)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "go on with --resume" in again.stderr
    for options, says in (
        (("--faces", "whole"), "begun with guard = False, and this scan has True"),
        ((*WHOLE, "--threshold", "0.3"), "begun with threshold = None, and this scan has 0.3"),
        ((*WHOLE, "--model", "meso4"), "begun with the model mesoscope@"),
    ):
        other = run("scan", archive, "--out", f"{job}/", *options, "--resume")
        assert (other.returncode, other.stderr.count("\n")) == (2, 1)
        assert says in other.stderr
        assert "name another folder" in other.stderr
    assert run("scan", archive, "--out", tmp_path / "no", "--resume").returncode == 2
    assert run("scan", archive, "--out", tmp_path / "x.csv", "--resume").returncode == 2
    assert "neither empty nor a job" in run("scan", archive, "--out", archive).stderr
    assert "end a job folder's name" in run("scan", archive, "--out", tmp_path / "j.x").stderr


def test_ledgers_that_cannot_be_used(faces, job, tmp_path):
    archive = faces(3)
    run("scan", archive, "--out", f"{job}/", *WHOLE)
    with contextlib.closing(sqlite3.connect(job / "ledger.sqlite")) as ledger:
        ledger.execute("update mesoscope_job set value = '99' where name = 'version'")
        ledger.commit()
    for command in (
        ("scan", archive, "--out", f"{job}/", *WHOLE, "--resume"),
        ("export", job, "-o", tmp_path / "x.jsonl"),
        ("watch", archive, "--out", f"{job}/", *WHOLE),
    ):
        newer = run(*command)
        assert (newer.returncode, newer.stderr.count("\n")) == (2, 1)
        assert "a ledger of version 99" in newer.stderr
        assert "update mesoscope" in newer.stderr
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/ledger.sqlite").write_text("this is no database at all\n" * 300)
    broken = run("scan", archive, "--out", tmp_path / "broken", *WHOLE, "--resume")
    assert (broken.returncode, broken.stderr.count("\n")) == (2, 1)
    assert "not a ledger, or a damaged one" in broken.stderr
    assert run("export", tmp_path / "none", "-o", tmp_path / "x.csv").returncode == 2
    mysql = run("scan", archive, "--out", tmp_path / "m", "--ledger", "mysql://u@h/d", *WHOLE)
    assert mysql.returncode == 2
    assert "SQLite or PostgreSQL" in mysql.stderr


def test_a_full_disk_loses_nothing(faces, job):
    archive = faces(300)
    limit = 120_000  # bytes a file: as on a full disk, SQLite can write so much and no more

    done = run(
        "scan", archive, "--out", f"{job}/", *WHOLE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"{job}/ledger.sqlite: " in done.stderr
    assert "what was written before is safe" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    before = judged(job)
    assert 0 <= before < 300
    assert query(job, "pragma integrity_check") == [("ok",)]
    resumed = run("scan", archive, "--out", f"{job}/", *WHOLE, "--resume")
    assert f"{300 - before} of them now" in resumed.stderr
    assert len(answers(job)) == 300


def test_a_folder_that_changes_during_the_scan(faces, job, make_face):
    archive = faces(300)
    process = start("scan", archive, "--out", f"{job}/", *WHOLE)
    wait_for(lambda: judged(job) >= 32, process=process)
    gone = sorted(archive.glob("6/*.jpg"))[-10:]
    for path in gone:
        path.unlink()
    Image.fromarray(make_face(900, 48)).save(archive / "5/changed.jpg")
    stderr = process.communicate(timeout=200)[1]
    assert process.returncode == 1, stderr
    assert not set(map(str, gone)) & answers(job).keys()
    run("scan", archive, "--out", f"{job}/", *WHOLE, "--resume")
    assert answers(job).keys() == {str(path) for path in archive.rglob("*.jpg")}


def test_names_links_and_places_that_cannot_be_read(faces, job, tmp_path):
    archive = faces(3)
    raw = os.fsencode(archive) + b"/caf\xe9.jpg"
    shutil.copy(archive / "1/0001.jpg", raw)
    (archive / "link.jpg").symlink_to(archive / "nowhere")
    (archive / "sub").mkdir()
    (archive / "sub/loop").symlink_to(archive)
    command = ("scan", archive, archive / "1", tmp_path / "none", "--out", f"{job}/", *WHOLE)
    done = run(*command)
    assert done.returncode == 1
    assert "7 files in" in done.stderr
    found = answers(job)
    assert os.fsdecode(raw) in found
    errors = {path: error["code"] for path, (*_, error) in found.items() if error}
    assert errors == {
        str(archive / "0/0000.jpg"): "source.unreadable",
        str(archive / "link.jpg"): "source.missing",
        str(archive / "sub/loop"): "source.unreadable",
        str(tmp_path / "none"): "source.missing",
    }
    assert "0 of them now" in run(*command, "--resume").stderr
    for suffix in ("csv", "parquet"):
        run("export", job, "-o", tmp_path / f"x.{suffix}")
    with (tmp_path / "x.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        assert [row["source"] for row in csv.DictReader(file)] == list(found)
    rows = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "x.parquet").to_pylist()
    assert [row["source"].replace("\\udce9", "\udce9") for row in rows] == list(found)
    assert Counter(row["error_code"] for row in rows) == Counter(errors.get(path) for path in found)


def test_a_drive_that_is_away_marks_nothing_as_removed(faces, job):
    archive = faces(10)
    command = ("scan", archive, "--out", f"{job}/", *WHOLE, "--resume")
    run(*command[:-1])
    archive.rename(archive.with_name("away"))
    away = run(*command)
    assert "removed" not in away.stderr
    assert away.returncode == 1
    archive.with_name("away").rename(archive)
    assert run(*command).returncode == 1
    assert len(answers(job)) == 10


def test_watch_scans_what_arrives_once(faces, job, tmp_path, make_face):
    inbox = faces(5, "inbox")
    command = ("watch", inbox, "--out", f"{job}/", *WHOLE, "--settle", 0.3, "--pause", 0.05)
    watch = start(*command)
    wait_for(lambda: judged(job) == 5, process=watch)
    Image.fromarray(make_face(77, 48)).save(tmp_path / "whole.jpg", quality=95)
    data = (tmp_path / "whole.jpg").read_bytes()
    with (inbox / "slow.jpg").open("wb", buffering=0) as file:
        for at in range(0, len(data), 1 + len(data) // 20):  # a second and more
            file.write(data[at : at + 1 + len(data) // 20])
            time.sleep(0.08)
    (inbox / "later.jpg.crdownload").write_bytes(data)
    wait_for(lambda: judged(job) == 6, process=watch)
    watch.send_signal(signal.SIGTERM)
    stdout, stderr = watch.communicate(timeout=60)
    assert watch.returncode == 0, stderr
    rows = [json.loads(line) for line in stdout.splitlines()]
    assert len(rows) == 6  # none twice, and the slow one only when it was whole
    assert rows[-1]["source"] == str(inbox / "slow.jpg")
    assert rows[-1]["error"] is None
    assert "Traceback" not in stderr

    again = start(*command)  # knows what is done, and goes on
    (inbox / "later.jpg.crdownload").rename(inbox / "later.jpg")
    wait_for(lambda: judged(job) == 7, process=again)
    again.send_signal(signal.SIGINT)
    stdout, stderr = again.communicate(timeout=60)
    assert again.returncode == 0, stderr
    assert [Path(json.loads(line)["source"]).name for line in stdout.splitlines()] == ["later.jpg"]


def test_watch_refuses_what_is_no_folder(tmp_path):
    done = run("watch", tmp_path / "none", "--out", tmp_path / "job")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no folder to watch" in done.stderr
