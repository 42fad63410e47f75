"""A PostgreSQL server for tests, from the programs that are installed."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import uuid
from pathlib import Path

import pytest

from mesoscope.errors import OutputError
from mesoscope.scan.ledger import Ledger
from mesoscope.scan.tables import open_engine


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def postgresql_program(name):
    """Path of a program of the server: Debian keeps them out of PATH, in a folder a version."""
    newest_last = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(newest_last[-1]) if newest_last else None)


def made_database(tmp_path_factory):
    """A PostgreSQL database in a temporary folder: its server's program, the folder, how to run."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: the extra postgres")
    initdb, postgres = postgresql_program("initdb"), postgresql_program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("PostgreSQL's initdb and postgres are not installed: no server to test with")
    folder = tmp_path_factory.mktemp("postgres")
    user = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            shutil.chown(folder, "postgres")
        except LookupError:
            pytest.skip("tests run as root and there is no user postgres to run a server as")
        # Under pytest-xdist a worker's folder lies one deeper: its user must reach all of them.
        of_pytest = tmp_path_factory.getbasetemp().parents
        for above in (folder.parent, *(p for p in of_pytest if p.name.startswith("pytest-"))):
            above.chmod(0o755)
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **user}
    made = subprocess.run(
        [initdb, "-D", folder / "data", "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=False, **quiet,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"initdb cannot make a database here: {made.stderr.decode()[-200:]}")
    return postgres, folder, quiet


def new_database(server):
    """The URL of a database that no test has used: one that is run again gets another."""
    name = f"job_{uuid.uuid4().hex}"
    engine = open_engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return f"{server.rpartition('/')[0]}/{name}"


@contextlib.contextmanager
def running_server(tmp_path_factory):
    """The URL of a new server's database, on loopback."""
    postgres, folder, quiet = made_database(tmp_path_factory)
    for _ in range(5):  # another program may take the port before the server does
        port = free_port()
        options = ("-h", "127.0.0.1", "-p", str(port), "-k", "", "-F")
        running = subprocess.Popen(
            [postgres, "-D", folder / "data", *options], **{**quiet, "stderr": subprocess.DEVNULL}
        )
        url = f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
        if has_begun(url, running):
            break
    else:
        pytest.fail("no server began to answer, at five ports")
    try:
        yield url
    finally:
        running.terminate()
        running.wait(60)


def has_begun(url, running):
    """Wait until the server answers; ``False`` where it ends or stays silent for a minute."""
    with contextlib.closing(Ledger(open_engine(url))) as asked:
        for _ in range(600):
            if running.poll() is not None:
                return False
            try:
                asked.now()
            except OutputError:
                threading.Event().wait(0.1)
            else:
                return True
    running.terminate()
    running.wait(60)
    return False
