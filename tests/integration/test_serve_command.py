"""The service as a process: started, called, stopped, killed, started again."""

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile

import cv2
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed: the extra client")


@pytest.fixture
def mesoscope(tmp_path):
    """``mesoscope(*words)`` → the finished process."""

    def run(*words, **environment):
        return subprocess.run(
            [sys.executable, "-m", "mesoscope", *map(str, words)], capture_output=True, text=True,
            timeout=240, cwd=tmp_path, env={**os.environ, **environment},
        )  # fmt: skip

    return run


@pytest.fixture
def serve(tmp_path):
    """``serve(*words)`` → a running process with its URL; killed at the end."""
    started = []

    def start(*words):
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mesoscope", "serve", "--port", "0", "--faces", "whole",
                "--data", str(tmp_path / "service"), *map(str, words),
            ],
            stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        )  # fmt: skip
        started.append(process)
        greeting = process.stderr.readline()
        while "mesoscope at" not in greeting and greeting:
            greeting = process.stderr.readline()
        found = re.search(r"http://\S+:\d+", greeting)
        assert found, process.stderr.read()
        process.url, process.greeting = found[0], greeting
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def archive(make_face):
    """``archive(count)`` → a ZIP of so many drawn faces."""

    def make(count):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as packed:
            for number in range(count):
                encoded = cv2.imencode(".jpg", make_face(number % 50, 256)[:, :, ::-1])[1]
                packed.writestr(f"{number:04}.jpg", bytes(encoded.data))
        return file.getvalue()

    return make


def ask(url, path, **query):
    """Ask until there is an answer: a service that has just begun may not listen yet."""
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(url + path, params=query, timeout=30)
        time.sleep(0.05)
    pytest.fail(f"{url} does not answer")


def ended(url, job_id):
    for _ in range(2400):
        job = ask(url, f"/v1/jobs/{job_id}").json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    pytest.fail(f"the job did not end: {job}")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_an_accepted_job_outlives_its_process(serve, archive, how):
    first = serve()
    ask(first.url, "/healthz")
    count = 600
    answer = httpx.post(f"{first.url}/v1/jobs?name=a.zip", content=archive(count), timeout=60)
    assert answer.status_code == 202
    waiting = httpx.post(f"{first.url}/v1/jobs?name=b.zip", content=archive(3), timeout=60)
    job_id = answer.json()["id"]
    while not ask(first.url, f"/v1/jobs/{job_id}").json()["done"]:
        time.sleep(0.01)
    first.send_signal(how)
    first.communicate(timeout=120)
    assert first.returncode == (-9 if how == signal.SIGKILL else 0)
    second = serve()
    job = ended(second.url, job_id)
    assert (job["state"], job["total"], job["done"], job["failed"]) == ("done", count, count, 0)
    assert ended(second.url, waiting.json()["id"])["done"] == 3
    seqs, after = [], -1
    while after is not None:
        page = ask(second.url, f"/v1/jobs/{job_id}/results", after=after, limit=200).json()
        seqs += [result["seq"] for result in page["results"]]
        after = page["next"]
    assert seqs == list(range(count))


def test_a_request_in_progress_is_answered_before_the_end(serve, make_face):
    process = serve()
    ask(process.url, "/healthz")
    data = bytes(cv2.imencode(".jpg", make_face(1))[1].data)

    def slowly():
        yield data[:100]
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        yield data[100:]

    answer = httpx.post(f"{process.url}/v1/check", content=slowly(), timeout=60)
    assert answer.status_code == 200
    process.communicate(timeout=120)
    assert process.returncode == 0


def test_who_listens_to_a_job_does_not_hold_up_the_end(serve, archive):
    process = serve()
    ask(process.url, "/healthz")
    answer = httpx.post(f"{process.url}/v1/jobs?name=a.zip", content=archive(800), timeout=60)
    path = f"{process.url}/v1/jobs/{answer.json()['id']}/events"
    with httpx.stream("GET", path, timeout=60) as events:
        lines = events.iter_lines()
        assert next(lines) == "event: progress"
        process.terminate()
        assert not [line for line in lines if line == "event: end"]
    process.communicate(timeout=30)  # and not after the minute that requests have
    assert process.returncode == 0


def test_uploads_of_a_killed_process_go(serve, tmp_path):
    process = serve()
    ask(process.url, "/healthz")

    def endless():
        yield b"\xff\xd8\xff" + b"\0" * (3 << 20)
        process.kill()
        yield b"x"

    with contextlib.suppress(httpx.TransportError):
        httpx.post(f"{process.url}/v1/check", content=endless(), timeout=30)
    process.communicate(timeout=60)
    serve()
    assert list((tmp_path / "service/spool").iterdir()) == []


