"""Ledgers that were damaged, or that somebody else made: one clear line, or handled."""

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import Scores
from mesoscope.errors import JobError, MesoscopeError, OutputError
from mesoscope.scan import tables
from mesoscope.scan.folder import begin_or_resume, open_ledger
from mesoscope.scan.job import Job
from mesoscope.scan.plan import without_nested
from mesoscope.scan.sinks import export
from mesoscope.scan.workers import Worker
from mesoscope.types import ModelCard, Thresholds


class Scorer:
    card = ModelCard("plain", "none", thresholds=Thresholds(0.3, 0.7))
    model_id = "plain@00000000"

    def score(self, crops, *, heat=False):
        p = crops.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) / 255
        return Scores(p, p, None)


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    for n in range(12):
        Image.fromarray(np.full((48, 48, 3), 20 * n, np.uint8)).save(folder / f"{n:02d}.png")
    return folder


@pytest.fixture
def detector():
    return Detector(Scorer(), faces="whole", jobs=1)


def scan(detector, archive, folder, resume=None, on_verdict=None):
    with contextlib.closing(begin_or_resume(folder, detector, resume=resume)) as kept:
        with Worker(kept, folder) as worker:
            job = Job(detector, kept, worker, folder, on_verdict=on_verdict)
            job.plan(without_nested([str(archive)]))
            job.run()
        return kept.counts()


@pytest.fixture
def job(archive, detector, tmp_path):
    folder = tmp_path / "job"
    scan(detector, archive, folder)
    return folder


