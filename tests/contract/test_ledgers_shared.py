"""What a ledger in PostgreSQL promises to clients on several machines, and to jobs beside it."""

import contextlib
import subprocess
import sys
import threading
from collections import Counter

import pytest
from sqlalchemy import text

from mesoscope.errors import JobError, OutputError
from mesoscope.scan import postgresql
from mesoscope.scan.folder import open_ledger
from mesoscope.scan.ledger import Ledger
from mesoscope.scan.tables import Outcome, open_engine
from mesoscope.scan.workers import LEASE_S, Worker
from postgresql_server import free_port, new_database

NAMES = [b"/a/%d.jpg" % n for n in range(5)]

# A client on another machine: it claims some files, says so, and never ends by itself.
CLIENT = """
import sys, time
from pathlib import Path
from mesoscope.scan.ledger import Ledger
from mesoscope.scan.tables import Outcome, open_engine
from mesoscope.scan.workers import Worker
url, folder, shift_s = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
now = time.time
time.time = lambda: now() + shift_s
ledger = Ledger(open_engine(url))
with Worker(ledger, folder) as worker:
    print(worker.owner, len(ledger.claim(worker.owner, 3)), flush=True)
    time.sleep(300)
"""


def filled(ledger, names=NAMES):
    ledger.plan(new=[(name, 10, 20) for name in names])


def done(claim):
    return Outcome(claim.path, "done", 10, 20, b"s" * 32, "real", 0.25, '{"x":1}')


@pytest.fixture
def database(server):
    """A database that the jobs of one test share."""
    return new_database(server)


@pytest.fixture
def url(database):
    return f"{database}?schema=job"


@pytest.fixture
def ledger(url):
    with contextlib.closing(Ledger(open_engine(url))) as kept:
        assert kept.facts() == {}
        kept.begin({"model": "m@1", "settings": {}})
        yield kept


@contextlib.contextmanager
def client(url, folder, shift_s=0.0):
    """A process that has claimed three files; its name in the ledger, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, url, str(folder), str(shift_s)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        owner, claimed = process.stdout.readline().split()
        assert claimed == "3"
        yield owner, process
    finally:
        process.kill()
        process.communicate()


def age(ledger, owner, seconds):
    """Put a process's last heartbeat back."""
    with ledger._engine.begin() as connection:
        connection.execute(
            text("UPDATE mesoscope_workers SET seen_at = seen_at - :s WHERE owner = :o"),
            {"s": seconds, "o": owner},
        )


@pytest.mark.parametrize("shift_s", [-86_400.0, 86_400.0])
def test_leases_go_by_the_servers_clock(ledger, url, tmp_path, shift_s):
    """A client whose clock is a day off loses no claim, and takes none from others."""
    filled(ledger)
    with client(url, tmp_path / "other", shift_s) as (owner, _), Worker(ledger, tmp_path) as me:
        assert abs(ledger.now() - ledger.seen()[owner]) < LEASE_S
        assert me.reap() == []
        assert len(ledger.claim(me.owner, 99)) == len(NAMES) - 3


def test_a_killed_client_loses_its_claims_when_its_lease_ends(ledger, url, tmp_path):
    filled(ledger)
    with client(url, tmp_path / "other") as (owner, process), Worker(ledger, tmp_path) as me:
        process.kill()
        process.wait()
        assert me.reap() == []  # another machine's: it might only be slow
        assert len(ledger.claim(me.owner, 99)) == len(NAMES) - 3
        age(ledger, owner, LEASE_S)
        assert me.reap() == [owner]
        assert len(ledger.claim(me.owner, 99)) == 3
        assert ledger.counts().states == Counter(claimed=len(NAMES))


def test_a_connection_lost_in_mid_transaction_leaves_all_or_nothing(ledger, url):
    filled(ledger)
    claims = ledger.claim("me", 99)
    outcomes = [done(claim) for claim in claims]
    write = ledger._write

    def lost(connection, kept):
        write(connection, kept)
        with contextlib.closing(Ledger(open_engine(url))) as other:
            pid = connection.connection.driver_connection.info.backend_pid
            with other._engine.begin() as killing:
                killing.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        write(connection, kept)

    ledger._write = lost
    with pytest.raises(OutputError, match="`resume`") as caught:
        ledger.finish("me", outcomes)
    assert "\n" not in str(caught.value)
    assert ledger.counts().states == Counter(claimed=len(NAMES))
    assert list(ledger.results()) == []
    ledger._write = write  # the same process may go on: its claims are still its own
    assert ledger.finish("me", outcomes) == len(NAMES)
    assert len(list(ledger.results())) == len(NAMES)


def test_a_client_that_is_silent_in_mid_transaction_holds_up_nobody_for_long(
    ledger, url, monkeypatch
):
    """As of a machine without power: the server cannot know, and its locks would stay for hours."""
    filled(ledger)
    monkeypatch.setattr(postgresql, "IDLE_S", 1)
    with contextlib.closing(Ledger(open_engine(url))) as silent:
        silent.claim("silent", 3)
        with pytest.raises(OutputError), silent._writes() as connection:  # noqa: PT012
            connection.execute(text("SELECT * FROM mesoscope_files FOR UPDATE"))
            ledger.release("silent")  # waits for the locks until the server ends that transaction
            connection.execute(text("SELECT 1"))
    assert len(ledger.claim("me", 99)) == len(NAMES)


