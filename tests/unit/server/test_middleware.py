"""Who may call, from where, how often; what every answer carries; what the log says."""

import contextlib
import io
import socket
import threading
import time

import pytest

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


@pytest.fixture
def add_key(tmp_path):
    """``add_key(name, rate)`` → a key of the service that ``run`` will start."""
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    from mesoscope.server.keys import add_key, revoke_key
    from mesoscope.server.service import LEDGER, ledger_url
    from mesoscope.server.store import Store

    (tmp_path / "data").mkdir(exist_ok=True)
    with contextlib.closing(Store(ledger_url(tmp_path / "data", None))) as store:

        def add(name="desk", rate=None):
            return add_key(store, name, rate)

        add.revoke = lambda key: revoke_key(store, key.split("_")[1])
        add.file = tmp_path / "data" / LEDGER
        yield add


def test_every_answer_is_strict(run, jpeg):
    service = run()
    for answer in (
        service.check(jpeg()), service.check(b"x"), service.http.get("/nope"),
        service.http.get("/healthz"), service.http.get("/v1/results"),
    ):  # fmt: skip
        assert HEADERS.items() <= dict(answer.headers).items()
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["x-request-id"]
    assert service.http.get("/v1/results").headers["cache-control"] == "no-store"


def test_keys_are_asked_for_and_hashed(run, jpeg, add_key):
    key = add_key()
    service = run(keys=True)
    answer = service.check(jpeg())
    assert (answer.status_code, answer.json()["code"]) == (401, "key.missing")
    assert answer.headers["www-authenticate"] == "Bearer"
    for wrong in (
        "Bearer x", f"Bearer {key[:-1]}", f"Basic {key}", "Bearer", "Bearer " + "_" * 50, "",
        f"Bearer {key.rpartition('_')[0]}_{'A' * 43}", "Bearer \xff\xfe",
    ):  # fmt: skip
        headers = {"Authorization": wrong.encode("latin-1")}
        answer = service.http.post("/v1/check", content=jpeg(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "key.invalid")
    right = {"Authorization": f"Bearer {key}"}
    assert service.http.post("/v1/check", content=jpeg(), headers=right).status_code == 200
    assert key.rpartition("_")[2].encode() not in add_key.file.read_bytes()
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert service.http.get(path).status_code == 200
    for path in ("/metrics", "/v1/model", "/v1/results", "/v1/jobs"):
        assert service.http.get(path).status_code == 401
        assert service.http.get(path, headers=right).status_code == 200


def test_a_key_sees_nothing_of_another(run, jpeg, add_key, make_zip):
    mine, theirs = ({"Authorization": f"Bearer {add_key(name)}"} for name in ("a", "b"))
    http = run(keys=True).http
    answer = http.post("/v1/check", content=jpeg(), headers=mine)
    result = answer.json()["results"][0]["id"]
    answer = http.post("/v1/jobs", content=make_zip({"a.jpg": jpeg()}), headers=mine)
    job = answer.json()["id"]
    for path in (
        f"/v1/results/{result}", f"/v1/results/{result}/report", f"/v1/jobs/{job}",
        f"/v1/jobs/{job}/results", f"/v1/jobs/{job}/events", f"/v1/results/{result}/picture",
        f"/v1/results/{result}/evidence",
    ):  # fmt: skip
        assert http.get(path, headers=theirs).status_code == 404
    for path in (f"/v1/results/{result}", f"/v1/jobs/{job}"):
        assert http.delete(path, headers=theirs).status_code == 404
    report = http.post(f"/v1/results/{result}/report", content=jpeg(), headers=theirs)
    assert report.status_code == 404
    said = {"result": result, "says": "real"}
    assert http.post("/v1/feedback", json=said, headers=theirs).status_code == 404
    assert http.get("/v1/results", headers=theirs).json()["results"] == []
    assert http.get("/v1/jobs", headers=theirs).json()["jobs"] == []
    assert http.get(f"/v1/results/{result}", headers=mine).status_code == 200


def test_a_revoked_key_is_out_of_force_soon(run, add_key):
    key = add_key()
    service = run(keys=True, key=key)
    http = service.http
    assert http.get("/v1/model").status_code == 200
    add_key.revoke(key)
    service.wait_for(lambda: http.get("/v1/model").status_code == 401)
    assert http.get("/v1/model").json()["code"] == "key.invalid"


def test_each_key_has_its_rate(run, jpeg, add_key):
    slow = {"Authorization": f"Bearer {add_key('slow', 6)}"}
    quick = {"Authorization": f"Bearer {add_key('quick', 0)}"}
    http = run(keys=True, rate=6).http
    assert http.get("/v1/model", headers=slow).status_code == 200
    answer = http.get("/v1/model", headers=slow)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate.limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert {http.get("/v1/model", headers=quick).status_code for _ in range(20)} == {200}


def test_files_of_one_request_count_each(run, jpeg, add_key):
    service = run(keys=True, key=add_key(rate=60))
    files = [("f", (f"{n}.jpg", jpeg(n))) for n in range(9)]
    assert service.http.post("/v1/check", files=files).status_code == 200
    answer = service.http.post("/v1/check", files=files)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate.limited")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::2]:80"])
