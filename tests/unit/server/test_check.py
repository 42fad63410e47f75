"""``POST /v1/check`` as a caller sees it."""

import base64
import hashlib
import io
import json
import os
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mesoscope.types import Verdict


def test_a_raw_picture_has_the_verdict_of_the_detector(run, jpeg):
    service = run()
    data = jpeg()
    answer = service.check(data, name="face.jpg")
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    verdict = Verdict.from_json(json.dumps(result["verdict"]))
    local = service.service.checker.plain.check(data)
    assert (verdict.label, verdict.source) == (local.label, "face.jpg")
    assert verdict.p_fake == pytest.approx(local.p_fake, abs=1e-6)
    assert result["sha256"] == hashlib.sha256(data).hexdigest()
    assert result["evidence"] is None
    assert result["provenance"] is None


def test_several_pictures_keep_their_order_and_their_errors(run, jpeg):
    files = [
        ("file", ("one.jpg", jpeg(1))), ("file", ("cut.jpg", jpeg(2)[:300])),
        ("file", ("two.png", jpeg(3, suffix=".png"))), ("file", ("empty.jpg", b"")),
    ]  # fmt: skip
    results = run().http.post("/v1/check", files=files).json()["results"]
    assert [r["verdict"]["source"] for r in results] == [name for _, (name, _) in files]
    codes = [r["verdict"]["error"] and r["verdict"]["error"]["code"] for r in results]
    assert codes == [None, "source.unreadable", None, "source.unreadable"]


def test_evidence_is_a_png_to_lay_over_the_square(run, jpeg):
    answer = run().check(jpeg(size_px=96), heat=True)
    (evidence,) = answer.json()["results"][0]["evidence"]
    assert evidence["square"] == [0, 0, 96]
    assert evidence["face"] == 0
    picture = Image.open(io.BytesIO(base64.b64decode(evidence["png"])))
    assert (picture.format, picture.mode) == ("PNG", "RGBA")
    alpha = np.asarray(picture)[:, :, 3]
    assert 0 <= alpha.min() < alpha.max() <= 217


def test_the_same_picture_answers_the_same_with_and_without_evidence(run, jpeg):
    service = run()
    scores = [
        service.check(jpeg(), heat=heat).json()["results"][0]["verdict"]["p_fake"]
        for heat in (False, True)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_provenance_stands_beside_the_verdict(run, make_face):
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0131] = "Photo Shop of Horrors"
    Image.fromarray(make_face(1)).save(file, "JPEG", exif=exif)
    answer = run().check(file.getvalue(), provenance=True, name="horror.jpg")
    told = answer.json()["results"][0]["provenance"]
    assert told["source"] == "horror.jpg"
    assert "Photo Shop of Horrors" in [finding["value"] for finding in told["findings"]]


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "request.invalid"),
        (b"<svg onload=alert(1)>", 415, "source.unsupported"),
        (b"\xff\xd8\xff\xe0 no picture", 422, "source.unreadable"),
        (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", 422, "source.unreadable"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", 415, "source.unsupported"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", 415, "source.unsupported"),
        (b"PK\3\4 a zip", 415, "source.unsupported"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_a_problem(run, data, status, code):
    answer = run().check(data, name="x.jpg")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "code", "instance"}


def test_a_picture_of_500_megapixels_is_refused_by_its_header(run):
    size = (25000).to_bytes(4, "big") + (20000).to_bytes(4, "big")
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size
    service = run()
    answer = service.check(head + b"\x08\x02\0\0\0" + b"\0" * 40, name="huge.png")
    assert answer.status_code in (413, 422)
    real = io.BytesIO()
    Image.new("1", (25000, 20000)).save(real, "PNG")
    answer = service.check(real.getvalue(), name="huge.png")
    assert (answer.status_code, answer.json()["code"]) == (413, "source.too_large")


def test_a_wrong_media_type_does_not_matter_and_a_wrong_suffix_neither(run, jpeg):
    answer = run().http.post(
        "/v1/check?name=a.exe", content=jpeg(), headers={"Content-Type": "text/html"}
    )
    assert answer.status_code == 200


def test_a_polyglot_is_the_picture_that_its_first_bytes_say(run, jpeg, make_zip):
    data = jpeg() + b"<script>alert(1)</script>" + make_zip({"evil.sh": b"rm"})
    answer = run().check(data, name="both.jpg.zip.html")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\a.jpg", "a.jpg"),
        ("<img src=x onerror=alert(1)>.jpg", "<img src=x onerror=alert(1)>.jpg"),
        ("'; DROP TABLE mesoscope_service_results; --.jpg", None),
        ("a\u202egpj.exe", "a\ufffdgpj.exe"),
        ("nul\0byte\n.jpg", "nul\ufffdbyte\ufffd.jpg"),
        ("..", "upload"),
        ("x" * 390 + ".jpg", "x" * 196 + ".jpg"),
    ],
)
def test_names_are_shown_and_never_used(run, jpeg, sent, shown):
    service = run()
    result = service.check(jpeg(), name=sent).json()["results"][0]
    assert result["verdict"]["source"] == (sent if shown is None else shown)
    found = service.http.get("/v1/results", params={"q": result["verdict"]["source"]}).json()
    assert [r["id"] for r in found["results"]] == [result["id"]]