def test_a_slow_client_and_its_heir_never_wait_for_each_other(ledger, url):
    """One is taken for dead while it writes back: both lock the same rows, in one order."""
    names = [b"/%03d" % n for n in range(60)]
    filled(ledger, names)
    failed = []

    def release():
        with contextlib.closing(Ledger(open_engine(url))) as heir:
            try:
                for _ in range(30):
                    heir.release("slow")
            except OutputError as error:
                failed.append(error)

    thread = threading.Thread(target=release)
    thread.start()
    for _ in range(30):
        ledger.heartbeat("slow")
        claims = ledger.claim("slow", 60)
        ledger.finish("slow", [done(claim) for claim in reversed(claims)])
        with ledger._engine.begin() as connection:
            # In the ledger's own order: an UPDATE of all rows locks them as they lie on disk, and
            # the heir may hold a later one while it waits for an earlier one.
            connection.execute(text("SELECT FROM mesoscope_files ORDER BY path FOR UPDATE"))
            connection.execute(text("UPDATE mesoscope_files SET state = 'pending', owner = NULL"))
    thread.join()
    assert failed == []


def test_connections_end_with_the_other_machine(ledger):
    with ledger._engine.connect() as connection:
        shown = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("idle_in_transaction_session_timeout", "tcp_keepalives_idle")
        }
    assert shown == {"idle_in_transaction_session_timeout": "1min", "tcp_keepalives_idle": "30"}


def test_a_server_that_does_not_answer_is_given_up(monkeypatch):
    pytest.importorskip("psycopg", reason="psycopg is not installed: the extra postgres")
    given = {}

    def connect(*_args, **options):
        given.update(options)
        raise ConnectionError

    monkeypatch.setattr("psycopg.connect", connect)
    monkeypatch.setattr("psycopg.Connection.connect", connect)
    url = f"postgresql://me@127.0.0.1:{free_port()}/x?schema=a&connect_timeout=3"
    with pytest.raises(ConnectionError):
        open_engine(url).connect()
    assert given["connect_timeout"] == "3"  # the URL's own
    assert given["tcp_user_timeout"] == 60_000
    assert "schema" not in given


def test_jobs_of_one_database_see_nothing_of_each_other(database, tmp_path):
    plain = Ledger(open_engine(database))  # of a version without schemas: in public
    plain.begin({"model": "old@1", "settings": {}})
    filled(plain, [b"/old"])
    jobs = [Ledger(open_engine(f"{database}?schema=archive_{n}")) for n in range(2)]
    for number, one in enumerate(jobs):
        assert one.facts() == {}
        one.begin({"model": f"m@{number}", "settings": {}})
        filled(one, [b"/%d" % number, b"/same"])
        assert one.name.endswith(f"?schema=archive_{number}")
    for number, one in enumerate(jobs):
        claims = one.claim("me", 9)
        assert [claim.path for claim in claims] == [b"/%d" % number, b"/same"]
        one.finish("me", [done(claim) for claim in claims])
        assert one.facts()["model"] == f"m@{number}"
    assert plain.facts()["model"] == "old@1"
    assert plain.counts().states == Counter(pending=1)
    with jobs[0]._engine.begin() as connection:
        connection.execute(text("DROP SCHEMA archive_0 CASCADE"))
    assert jobs[0].facts() == {}
    with pytest.raises(JobError, match="holds no job"):
        open_ledger(tmp_path, f"{database}?schema=archive_0")
    assert jobs[1].counts().states == Counter(done=2)
    with plain._engine.begin() as connection:  # as the how-to moves an older ledger
        connection.execute(text("CREATE SCHEMA moved"))
        for name in ("job", "files", "verdicts", "workers"):
            connection.execute(text(f"ALTER TABLE mesoscope_{name} SET SCHEMA moved"))
    assert plain.facts() == {}
    jobs.append(Ledger(open_engine(f"{database}?schema=moved")))
    assert [claim.path for claim in jobs[-1].claim("me", 9)] == [b"/old"]
    for one in (plain, *jobs):
        one.close()


def test_many_begin_a_job_at_once_and_one_does(database):
    url = f"{database}?schema=at_once"
    told = []

    def begin():
        with contextlib.closing(Ledger(open_engine(url))) as one:
            try:
                one.begin({"model": "m@1", "settings": {}})
                told.append("begun")
            except JobError as error:
                told.append(str(error))

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count("begun") == 1
    assert sum("another scan has just begun" in said for said in told) == 5


@pytest.mark.parametrize(
    "name", ["Archive", "1st", "pg_x", 'a"b', "a;drop", "a" * 64, "a&schema=b"]
)
def test_a_schema_of_another_name_is_refused(name):
    with pytest.raises(JobError, match="not the name of a job: give up to 63 lower-case"):
        open_engine(f"postgresql://me@host/x?schema={name}")


def test_what_the_server_refuses_is_told_and_is_no_damage(ledger, url):
    """A user without a right, and a server that only reads, as a standby."""
    schema = url.rpartition("=")[2]
    with ledger._engine.begin() as connection:
        connection.execute(text("CREATE ROLE reader LOGIN"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO reader"))
        connection.execute(text("CREATE ROLE standby LOGIN SUPERUSER"))
        connection.execute(text("ALTER ROLE standby SET default_transaction_read_only = on"))
    for user, said in (("reader", "permission denied for table"), ("standby", "read-only")):
        with (
            contextlib.closing(Ledger(open_engine(url.replace("tester@", f"{user}@")))) as other,
            pytest.raises(OutputError, match=f"{said}.*: what was written before is safe"),
        ):
            other.heartbeat(user)