def alter(job, *statements):
    with contextlib.closing(sqlite3.connect(job / "ledger.sqlite")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def written(job, suffix=".csv"):
    with contextlib.closing(open_ledger(job)) as kept:
        return export(kept, job.parent / f"out{suffix}")


@pytest.mark.parametrize("owner", ["'ghost'", "NULL", "'../../elsewhere'", "'a/b'", "x'00ff'"])
def test_claims_of_nobody_are_taken_back_and_finished(job, archive, detector, owner):
    outside = job.parent / "elsewhere.lock"
    outside.write_text("not ours to unlink")
    alter(job, f"update mesoscope_files set state='claimed', owner={owner}")
    counts = scan(detector, archive, job, resume=True)
    assert counts.states == {"done": 12}
    assert outside.exists()


@pytest.mark.parametrize(
    "change",
    [
        "update mesoscope_files set state='banana'",
        "update mesoscope_files set state=''",
        "update mesoscope_files set size_bytes=-1, mtime_ns=-9223372036854775808",
        "update mesoscope_files set label=x'00', p_fake='text'",
        "update mesoscope_verdicts set verdict='{'",
        "update mesoscope_verdicts set verdict='[]'",
        "update mesoscope_verdicts set verdict='{\"source\":1}'",
        "update mesoscope_verdicts set verdict=x'ff00'",
        "update mesoscope_verdicts set verdict=cast(x'ff' as text)",
        "update mesoscope_files set sha256='text'",
        "update mesoscope_files set size_bytes='many'",
        "update mesoscope_files set duplicate_of=7",
        "insert into mesoscope_workers values ('x', 'never')",
        "insert into mesoscope_workers values (cast(x'ff' as text), 1.0)",
        "update mesoscope_files set owner=cast(x'ff' as text), state='claimed'",
        "insert into mesoscope_files values ('t', 0, 0, 'done', null, null, null, null, null)",
        "insert into mesoscope_files values (x'2f', 0, 0, 'pending', null, null, null, null, null)",
        "delete from mesoscope_verdicts",
        "delete from mesoscope_job where name='version'",
        "update mesoscope_job set value='\"x\"' where name='version'",
        "update mesoscope_job set value='99' where name='version'",
        "update mesoscope_job set value='-1' where name='version'",
        "update mesoscope_job set value='{'",
        "update mesoscope_job set value='7' where name='settings'",
        "drop table mesoscope_files",
        "drop table mesoscope_verdicts",
        "drop table mesoscope_workers",
        "drop table mesoscope_job",
        "alter table mesoscope_files drop column duplicate_of",
        "alter table mesoscope_files rename column state to other",
    ],
)
def test_odd_values_are_handled_or_told_in_a_line(job, archive, detector, change):
    with contextlib.suppress(sqlite3.Error):
        alter(job, "drop index mesoscope_files_pending", "drop index mesoscope_files_claimed")
    alter(job, change)
    messages = []
    for suffix in (".csv", ".jsonl", ".parquet"):
        try:
            written(job, suffix)
        except MesoscopeError as error:
            messages.append(str(error))
    try:
        scan(detector, archive, job, resume=True)
    except MesoscopeError as error:
        messages.append(str(error))
    assert all("\n" not in line and str(job.parent) in line for line in messages)


def test_unknown_states_are_scanned_again_and_a_damaged_verdict_names_its_file(
    job, archive, detector
):
    alter(job, "update mesoscope_files set state='banana'")
    assert scan(detector, archive, job, resume=True).states == {"done": 12}
    alter(job, "update mesoscope_verdicts set verdict='{' where cast(path as text) like '%/03.png'")
    with pytest.raises(JobError, match=r"03\.png: its verdict .* touch"):
        written(job)
    os.utime(archive / "03.png")
    scan(detector, archive, job, resume=True)
    assert written(job) == 12


@pytest.mark.parametrize("kind", ["empty", "text", "short", "folder", "picture"])
def test_what_is_no_ledger(job, archive, detector, kind):
    ledger = job / "ledger.sqlite"
    content = ledger.read_bytes()
    ledger.unlink()
    if kind == "folder":
        ledger.mkdir()
    else:
        picture = (archive / "00.png").read_bytes()
        made = {"empty": b"", "text": b"no database\n" * 900, "short": content[:5000]}
        ledger.write_bytes(made.get(kind, picture))
    with pytest.raises(MesoscopeError) as caught:
        written(job)
    assert "\n" not in str(caught.value)
    if kind != "empty":  # which is what a scan leaves that was killed at once
        with pytest.raises(MesoscopeError):
            scan(detector, archive, job, resume=True)


def test_flipped_bytes_end_in_a_line_or_do_no_harm(job, archive, detector, tmp_path, monkeypatch):
    """Hundreds of them; nothing but a MesoscopeError, and nothing waits for ever."""
    monkeypatch.setattr("mesoscope.scan.job.WAIT_S", 0.0)
    monkeypatch.setattr(tables, "BUSY_S", 0.1)
    content = (job / "ledger.sqlite").read_bytes()
    used = [n for n in range(len(content)) if content[n]]
    draw = random.Random(11)
    ended, messages = 0, []
    for n in range(300):
        broken = bytearray(content)
        for at in draw.choices(used, k=draw.choice((1, 3, 30))):
            broken[at] ^= 1 << draw.randrange(8)
        other = tmp_path / f"broken{n}"
        other.mkdir()
        (other / "ledger.sqlite").write_bytes(broken)
        for run in (lambda o=other: written(o, draw.choice((".csv", ".jsonl"))),
                    lambda o=other: scan(detector, archive, o, resume=True)):  # fmt: skip
            try:
                run()
            except MesoscopeError as error:
                ended += 1
                messages.append(str(error))
        shutil.rmtree(other)
    assert not any("\n" in line for line in messages)
    assert 0 < ended < 600


def test_a_ledger_that_another_program_holds(job, monkeypatch, archive, detector):
    monkeypatch.setattr(tables, "BUSY_S", 0.1)
    with contextlib.closing(sqlite3.connect(job / "ledger.sqlite")) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match="locked by another program"):
            scan(detector, archive, job, resume=True)


