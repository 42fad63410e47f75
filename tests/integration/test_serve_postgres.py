"""The service on a real PostgreSQL, which goes away and comes back."""

import importlib
import io
import subprocess
import time
import zipfile
from pathlib import Path

import cv2
import pytest

import postgresql_server

pytest.importorskip("fastapi", reason="the extra serve is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed: the extra client")

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(Path(__file__).parents[1] / "unit")
    run = importlib.import_module("server_running").run


class Database:
    """A PostgreSQL of these tests' own that can be stopped and begun again."""

    def __init__(self, program, folder, quiet):
        self.program, self.folder, self.quiet = program, folder, quiet
        self.port = postgresql_server.free_port()
        self.url = f"postgresql+psycopg://tester@127.0.0.1:{self.port}/postgres"
        self.process = None

    def begin(self):
        words = ["-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-F"]
        self.process = subprocess.Popen(
            [self.program, "-D", self.folder / "data", *words],
            **{**self.quiet, "stderr": subprocess.DEVNULL},
        )
        assert postgresql_server.has_begun(self.url, self.process)

    def stop(self):
        self.process.send_signal(2)  # fast: connections are cut
        self.process.wait(60)


@pytest.fixture
def database(tmp_path_factory):
    running = Database(*postgresql_server.made_database(tmp_path_factory))
    running.begin()
    yield running
    if running.process.poll() is None:
        running.stop()


def test_a_database_goes_away_and_comes_back(run, database, make_face):
    service = run(ledger=database.url)
    picture = bytes(cv2.imencode(".jpg", make_face(1)[:, :, ::-1])[1].data)
    file = io.BytesIO()
    count = 200
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.jpg", picture)
    assert service.check(picture).status_code == 200
    job_id = service.job(file.getvalue(), name="a.zip")
    database.stop()
    answer = service.check(picture)
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger.unreachable")
    assert "tester" not in answer.text
    assert service.http.get("/readyz").status_code == 503
    assert service.http.get("/healthz").status_code == 200
    answer = service.http.post("/v1/jobs", content=file.getvalue())
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger.unreachable")
    database.begin()
    for _ in range(200):
        if service.http.get("/readyz").status_code == 200:
            break
        time.sleep(0.05)
    assert service.check(picture).status_code == 200
    job = service.ended(job_id)
    assert (job["state"], job["total"], job["done"]) == ("done", count, count)
    results = service.http.get(f"/v1/jobs/{job_id}/results?limit=200").json()["results"]
    assert [result["seq"] for result in results] == list(range(count))
