"""What is made of a result when somebody asks: previews, evidence maps, reports."""

import base64
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mesoscope.server import schemas


def checked(service, data, **query):
    answer = service.check(data, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"][0]


def needs_reports():
    for name in ("jinja2", "matplotlib", "reportlab"):
        pytest.importorskip(name, reason=f"{name} is not installed: the extra report")


def test_a_preview_is_the_upright_picture_beside_its_own_size(run):
    pixels = np.zeros((1000, 2000, 3), np.uint8)
    pixels[:, :1000] = (200, 40, 40)  # the left half is red
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn it clockwise
    Image.fromarray(pixels).save(file, "TIFF", exif=exif)
    service = run()
    result = checked(service, file.getvalue(), preview=True)
    schemas.CheckedShape.model_validate(result)
    preview = result["preview"]
    assert (preview["width"], preview["height"]) == (1000, 2000)
    shown = Image.open(io.BytesIO(base64.b64decode(preview["jpeg"])))
    assert (shown.format, shown.size) == ("JPEG", (800, 1600))
    upper, lower = shown.getpixel((400, 100)), shown.getpixel((400, 1500))
    assert upper[0] > 150 > 60 > lower[0]
    assert "preview" not in checked(service, file.getvalue())


def test_small_pictures_are_not_enlarged_and_broken_ones_have_no_preview(run, jpeg):
    service = run()
    files = [("f", ("a.jpg", jpeg())), ("f", ("b.jpg", jpeg()[:300]))]
    answer = service.http.post("/v1/check?preview=true", files=files)
    schemas.CheckShape.model_validate(answer.json())
    whole, broken = answer.json()["results"]
    assert Image.open(io.BytesIO(base64.b64decode(whole["preview"]["jpeg"]))).size == (64, 64)
    assert "preview" not in broken


def test_evidence_of_a_kept_picture_is_that_of_its_check(run, jpeg):
    service = run(keep_days=1)
    result = checked(service, jpeg(), heat=True)
    answer = service.http.get(f"/v1/results/{result['id']}/evidence")
    assert answer.status_code == 200, answer.text
    schemas.EvidencesShape.model_validate(answer.json())
    assert answer.json()["evidence"] == result["evidence"] != []
    assert len(service.http.get("/v1/results").json()["results"]) == 1  # nothing was recorded


def test_there_is_no_evidence_without_the_file_for_clips_or_by_another_model(
    run, jpeg, make_clip, make_face, monkeypatch
):
    service = run(keep_days=1)
    path = make_clip([make_face(n, 128) for n in range(4)])
    job = service.ended(service.job(path.read_bytes(), name="clip.mp4"))
    (clip,) = service.http.get(f"/v1/jobs/{job['id']}/results").json()["results"]
    answer = service.http.get(f"/v1/results/{clip['id']}/evidence")
    assert (answer.status_code, answer.json()["code"]) == (415, "source.unsupported")
    result = checked(service, jpeg())
    address = f"/v1/results/{result['id']}/evidence"
    with monkeypatch.context() as patch:
        patch.setattr(type(service.service.checker.plain), "model_id", "other@00000000")
        answer = service.http.get(address)
    assert (answer.status_code, answer.json()["code"]) == (409, "model.changed")
    for file in service.service.kept.folder.rglob("*"):
        if file.is_file():
            file.unlink()
    answer = service.http.get(address)
    assert (answer.status_code, answer.json()["code"]) == (404, "picture.missing")


def test_a_report_shows_a_file_that_is_sent_along_and_not_kept(run, make_face):
    needs_reports()
    pixels = cv2.resize(make_face(1, 96), (800, 800), interpolation=cv2.INTER_NEAREST)
    noise = np.random.default_rng(1).integers(0, 60, pixels.shape, np.uint8)
    data = bytes(cv2.imencode(".png", cv2.add(pixels, noise))[1].data)
    assert len(data) > 1 << 20  # more than other requests may hold
    service = run()
    result = checked(service, data, name="face.png")
    address = f"/v1/results/{result['id']}/report"
    answer = service.http.post(address, content=data, params={"case": "7"})
    assert answer.status_code == 200, answer.text
    assert "data:image/jpeg" in answer.text
    assert "attachment" in answer.headers["content-disposition"]
    assert "data:image/jpeg" not in service.http.get(address).text
    assert not list(service.service.spool.folder.iterdir())
    assert not [path for path in service.service.kept.folder.rglob("*") if path.is_file()]


def test_a_report_takes_the_judged_file_and_no_other(run, jpeg):
    service = run()
    result = checked(service, jpeg(1))
    answer = service.http.post(f"/v1/results/{result['id']}/report", content=jpeg(2))
    assert (answer.status_code, answer.json()["code"]) == (422, "request.unprocessable")
    assert "SHA-256" in answer.json()["detail"]
    answer = service.http.post("/v1/results/nobodys/report", content=jpeg(2))
    assert answer.status_code == 404
    answer = service.http.post(f"/v1/results/{result['id']}/report")
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
    assert not list(service.service.spool.folder.iterdir())