def test_every_line_of_the_log_is_json(serve, make_face):
    process = serve()
    host, port = process.url.removeprefix("http://").split(":")
    ask(process.url, "/healthz")
    for garbage in (
        b"\x16\x03\x01 hello",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0" * 100,
        b"\xff\xfe\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(garbage)
            with contextlib.suppress(OSError):
                while connection.recv(1000):
                    pass
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert httpx.get(process.url + "/v1/model", headers=upgrade).status_code == 200
    process.terminate()
    _, said = process.communicate(timeout=60)
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert "Invalid HTTP request received." in events
    assert events[-1] == "stopped"


def test_only_one_process_has_a_folder(serve, mesoscope, tmp_path):
    serve()
    done = mesoscope("serve", "--port", "0", "--data", tmp_path / "service")
    assert done.returncode == 2
    assert "another service uses this folder" in done.stderr


def test_the_folder_is_private(serve, tmp_path):
    serve()
    assert (tmp_path / "service").stat().st_mode & 0o077 == 0
    assert (tmp_path / "service/service.sqlite").stat().st_mode & 0o077 == 0


def test_keys_are_made_listed_and_revoked(serve, mesoscope, tmp_path, make_face):
    data = ("--data", tmp_path / "service")
    made = mesoscope("keys", "add", "news desk", "--rate", "600", *data)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    process = serve("--keys")
    assert "callers need a key" in process.greeting
    assert ask(process.url, "/v1/model").status_code == 401
    picture = tmp_path / "face.jpg"
    cv2.imwrite(str(picture), make_face(1))
    words = ("check", "--server", process.url, picture, tmp_path / "none.jpg")
    done = mesoscope(*words, MESOSCOPE_KEY=key)
    assert done.returncode == 1
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["source"] == str(picture)
    assert first["p_fake"] is not None
    assert second["error"]["code"] == "source.missing"
    (tmp_path / "key").write_text(key + "\n")
    done = mesoscope(*words[:-1], "--key-file", tmp_path / "key", "--table")
    assert done.returncode == 0, done.stderr
    assert "face.jpg" in done.stdout
    listed = mesoscope("keys", "list", *data).stdout
    assert "news desk" in listed
    assert "600/min" in listed
    assert key not in listed
    assert mesoscope("keys", "revoke", key.split("_")[1], *data).returncode == 0
    assert "revoked" in mesoscope("keys", "list", *data).stdout
    again = mesoscope("keys", "revoke", key.split("_")[1], *data)
    assert again.returncode == 2
    assert "no key of that id is in force" in again.stderr
    time.sleep(2.5)
    done = mesoscope(*words[:-1], MESOSCOPE_KEY=key)
    assert done.returncode == 1
    assert "the service refuses" in done.stderr


def test_other_addresses_need_keys_unless_told_in_so_many_words(serve):
    asking = serve("--host", "0.0.0.0")
    assert "callers need a key" in asking.greeting
    port = asking.url.rpartition(":")[2]
    assert ask(f"http://127.0.0.1:{port}", "/v1/model").status_code == 401
    asking.terminate()
    asking.communicate(timeout=60)
    open_to_all = serve("--host", "0.0.0.0", "--anyone-may-call")
    port = open_to_all.url.rpartition(":")[2]
    assert ask(f"http://127.0.0.1:{port}", "/v1/model").status_code == 200


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--keys", "--anyone-may-call"), 2, "exclude each other"),
        (("--model", "none"), 3, "none"),
        (("--ledger", "mysql://x/y"), 2, "SQLite or PostgreSQL"),
        (("--keep", "40"), 2, "verdict: --keep is 40 and --keep-results 30: raise --keep-results"),
        (("--allow-origin", "news.example"), 2, "not an origin"),
        (("--host", "203.0.113.1", "--anyone-may-call"), 2, "cannot be listened on"),
        (("--sign", "missing.pem"), 2, "missing.pem"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(mesoscope, tmp_path, words, code, says):
    done = mesoscope("serve", "--port", "0", "--data", tmp_path / "d", *words)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_check_without_a_service(mesoscope, tmp_path):
    done = mesoscope("check", "x.jpg")
    assert done.returncode == 2
    assert "--server" in done.stderr
    (tmp_path / "x.jpg").write_bytes(b"x")
    done = mesoscope("check", "--server", "nowhere", "x.jpg")
    assert done.returncode == 1
    assert "begin it with http://" in done.stderr


def test_without_the_extra_the_line_that_installs_it_is_told(tmp_path):
    code = (
        "import sys; sys.modules['fastapi'] = None; sys.modules['httpx'] = None\n"
        "from mesoscope.cli.main import main; main(sys.argv[1:])"
    )
    for words, extra in ((["serve", "--port", "0"], "serve"), (["check", "--server", "http://x", "y"], "client")):  # fmt: skip  # noqa: E501
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60,
            cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 3
        assert f"pip install 'mesoscope[{extra}]'" in done.stderr
