"""The client: the detector's answers over HTTP, and what it does when they do not come."""

import http.server
import json
import socket
import threading

import numpy as np
import pytest
from PIL import Image

from mesoscope.errors import ServiceError, SourceError, SourceMissing, SourceTooLarge
from mesoscope.media.walk import Unreadable

pytest.importorskip("httpx", reason="httpx is not installed: the extra client")

from mesoscope.client import Client

VERDICT = {
    "schema": 2, "source": "a.jpg", "kind": "image", "label": "real", "p_fake": 0.25,
    "reason": None, "faces": [], "skipped": [], "persons": [], "duration_s": None,
    "frames_read": 1, "finder": "whole", "notes": [], "model": "m@1", "elapsed_s": {},
    "error": None,
}  # fmt: skip
RIGHT = (200, {}, {"results": [{"verdict": VERDICT}]})


def problem(status, code, **headers):
    return status, headers, {"code": code, "detail": f"a.jpg: {code}: do something"}


@pytest.fixture
def service():
    """``service(answers)`` → a server that gives one after the other, and what it was asked."""
    servers = []

    def make(answers):
        left, asked = list(answers), []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                asked.append((self.path, dict(self.headers), self.rfile.read(length)))
                answer = left.pop(0) if left else RIGHT
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        server.asked = asked
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        return server

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def waits(monkeypatch):
    """Seconds that a client would have waited."""
    waited = []
    monkeypatch.setattr(Client, "_sleep", lambda _, seconds: waited.append(seconds))
    return waited


def test_a_busy_service_is_asked_again_when_it_says(service, waits):
    server = service(
        [problem(429, "queue.full", Retry_After="3"), problem(503, "service.stopping"), RIGHT]
    )
    with Client(server.url) as client:
        assert client.check(b"\xff\xd8\xff").label == "real"
    assert waits[0] == 3
    assert len(waits) == 2
    assert len(server.asked) == 3


def test_a_service_that_stays_busy_is_given_up(service, waits):
    server = service([problem(429, "rate.limited", Retry_After="9999")] * 5)
    with Client(server.url, tries=3) as client, pytest.raises(ServiceError) as caught:
        client.check(b"x")
    assert (caught.value.problem, caught.value.status) == ("rate.limited", 429)
    assert waits == [60, 60]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("source.unreadable", SourceError), ("source.too_large", SourceTooLarge),
        ("key.invalid", ServiceError), ("request.invalid", ServiceError),
    ],
)  # fmt: skip
def test_refusals_are_errors_of_their_kind_and_not_repeated(service, waits, code, error):
    server = service([problem(422, code)])
    with Client(server.url) as client, pytest.raises(error):
        client.check(b"x")
    assert not waits


def test_a_lost_connection_is_made_again(service, waits):
    server = service([None, RIGHT])
    with Client(server.url) as client:
        assert client.check(b"x").p_fake == 0.25


def test_a_job_that_may_have_arrived_is_not_sent_twice(service, waits):
    server = service([None, RIGHT])
    clip = b"\0\0\0\x18ftypisom\0\0\0\0isommp42"
    with Client(server.url) as client, pytest.raises(ServiceError, match="cannot be reached"):
        client.check(clip)
    assert [path.partition("?")[0] for path, _, _ in server.asked] == ["/v1/jobs"]


def test_nobody_there(waits):
    with (
        Client("http://127.0.0.1:9", tries=2) as client,
        pytest.raises(ServiceError, match="is the service running"),
    ):
        client.check(b"x")


def closed_port():
    with socket.socket() as lent:
        lent.bind(("127.0.0.1", 0))
        return lent.getsockname()[1]


def test_nobody_there_is_told_after_seconds(waits):
    with (
        Client(f"http://127.0.0.1:{closed_port()}") as client,
        pytest.raises(ServiceError, match=r"cannot be reached: .*is the service running"),
    ):
        client.check(b"x")
    assert sum(waits) < 3


def test_a_service_that_has_answered_may_start_again(service, waits):
    server = service([RIGHT])
    with Client(server.url) as client:
        client.check(b"x")
        server.shutdown()
        server.server_close()
        client._http._transport.close()  # the connection that the old process kept open
        with pytest.raises(ServiceError, match="cannot be reached"):
            client.check(b"x")
    assert len(waits) == 7