def test_broken_utf8_in_a_multipart_name(run, jpeg):
    body = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="\xff\xfe\xe9.jpg"\r\n\r\n'
        + jpeg() + b"\r\n--b--\r\n"
    )  # fmt: skip
    answer = run().http.post(
        "/v1/check", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.json()["results"][0]["verdict"]["source"] == "\ufffd\ufffd\ufffd.jpg"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no boundary here"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; na"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b--\r\n",
        ),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"A: b\r\n" * 5000 + b"\r\n\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b--\r\n"),
        ("multipart/form-data; boundary=" + "b" * 300, b"--b--\r\n"),
    ],
)  # fmt: skip
def test_broken_multipart_is_a_problem(run, content_type, body):
    answer = run().http.post("/v1/check", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")


def test_ten_thousand_parts_are_refused_early(run):
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\nx\r\n'
    service = run()
    answer = service.http.post(
        "/v1/check", content=part * 10_000 + b"--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert not list(service.service.spool.folder.iterdir())


def test_large_bodies_are_refused(run, jpeg):
    service = run(limits={"check_bytes": 5000, "picture_bytes": 4000})
    assert service.check(b"\xff\xd8\xff" + b"x" * 6000).status_code == 413

    def chunks():
        for _ in range(100):
            yield b"\xff\xd8\xff" + b"x" * 1000

    answer = service.http.post("/v1/check", content=chunks())
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert service.check(jpeg()).status_code == 200


def test_requests_that_arrive_together_share_batches(run, jpeg):
    service = run(window_s=0.05)
    threads = [threading.Thread(target=service.check, args=(jpeg(seed),)) for seed in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batcher = service.service.batcher
    assert batcher.items == 24
    assert batcher.batches < 24


def test_a_full_queue_says_when_to_come_back(run, jpeg):
    service = run(limits={"waiting": 1})
    go_on = service.held_back()
    answers = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(service.check(jpeg(n))))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    go_on.entered.wait(60)
    while not answers:  # only a refusal can come before the work goes on
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join()
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 429}
    busy = next(answer for answer in answers if answer.status_code == 429)
    assert busy.json()["code"] == "queue.full"
    assert busy.headers["retry-after"] == "1"


def test_large_uploads_go_to_the_private_folder_and_leave_it(run, make_face, monkeypatch):
    service = run()
    folder = service.service.spool.folder
    seen = []
    work = service.service.batcher._work

    def watched(items):
        seen.extend((p.name, p.stat().st_mode & 0o777) for p in folder.iterdir())
        return work(items)

    service.service.batcher._work = watched
    pixels = np.random.default_rng(1).integers(0, 255, (900, 900, 3), np.uint8)
    data = bytes(cv2.imencode(".png", pixels)[1].data)
    assert len(data) > 1 << 20
    assert service.check(data, name="noise.png").status_code == 200
    ((name, mode),) = seen
    assert "noise" not in name
    assert mode == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.iterdir()) == []
    assert service.service.spool._left == service.service.settings.limits.spool_bytes