def test_other_host_names_are_refused(run, host):
    answer = run().http.get("/v1/results", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "request.forbidden")


def test_named_hosts_are_taken(run):
    http = run(names=("Desk.example",)).http
    assert http.get("/v1/results", headers={"Host": "desk.example:443"}).status_code == 200
    assert http.get("/v1/results", headers={"Host": "localhost"}).status_code == 200


def test_pages_of_other_sites_are_refused_unless_named(run, jpeg):
    http = run(origins=("https://news.example",)).http
    answer = http.post("/v1/check", content=jpeg(), headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "request.forbidden")
    assert http.get("/v1/results", headers={"Origin": "null"}).status_code == 403
    own = f"http://{http.base_url.host}:{http.base_url.port}"
    assert http.get("/v1/results", headers={"Origin": own}).status_code == 200
    named = {"Origin": "https://news.example"}
    answer = http.get("/v1/results", headers=named)
    assert answer.headers["access-control-allow-origin"] == "https://news.example"
    answer = http.options("/v1/check", headers={**named, "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 204
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


def requests_logged(service):
    """The lines of requests; one is written after its answer, so the first is waited for."""
    found = []

    def logged():
        found[:] = [line for line in service.lines() if line["event"] == "request"]
        return found

    service.wait_for(logged)
    return found


def test_the_log_is_json_without_names_unless_asked(run, jpeg, tmp_path):
    service = run()
    service.check(jpeg(), name="secret-name.jpg")
    (line,) = requests_logged(service)
    assert line["route"] == "/v1/check"
    assert (line["status"], line["files"], line["bytes"]) == (200, 1, len(jpeg()))
    assert "secret-name" not in service.log.getvalue()
    other = run(data=tmp_path / "other", log_names=True)
    other.check(jpeg(), name="shown.jpg")
    assert ["shown.jpg"] in [line.get("names") for line in requests_logged(other)]


def test_metrics_count_what_happens(run, jpeg):
    service = run()
    service.check(jpeg())
    service.check(b"nothing")
    text = service.http.get("/metrics").text
    assert 'mesoscope_requests_total{route="/v1/check",status="200"} 1.0' in text
    assert 'mesoscope_refused_total{code="source.unreadable"} 1.0' in text
    assert "mesoscope_waiting 0.0" in text


def test_an_unexpected_error_is_a_problem_and_a_line_in_the_log(run, jpeg):
    service = run()

    def broken(items):
        raise ZeroDivisionError("/secret/path")

    work, service.service.batcher._work = service.service.batcher._work, broken
    answer = service.check(jpeg())
    assert (answer.status_code, answer.json()["code"]) == (500, "service.failed")
    assert "secret" not in answer.text
    failed = next(line for line in service.lines() if line["event"] == "a request failed")
    assert "ZeroDivisionError" in failed["trace"]
    service.service.batcher._work = work
    assert service.check(jpeg()).status_code == 200


def raw(url, data, *, wait=True):
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.sendall(data)
    if not wait:
        return connection
    with connection:
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return answer


def head(url, length, rest=""):
    host = url.removeprefix("http://")
    lines = ["POST /v1/check HTTP/1.1", f"Host: {host}", f"Content-Length: {length}"]
    return ("\r\n".join(lines) + f"\r\n{rest}\r\n").encode()


def test_a_body_shorter_than_its_length_is_given_up(run, jpeg):
    service = run(limits={"idle_s": 0.2})
    answer = raw(service.url, head(service.url, 10**6) + jpeg())
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"request.timeout" in answer
    assert service.check(jpeg()).status_code == 200


def test_a_body_longer_than_its_length_is_cut(run, jpeg):
    service = run()
    data = jpeg()
    answer = raw(service.url, head(service.url, len(data), "Connection: close\r\n") + data * 2)
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_length_above_the_limit_is_refused_before_it_is_sent(run):
    service = run()
    answer = raw(service.url, head(service.url, 10**12))
    assert answer.startswith(b"HTTP/1.1 413")


def test_lengths_that_are_no_numbers_are_refused(run):
    service = run()
    for length in ("-1", "1e3", "0x10", "10, 20", "\xb2"):
        answer = raw(service.url, head(service.url, length, "Connection: close\r\n") + b"x")
        assert answer.startswith(b"HTTP/1.1 400")
    assert service.http.get("/healthz").status_code == 200


def test_a_slow_upload_is_given_up_as_a_whole(run):
    service = run(limits={"idle_s": 5, "check_s": 0.5})
    connection = raw(service.url, head(service.url, 10**6) + b"\xff\xd8\xff", wait=False)
    ended = threading.Event()

    def drip():
        with contextlib.suppress(OSError):
            while not ended.wait(0.05):
                connection.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    answer = connection.recv(65536)
    ended.set()
    thread.join()
    connection.close()
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_head_that_comes_a_byte_at_a_time_is_given_up(run):
    service = run(limits={"header_s": 0.3})
    connection = raw(service.url, b"GET /healthz HTTP/1.1\r\nX: ", wait=False)
    assert connection.recv(100) == b""
    connection.close()
    connection = raw(service.url, b"", wait=False)
    assert connection.recv(100) == b""
    connection.close()


def test_a_client_that_goes_away_leaves_nothing_behind(run, jpeg):
    service = run()
    data = jpeg() + b"\0" * (2 << 20)
    connection = raw(service.url, head(service.url, len(data)) + data[: 3 << 19], wait=False)
    time.sleep(0.1)
    connection.close()
    go_on = service.held_back()
    for _ in range(4):
        raw(service.url, head(service.url, len(data)) + data, wait=False).close()
    time.sleep(0.2)
    go_on.set()
    folder = service.service.spool.folder
    service.wait_for(lambda: not list(folder.iterdir()) and not service.service.in_progress)
    assert list(folder.iterdir()) == []
    assert service.service.spool._left == service.service.settings.limits.spool_bytes
    assert service.check(jpeg()).status_code == 200


def test_too_many_requests_at_once_are_told_to_come_back(run):
    service = run(limits={"requests": 1})
    service.service.in_progress += 1
    answer = service.http.get("/v1/model")
    assert (answer.status_code, answer.json()["code"]) == (429, "queue.full")
    assert service.http.get("/healthz").status_code == 200
    service.service.in_progress -= 1


def test_a_large_json_body_is_refused(run):
    service = run()
    answer = service.http.post("/v1/feedback", content=b"[" * (2 << 20))
    assert answer.status_code in (400, 413)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_log_that_cannot_be_written_ends_nothing(run, jpeg):
    service = run()
    service.log.close()
    assert service.check(jpeg()).status_code == 200
    service.service.log._stream = io.StringIO()
    service.log = service.service.log._stream