def test_what_hangs_up_is_not_asked_for_long(service, waits):
    server = service([None] * 9)
    with Client(server.url) as client, pytest.raises(ServiceError, match="cannot be reached"):
        client.check(b"x")
    assert len(server.asked) == 3


def test_a_connection_may_take_seconds_and_an_answer_longer():
    with Client("http://127.0.0.1:9") as client:
        assert client._http.timeout.connect == 5
        assert client._http.timeout.read == 60


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "", "http://[", "http://a b"])
def test_what_is_no_address(url, waits):
    with pytest.raises(ServiceError), Client(url, tries=1) as client:
        client.check(b"x")


@pytest.mark.parametrize("answer", [(200, {}, b"<html>"), (404, {}, b"<html>"), (502, {}, b"")])
def test_another_service_is_told(service, waits, answer):
    with Client(service([answer]).url) as client, pytest.raises(ServiceError, match="mesoscope"):
        client.check(b"x")


def test_the_key_travels_in_its_header(service):
    server = service([RIGHT])
    with Client(server.url + "/", key="meso_1_2") as client:
        client.check(b"x")
    path, headers, body = server.asked[0]
    assert headers["Authorization"] == "Bearer meso_1_2"
    assert path.startswith("/v1/check?")
    assert "meso_1_2" not in path
    assert body == b"x"


def test_folders_of_this_machine_are_not_told(service, tmp_path):
    server = service([RIGHT])
    (tmp_path / "a b.jpg").write_bytes(b"\xff\xd8\xff")
    with Client(server.url) as client:
        verdict = client.check(tmp_path / "a b.jpg")
    assert verdict.source == str(tmp_path / "a b.jpg")
    assert server.asked[0][0] == "/v1/check?name=a+b.jpg"


def test_it_answers_as_the_detector(run, jpeg, make_face, make_clip, tmp_path):
    service = run()
    local = service.service.checker.plain
    paths = []
    for number in range(20):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(jpeg(number))
    clip = make_clip([make_face(n, 128) for n in range(6)])
    sources = [*map(str, paths), jpeg(50), make_face(51), Image.fromarray(make_face(52)), str(clip)]
    with Client(service.url) as client:
        answers = list(client.check_many(sources))
        assert client.card == local.card
        assert client.model_id == local.model_id
        assert client.thresholds.fake_above == local.thresholds.fake_above
    expected = list(local.check_many(sources))
    assert [v.source for v in answers] == [v.source for v in expected]
    assert [v.kind for v in answers] == [v.kind for v in expected]
    assert [v.label for v in answers] == [v.label for v in expected]
    scores = np.array([(a.p_fake, b.p_fake) for a, b in zip(answers, expected, strict=True)])
    np.testing.assert_allclose(scores[:, 0], scores[:, 1], atol=1e-6)


def test_one_bad_file_never_ends_the_others(run, jpeg, tmp_path):
    service = run()
    (tmp_path / "cut.jpg").write_bytes(jpeg()[:300])
    (tmp_path / "cut.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isommp42")
    lost = Unreadable("/lost", SourceMissing("/lost: no such file or folder: check the path"))
    sources = [
        jpeg(1), str(tmp_path / "cut.jpg"), str(tmp_path / "none.jpg"), lost,
        str(tmp_path / "cut.mp4"), jpeg(2),
    ]  # fmt: skip
    with Client(service.url) as client:
        answers = list(client.check_many(sources, keep_going=True))
        with pytest.raises(SourceError):
            list(client.check_many(sources))
    codes = [verdict.error and verdict.error["code"] for verdict in answers]
    assert codes == [
        None, "source.unreadable", "source.missing", "source.missing", "source.unreadable", None,
    ]  # fmt: skip
    assert answers[1].error["message"].startswith(str(tmp_path / "cut.jpg"))
    places = [s if isinstance(s, str) else s.path for s in sources[1:5]]
    assert [verdict.source for verdict in answers[1:5]] == places