def test_a_full_disk_is_told_and_passes(run, jpeg, monkeypatch):
    service = run(limits={"spool_bytes": 1000})
    big = jpeg() + b"\0" * (2 << 20)
    answer = service.check(big)
    assert (answer.status_code, answer.json()["code"]) == (507, "storage.full")
    assert answer.headers["retry-after"]
    assert service.check(jpeg()).status_code == 200


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_really_full(run, jpeg, make_zip, monkeypatch):
    from mesoscope.server import spool

    class Full:
        def __getattr__(self, name):
            return getattr(os, name)

        def open(self, *_):
            return os.open("/dev/full", os.O_WRONLY)

    service = run()
    monkeypatch.setattr(spool, "os", Full())
    for path, data in (
        ("/v1/check", jpeg() + b"\0" * (2 << 20)), ("/v1/jobs", make_zip({"a.jpg": jpeg()})),
    ):  # fmt: skip
        answer = service.http.post(path, content=data)
        assert (answer.status_code, answer.json()["code"]) == (507, "storage.full")
    assert service.check(jpeg()).status_code == 200  # small ones need no disk
    monkeypatch.undo()
    assert service.ended(service.job(make_zip({"a.jpg": jpeg()})))["state"] == "done"
    assert service.service.spool._left == service.service.settings.limits.spool_bytes


def test_a_verdict_that_takes_too_long_is_given_up(run, jpeg):
    service = run(limits={"answer_s": 0.2})
    work, go_on = service.service.batcher._work, service.held_back()
    answer = service.check(jpeg())
    assert (answer.status_code, answer.json()["code"]) == (503, "answer.timeout")
    go_on.set()
    service.service.batcher._work = work
    assert service.check(jpeg()).status_code == 200


def test_nothing_is_kept_without_being_asked(run, jpeg):
    service = run()
    result = service.check(jpeg()).json()["results"][0]
    answer = service.http.get(f"/v1/results/{result['id']}/picture")
    assert (answer.status_code, answer.json()["code"]) == (404, "picture.missing")
    assert not [p for p in service.service.kept.folder.rglob("*") if p.is_file()]


def test_kept_pictures_come_back_alone_and_harmless(run, jpeg):
    service = run(keep_days=1)
    data = jpeg()
    result = service.check(data, name="a.html").json()["results"][0]
    answer = service.http.get(f"/v1/results/{result['id']}/picture")
    assert answer.content == data
    assert answer.headers["content-type"] == "image/jpeg"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert service.http.delete(f"/v1/results/{result['id']}").status_code == 204
    assert service.http.get(f"/v1/results/{result['id']}").status_code == 404
    assert not [p for p in service.service.kept.folder.rglob("*") if p.is_file()]


def test_without_results_there_is_no_history(run, jpeg):
    service = run(keep_results_days=0)
    assert service.check(jpeg()).json()["results"][0]["id"] is None
    assert service.http.get("/v1/results").json() == {"results": [], "next": None}


@pytest.mark.parametrize("path", ["/v1/check", "/v1/jobs"])
def test_a_parameter_that_is_not_known_is_refused_and_no_other(run, jpeg, path):
    """The service has one model, and ``model=`` would otherwise seem to choose another."""
    service = run()
    asked = {"model": "mesoscope-small", "name": "a.jpg"}
    answer = service.http.post(path, content=jpeg(), params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.unprocessable")
    assert answer.json()["detail"].startswith("query.model: unknown; known are: ")
    assert service.http.post("/v1/check", content=jpeg(), params={"name": "a"}).status_code == 200
