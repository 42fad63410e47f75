"""What every ledger promises, in SQLite and in PostgreSQL alike."""

import contextlib
import subprocess
import sys
import threading
from collections import Counter

import pytest
from PIL import Image
from sqlalchemy import event

from mesoscope.errors import JobError, OutputError
from mesoscope.scan import tables
from mesoscope.scan.ledger import Ledger
from mesoscope.scan.tables import Outcome, open_engine
from postgresql_server import free_port, new_database

NAMES = [b"/a/caf\xe9.jpg", b"/a/b/x.png", b"/a/b.png", b"/a/\xf0\x9f\x98\x80.png", b"/a/z'%_.png"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A database of its own for each test."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    server = request.getfixturevalue("server")
    return new_database(server)


@pytest.fixture
def ledger(url):
    kept = Ledger(open_engine(url))
    assert kept.facts() == {}
    kept.begin({"model": "m@1", "settings": {"faces": "whole"}})
    yield kept
    kept.close()


def filled(ledger, names=NAMES):
    ledger.plan(new=[(name, 10, 20) for name in names])
    return ledger


def done(claim, **more):
    values = {"size_bytes": 10, "mtime_ns": 20, "sha256": b"s" * 32, "label": "real"} | more
    return Outcome(claim.path, "done", p_fake=0.25, verdict='{"x":1}', **values)


def test_the_job_is_begun_once(ledger, url):
    assert ledger.facts()["model"] == "m@1"
    assert ledger.facts()["version"] == tables.VERSION
    with (
        contextlib.closing(Ledger(open_engine(url))) as other,
        pytest.raises(JobError, match="another scan has just begun"),
    ):
        other.begin({"model": "other"})
    assert ledger.facts()["model"] == "m@1"


def test_rows_come_in_the_order_of_their_bytes_page_by_page(ledger, monkeypatch):
    monkeypatch.setattr("mesoscope.scan.ledger_reader.PAGE", 2)
    filled(ledger)
    rows = list(ledger.rows(b"/a/", b"/a0"))
    assert [row.path for row in rows] == sorted(NAMES)
    assert {tuple(row[1:4]) for row in rows} == {(10, 20, "pending")}
    assert not any(row.opened for row in rows)
    assert [row.path for row in ledger.rows(b"/a/b/", b"/a/b0")] == [b"/a/b/x.png"]


def test_claims_are_taken_once_and_finished_by_their_owner_alone(ledger):
    filled(ledger)
    mine, theirs = ledger.claim("me", 2), ledger.claim("other", 99)
    assert [c.path for c in mine + theirs] == sorted(NAMES)
    assert ledger.claim("me", 1) == []
    assert ledger.finish("me", [done(claim) for claim in mine + theirs]) == 2
    assert ledger.finish("me", [done(mine[0], label="fake")]) == 0  # finished before
    assert ledger.open_count() == 3
    ledger.release("other")
    assert {c.path for c in ledger.claim("me", 99)} == {c.path for c in theirs}
    counts = ledger.counts()
    assert counts.states == Counter(done=2, claimed=3)
    assert counts.labels == Counter(real=2)
    assert counts.left == 3


def test_results_come_back_whole_and_without_removed_files(ledger, monkeypatch):
    monkeypatch.setattr("mesoscope.scan.ledger_reader.RESULTS_PAGE", 2)
    filled(ledger)
    claims = ledger.claim("me", 99)
    outcomes = [done(claim, label=None) for claim in claims[:3]]
    outcomes.append(done(claims[3], duplicate_of=claims[0].path))
    outcomes.append(Outcome(claims[4].path, "removed"))
    ledger.finish("me", outcomes)
    ledger.plan(removed=[claims[1].path])
    results = list(ledger.results())
    assert [r.path for r in results] == [claims[0].path, claims[2].path, claims[3].path]
    assert results[0] == (claims[0].path, 10, 20, b"s" * 32, None, '{"x":1}')
    assert results[2].duplicate_of == claims[0].path
    counts = ledger.counts()
    assert (counts.duplicates, counts.labels) == (1, Counter(none=2, real=1))
    assert counts.states["removed"] == 2


def test_a_page_of_results_begins_behind_the_last_one_in_both_tables(ledger):
    """PostgreSQL would else merge the verdicts of all rows before it for each page."""
    filled(ledger)
    ledger.finish("me", [done(claim) for claim in ledger.claim("me", 9)])
    asked = []
    event.listen(ledger._engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert len(list(ledger.results())) == len(NAMES)
    pages = [statement for statement in asked if statement.startswith("SELECT")]
    assert pages
    for statement in pages:
        for table in ("mesoscope_files", "mesoscope_verdicts"):
            assert f"{table}.path > " in statement


def test_a_known_content_names_its_first_path(ledger):
    filled(ledger)
    first, second, *others = ledger.claim("me", 99)
    ledger.finish("me", [done(second, duplicate_of=first.path), done(first)])
    known = ledger.known([b"s" * 32, b"t" * 32])
    assert known == {b"s" * 32: (first.path, '{"x":1}')}
    ledger.plan(removed=[first.path])
    assert ledger.known([b"s" * 32])[b"s" * 32].path == first.path
    assert len(others) == 3


def test_a_plan_leaves_what_others_are_at(ledger):
    filled(ledger)
    (claimed,) = ledger.claim("me", 1)
    rows = {row.path: row for row in ledger.rows(b"", b"\xff")}
    ledger.plan(removed=[claimed.path], changed=[rows[claimed.path]])
    assert ledger.counts().states == Counter(claimed=1, pending=4)
    stale = rows[claimed.path]._replace(state="done")
    ledger.finish("me", [done(claimed, mtime_ns=21)])
    ledger.plan(changed=[stale])  # scanned since the plan has read it
    assert ledger.counts().states["done"] == 1
    ledger.plan(changed=[stale._replace(mtime_ns=21)])
    assert ledger.claim("me", 1) == [(claimed.path, b"s" * 32)]
    ledger.plan(removed=[NAMES[1]])
    ledger.plan(new=[(NAMES[1], 1, 1), (b"/new", 1, 1)])
    assert ledger.open_count() == 6


def test_places_that_cannot_be_read_have_rows(ledger):
    place = Outcome(b"/a/loop/", "failed", verdict='{"error":1}')
    ledger.fail([place])
    ledger.fail([place._replace(verdict='{"error":2}')])
    assert [(r.path, r.verdict) for r in ledger.results()] == [(b"/a/loop/", '{"error":2}')]
    assert ledger.counts().failed == 1


def test_processes_are_heard_of_and_forgotten(ledger):
    ledger.heartbeat("a")
    ledger.heartbeat("b")
    ledger.heartbeat("a")
    assert ledger.seen().keys() == {"a", "b"}
    assert all(abs(ledger.now() - at) < 60 for at in ledger.seen().values())
    ledger.release("a")
    assert ledger.seen().keys() == {"b"}


def test_many_claim_at_once_and_none_gets_what_another_has(ledger, url):
    names = [b"/%04d" % n for n in range(400)]
    filled(ledger, names)
    taken = []

    def take(owner):
        with contextlib.closing(Ledger(open_engine(url))) as mine:
            while claims := mine.claim(owner, 7):
                taken.extend(claim.path for claim in claims)
                assert mine.finish(owner, [done(claim) for claim in claims]) == len(claims)

    threads = [threading.Thread(target=take, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == names
    assert ledger.counts().states == Counter(done=400)


def test_a_database_that_is_away_is_one_clear_line(tmp_path):
    with pytest.raises(OutputError, match=r"none/x\.sqlite: unable to open"):
        Ledger(open_engine(f"sqlite:///{tmp_path}/none/x.sqlite")).facts()
    pytest.importorskip("psycopg", reason="psycopg is not installed: the extra postgres")
    away = Ledger(open_engine(f"postgresql://me:secret@127.0.0.1:{free_port()}/x"))
    with pytest.raises(OutputError, match="`resume`") as caught:
        away.facts()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_claims_of_an_owner_in_no_table_are_seen_and_freed(ledger):
    filled(ledger)
    ledger.claim("me", 2)
    with ledger._engine.begin() as connection:
        connection.execute(tables.files.update().values(state="claimed", owner="ghost"))
        nobody = tables.files.c.path == NAMES[0]
        connection.execute(tables.files.update().where(nobody).values(owner=None))
    seen = ledger.seen()
    assert (seen["ghost"], seen[""]) == (0.0, 0.0)
    assert ledger.claim("me", 9) == []
    for owner in ("ghost", ""):
        ledger.release(owner)
    assert len(ledger.claim("me", 9)) == len(NAMES)


def test_one_that_lost_its_lease_neither_claims_on_nor_writes(ledger):
    filled(ledger)
    ledger.heartbeat("me")
    mine = ledger.claim("me", 2)
    ledger.release("me")  # by another, who took it for dead
    assert ledger.claim("me", 2) == []
    theirs = ledger.claim("other", 2)
    assert [c.path for c in theirs] == [c.path for c in mine]
    assert ledger.finish("me", [done(claim, label="fake") for claim in mine]) == 0
    assert ledger.finish("other", [done(claim) for claim in theirs]) == 2
    ledger.heartbeat("me")  # is there again
    assert len(ledger.claim("me", 9)) == len(NAMES) - 2


def test_a_job_with_its_ledger_on_a_server(server, tmp_path, make_face):
    """By the command line: two job folders, as of two machines, share one database."""
    for n in range(12):
        (tmp_path / "faces").mkdir(exist_ok=True)
        Image.fromarray(make_face(n, 48)).save(tmp_path / f"faces/{n:02d}.jpg")
    url = new_database(server).replace("tester@", "tester:secret@") + "?schema=whole_job"

    def run(*arguments, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "mesoscope", *map(str, arguments)],
            capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "secret" not in done.stderr
        return done.stderr

    scan = ("scan", tmp_path / "faces", "--faces", "whole", "--out")
    assert "12 of them now" in run(*scan, tmp_path / "one", "--ledger", url)
    assert not (tmp_path / "one/ledger.sqlite").exists()
    kept = (tmp_path / "one/ledger.url").read_text()
    assert kept.strip() == url.replace("secret", "***")
    assert "0 of them now" in run(*scan, tmp_path / "two", "--ledger", url, "--resume")
    Image.fromarray(make_face(99, 48)).save(tmp_path / "faces/new.png")
    # The folder may be somebody else's, so what it names is not connected to by itself.
    export = ("export", tmp_path / "one", "-o", tmp_path / "x.csv")
    for asked in ((*scan, tmp_path / "two", "--resume"), export):
        refused = run(*asked, code=2)
        assert "tester:***@" in refused
        assert "--ledger" in refused
    assert "1 of them now" in run(*scan, tmp_path / "two", "--resume", "--ledger", url)
    run(*export, "--ledger", url)
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 14
