"""A service on a socket, within this process."""

import contextlib
import io
import json
import threading
import time
import zipfile
from dataclasses import replace

import cv2
import pytest

WHY = "the service's packages are not installed: the extra serve"


@pytest.fixture
def jpeg(make_face):
    """``jpeg(seed)`` → the bytes of a drawn face."""

    def make(seed=1, size_px=64, suffix=".jpg"):
        pixels = make_face(seed, size_px)
        return bytes(cv2.imencode(suffix, pixels[:, :, ::-1])[1].data)

    return make


@pytest.fixture
def make_zip():
    """``make_zip({name: bytes})`` → the bytes of an archive."""

    def make(files, how=zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", how) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return file.getvalue()

    return make


class Running:
    """What a test asks of a running service."""

    def __init__(self, service, url, http, log):
        self.service = service
        self.url = url
        self.http = http
        self.log = log

    def check(self, data, **query):
        return self.http.post("/v1/check", content=data, params=query)

    def job(self, data, **query):
        answer = self.http.post("/v1/jobs", content=data, params=query)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def ended(self, job_id):
        """The job, once it has ended."""
        for _ in range(1200):
            job = self.http.get(f"/v1/jobs/{job_id}").json()
            if job["state"] not in ("queued", "running"):
                return job
            time.sleep(0.05)
        pytest.fail(f"the job did not end: {job}")

    @staticmethod
    def wait_for(condition):
        """Wait until a condition holds; a busy machine takes its time."""
        end = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < end, "waited for two minutes"
            time.sleep(0.02)

    def held_back(self, seconds=0.0):
        """Hold the batcher back until the event is set; each batch then takes so long.

        The event's ``entered`` is set once a batch has begun.
        """
        go_on, work = threading.Event(), self.service.batcher._work
        go_on.entered = threading.Event()

        def slow(items):
            go_on.entered.set()
            go_on.wait(60)
            time.sleep(seconds)
            return work(items)

        self.service.batcher._work = slow
        return go_on

    def lines(self):
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@pytest.fixture
def run(tmp_path):
    """``run(limits={…}, **settings)`` → a running service; it judges pictures as whole faces."""
    pytest.importorskip("fastapi", reason=WHY)
    pytest.importorskip("uvicorn", reason=WHY)
    httpx = pytest.importorskip("httpx", reason="httpx is not installed: the extra client")
    from mesoscope.server.middleware import Log
    from mesoscope.server.running import address_of, prepare
    from mesoscope.server.service import Service
    from mesoscope.server.settings import Limits, ServiceSettings
    from mesoscope.types import DetectOptions

    with contextlib.ExitStack() as stack:

        @contextlib.contextmanager
        def running(limits=None, key=None, **values):
            values = {
                "data": tmp_path / "data", "port": 0,
                "options": DetectOptions(faces="whole", jobs=2), **values,
            }  # fmt: skip
            settings = replace(ServiceSettings(**values), limits=Limits(**(limits or {})))
            log = io.StringIO()
            service = Service(settings, Log(log, names=settings.log_names))
            server, listening = prepare(service)
            thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
            thread.start()
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            assert server.started, log.getvalue()
            url = address_of(listening)
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            try:
                with httpx.Client(base_url=url, headers=headers, timeout=60) as http:
                    yield Running(service, url, http, log)
            finally:
                server.should_exit = True
                thread.join(60)
                listening.close()

        def make(limits=None, key=None, **values):
            return stack.enter_context(running(limits, key, **values))

        make.briefly = running
        yield make
