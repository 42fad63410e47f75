"""What OpenAPI promises is what is sent."""

import contextlib
import json

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from mesoscope.server import schemas
from mesoscope.server.problems import TITLES


def test_examples_have_the_shapes_that_they_stand_for():
    schemas.CheckShape.model_validate(schemas.EXAMPLE_CHECK)
    schemas.JobShape.model_validate(schemas.EXAMPLE_JOB)
    schemas.ResultShape.model_validate(schemas.EXAMPLE_RESULT)
    schemas.ProblemShape.model_validate(schemas.EXAMPLE_PROBLEM)


def test_answers_have_the_shapes_that_are_described(run, jpeg, make_clip, make_face):
    service = run(keep_days=1)
    answer = service.http.post(
        "/v1/check?heat=true&provenance=true",
        files=[("f", ("a.jpg", jpeg())), ("f", ("b.jpg", b"x"))],
    )
    schemas.CheckShape.model_validate(answer.json())
    path = make_clip([make_face(n, 128) for n in range(8)])
    job = service.ended(service.job(path.read_bytes(), name="clip.mp4"))
    schemas.JobShape.model_validate(job)
    schemas.JobsShape.model_validate(service.http.get("/v1/jobs").json())
    page = service.http.get(f"/v1/jobs/{job['id']}/results").json()
    schemas.ResultsShape.model_validate(page)
    assert page["results"][0]["verdict"]["persons"]
    said = {"result": page["results"][0]["id"], "says": "unsure"}
    schemas.ResultShape.model_validate(service.http.post("/v1/feedback", json=said).json())
    schemas.ModelShape.model_validate(service.http.get("/v1/model").json())
    assert service.http.get("/v1/model").json()["keep_days"] == 1
    assert service.http.get("/v1/model").json()["unfamiliar_above"] == 1


def test_skipped_faces_and_landmarks_have_the_described_shape(run, astronaut_face):
    import cv2
    import numpy as np

    from mesoscope.types import DetectOptions

    small = cv2.resize(astronaut_face, (60, 60))
    picture = np.full((400, 700, 3), 120, np.uint8)
    picture[40:264, 40:264] = astronaut_face
    picture[300:360, 500:560] = small
    data = bytes(cv2.imencode(".png", picture[:, :, ::-1])[1].data)
    answer = run(options=DetectOptions(faces="mtcnn", min_face_px=60)).check(data)
    checked = schemas.CheckShape.model_validate(answer.json())
    assert checked.results[0].verdict.faces[0].landmarks


def test_every_route_describes_its_answers(run):
    schema = run().http.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in json.dumps(schema)
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], f"{method} {path}"
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", "GET, POST"), ("OPTIONS", "/v1/check", "POST"),
        ("POST", "/v1/results/x", "DELETE, GET"), ("DELETE", "/index.html", "GET, HEAD"),
    ],
)  # fmt: skip
def test_other_methods_are_told_which_are_taken(run, method, path, allowed):
    answer = run().http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "request.method")
    assert answer.headers["allow"] == allowed


def test_the_page_is_what_no_route_knows(run, monkeypatch, tmp_path):
    from starlette.staticfiles import StaticFiles

    from mesoscope.server import app

    (tmp_path / "index.html").write_text("<p>drop a picture")
    (tmp_path / "outside").symlink_to("/etc")
    monkeypatch.setattr(app, "_static", StaticFiles(directory=tmp_path, html=True))
    http = run().http
    answer = http.get("/")
    assert (answer.status_code, answer.text) == (200, "<p>drop a picture")
    assert answer.headers["content-type"].startswith("text/html")
    for path in (
        "/nothing.js",
        "/v1/nothing",
        "/outside/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/",
    ):
        answer = http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "request.not_found")


def test_codes_of_problems_are_written_down():
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs/reference/http-api.md").read_text("utf-8")
    for code, (status, _) in TITLES.items():
        assert f"| `{code}` | {status} |" in text


def test_schemathesis_finds_no_way_through(run):
    """Every operation of the description, with valid and invalid values made from it."""
    schemathesis = pytest.importorskip(
        "schemathesis", reason="schemathesis is not installed: pip install schemathesis"
    )
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Unsatisfiable

    service = run()
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    checked = []
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/events"):
            continue  # its answer ends with the job
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @settings(
                max_examples=30, deadline=None, derandomize=True, database=None,
                suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case):
                answer = case.call(base_url=service.url)
                assert answer.status_code < 500, case.as_curl_command()
                case.validate_response(
                    answer,
                    checks=[
                        schemathesis.checks.not_a_server_error,
                        schemathesis.checks.CHECKS.get_one("status_code_conformance"),
                        schemathesis.checks.CHECKS.get_one("content_type_conformance"),
                        schemathesis.checks.CHECKS.get_one("response_schema_conformance"),
                    ],
                )

            with contextlib.suppress(Unsatisfiable):  # nothing can be wrong where nothing is asked
                ask()
        checked.append(operation.path)
    assert "/v1/check" in checked