def test_urls_and_links_in_a_foreign_folder_are_not_followed(job, archive, detector, tmp_path):
    elsewhere = tmp_path / "elsewhere.sqlite"
    for url, shown in (
        (f"sqlite:///{elsewhere}", str(elsewhere)),
        ("postgresql://me:secret@10.0.0.1/x", "me:***@10.0.0.1/x"),
        ("no url \x1b[31m", "what is no URL"),
    ):
        (job / "ledger.url").write_text(url)
        for run in (lambda: written(job), lambda: scan(detector, archive, job, resume=True)):
            with pytest.raises(JobError, match="`ledger`") as caught:
                run()
            assert shown in str(caught.value)
            assert "secret" not in str(caught.value)
    (job / "ledger.url").unlink()
    (job / "ledger.sqlite").rename(elsewhere)
    (job / "ledger.sqlite").symlink_to(elsewhere)
    with pytest.raises(JobError, match=r"elsewhere\.sqlite.*`ledger`"):
        written(job)
    with contextlib.closing(open_ledger(job, f"sqlite:///{elsewhere}")) as kept:
        assert kept.counts().states == {"done": 12}


WITHOUT_RIGHTS = """
import contextlib, os, sys
from pathlib import Path
from mesoscope.errors import MesoscopeError
from mesoscope.scan.sinks import export
from mesoscope.scan.folder import open_ledger
with contextlib.closing(open_ledger(Path(sys.argv[3]))) as kept:
    export(kept, Path(sys.argv[2]))  # loads all that it needs: Python may be root's alone
os.unlink(sys.argv[2])
os.setuid(65534)
try:
    with contextlib.closing(open_ledger(Path(sys.argv[1]))) as kept:
        print(export(kept, Path(sys.argv[2])))
except MesoscopeError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can drop its rights")
@pytest.mark.parametrize("log", [False, True])
def test_a_folder_that_cannot_be_written_is_exported(job, tmp_path, log):
    for above in (tmp_path, *list(tmp_path.parents)[:-2]):
        above.chmod(0o755)
    out = tmp_path / "open"
    out.mkdir()
    out.chmod(0o777)
    shutil.copytree(job, tmp_path / "copy")
    if log:  # of a scan that was killed
        (job / "ledger.sqlite-wal").write_bytes(b"x" * 100)
    for path in (job, *job.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    command = [
        sys.executable,
        "-c",
        WITHOUT_RIGHTS,
        str(job),
        str(out / "x.csv"),
        str(tmp_path / "copy"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr
    said = "copy the job folder" if log else "12\n"
    assert said in done.stdout


def test_a_file_that_changes_while_it_is_judged_says_so_and_is_taken_again(
    archive, detector, tmp_path
):
    odd = archive / "05.png"

    class Grows(Scorer):
        def score(self, crops, *, heat=False):
            if crops[0, 0, 0, 0] == 100 and odd.stat().st_size < 1000:
                with odd.open("ab") as file:
                    file.write(bytes(1000))
            return super().score(crops, heat=heat)

    scan(Detector(Grows(), faces="whole", jobs=1), archive, tmp_path / "job")
    written(tmp_path / "job", ".jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [n for n, row in enumerate(rows) if "while it was read" in str(row["notes"])] == [5]
    again = []
    scan(detector, archive, tmp_path / "job", resume=True, on_verdict=again.append)
    assert [v.source for v in again] == [str(odd)]
    assert not again[0].notes


def test_what_ran_short_of_memory_is_tried_again_at_the_next_resume(archive, detector, tmp_path):
    class Short(Scorer):
        def score(self, crops, *, heat=False):
            if crops[0, 0, 0, 0] == 100:
                raise MemoryError
            return super().score(crops, heat=heat)

    short = Detector(Short(), faces="whole", jobs=2)
    assert scan(short, archive, tmp_path / "job").states == {"done": 11, "failed": 1}
    assert scan(detector, archive, tmp_path / "job", resume=True).states == {"done": 12}
