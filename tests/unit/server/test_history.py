"""The history, reports, and what people say of results."""

import io
import json
import zipfile

import pytest

from mesoscope.data.manifest import read_dataset


@pytest.fixture
def history(run, jpeg):
    """A service with some results: ``history.ids`` by name."""

    def make(**settings):
        service = run(**settings)
        service.ids = {}
        for number, name in enumerate(["Anna.jpg", "Ben 100%.jpg", "anna_2.jpg", "broken.jpg"]):
            data = jpeg(number) if name != "broken.jpg" else jpeg(number)[:400]
            files = [("f", (name, data)), ("f", ("beside.jpg", jpeg(100 + number)))]
            results = service.http.post("/v1/check", files=files).json()["results"]
            service.ids[name] = results[0]["id"]
        return service

    return make


def found(service, **query):
    answer = service.http.get("/v1/results", params={"limit": 200, **query})
    assert answer.status_code == 200, answer.text
    return [result["name"] for result in answer.json()["results"]]


def test_results_are_searched_and_filtered(history):
    service = history()
    assert len(found(service)) == 8
    assert found(service, q="ANNA") == ["anna_2.jpg", "Anna.jpg"]
    assert found(service, q="100%") == ["Ben 100%.jpg"]
    assert found(service, q="%") == ["Ben 100%.jpg"]
    assert found(service, q="_") == ["anna_2.jpg"]
    assert found(service, label="none") == ["broken.jpg"]
    assert found(service, kind="clip") == []
    assert found(service, until="2020-01-01T00:00:00Z") == []
    assert len(found(service, since="2020-01-01T00:00:00")) == 8
    one = service.http.get(f"/v1/results/{service.ids['Anna.jpg']}").json()
    assert found(service, sha256=one["sha256"]) == ["Anna.jpg"]
    labels = [found(service, label=label) for label in ("fake", "real", "inconclusive", "none")]
    assert sorted(name for names in labels for name in names) == sorted(found(service))


def test_pages_hold_each_result_once(history):
    service = history()
    seen, before = [], None
    while True:
        query = {"limit": 3} | ({} if before is None else {"before": before})
        page = service.http.get("/v1/results", params=query).json()
        seen += [result["id"] for result in page["results"]]
        before = page["next"]
        if before is None:
            break
    assert len(seen) == len(set(seen)) == 8


@pytest.mark.parametrize(
    "query",
    [
        "label=true", "limit=0", "limit=201", "before=-1", "before=9999999999999999999999",
        "since=yesterday", "q=%00", "job=a%27b", "sha256=abc", "q=" + "x" * 300,
        "since=9999999999999",
        "since=0001-01-01T00:00:00%2B14:00", "until=-infinity",
    ],
)  # fmt: skip
def test_odd_filters_are_refused_or_empty(history, query):
    answer = history().http.get(f"/v1/results?{query}")
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert answer.json()["code"] == "request.unprocessable"


def test_people_say_what_they_think(history):
    service = history()
    result = service.ids["Anna.jpg"]
    for says in ("real", "forged"):
        said = {"result": result, "says": says, "note": "<b>I</b> know her \u2603"}
        kind = {"Content-Type": "application/json"}
        answer = service.http.post("/v1/feedback", content=json.dumps(said), headers=kind)
        assert answer.status_code == 200, answer.text
        assert answer.json()["feedback"]["says"] == says
    assert found(service, says="forged") == ["Anna.jpg"]
    for wrong in (
        {"result": result, "says": "perhaps"}, {"result": result}, [], "x",
        {"result": result, "says": "real", "note": "x" * 3000},
        {"result": result, "says": "real", "note": "\0"},
        {"result": result, "says": "real", "note": "\ud83d"},
        {"result": result, "says": "real", "more": 1},
    ):  # fmt: skip
        answer = service.http.post("/v1/feedback", content=json.dumps(wrong), headers=kind)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.unprocessable")
    answer = service.http.post("/v1/feedback", json={"result": "nobody", "says": "real"})
    assert (answer.status_code, answer.json()["code"]) == (404, "result.missing")


def test_feedback_becomes_a_data_set(history, tmp_path):
    service = history(keep_days=1)
    http = service.http
    assert http.get("/v1/feedback/dataset").status_code == 404
    says = {"Anna.jpg": "real", "Ben 100%.jpg": "forged", "anna_2.jpg": "unsure"}
    for name, said in says.items():
        http.post("/v1/feedback", json={"result": service.ids[name], "says": said})
    answer = http.get("/v1/feedback/dataset")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path / "set")
    samples = read_dataset(tmp_path / "set")
    assert sorted(sample.label for sample in samples) == [0, 1]
    assert all(sample.path.is_file() and sample.sha256 for sample in samples)
    folder = service.service.spool.folder
    service.wait_for(lambda: not list(folder.iterdir()))  # it goes once it is sent
    assert not list(folder.iterdir())


def test_labels_of_pictures_that_were_not_kept_are_told(history):
    service = history()
    http = service.http
    http.post("/v1/feedback", json={"result": service.ids["Anna.jpg"], "says": "forged"})
    with zipfile.ZipFile(io.BytesIO(http.get("/v1/feedback/dataset").content)) as archive:
        assert archive.namelist() == ["manifest.csv", "not_kept.csv"]
        assert archive.read("not_kept.csv").decode().splitlines()[1].startswith("Anna.jpg,fake,")


def test_old_results_and_files_go(history, monkeypatch):
    from mesoscope.server import service as module

    service = history(keep_days=1, keep_results_days=2)
    kept = service.service.kept.folder
    assert len([p for p in kept.rglob("*") if p.is_file()]) == 7
    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 1.5 * 86_400)
    service.service.sweep()
    assert not [p for p in kept.rglob("*") if p.is_file()]
    assert len(found(service)) == 8
    monkeypatch.setattr(module.time, "time", lambda: now + 2.5 * 86_400)
    service.service.sweep()
    assert found(service) == []


def needs_reports():
    for name in ("jinja2", "matplotlib", "reportlab"):
        pytest.importorskip(name, reason=f"{name} is not installed: the extra report")


def test_a_report_shows_the_picture_where_it_was_kept(history):
    needs_reports()
    service = history(keep_days=1)
    answer = service.http.get(f"/v1/results/{service.ids['Anna.jpg']}/report?case=7&by=me")
    assert answer.status_code == 200, answer.text
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "attachment" in answer.headers["content-disposition"]
    assert "Anna.jpg" in answer.text
    assert "data:image/jpeg" in answer.text
    assert str(service.service.settings.data) not in answer.text
    answer = service.http.get(f"/v1/results/{service.ids['Ben 100%.jpg']}/report?format=pdf")
    assert answer.content.startswith(b"%PDF-")
    assert not list(service.service.spool.folder.iterdir())


def test_a_report_without_its_picture_says_so_and_is_signed(history, tmp_path):
    needs_reports()
    pytest.importorskip("cryptography", reason="cryptography is not installed: the extra report")
    from mesoscope.report.case.seal import make_keys

    make_keys(tmp_path / "key.pem")
    service = history(sign=tmp_path / "key.pem")
    text = service.http.get(f"/v1/results/{service.ids['Anna.jpg']}/report").text
    assert "could not be read when this report was made" in text
    assert "data:image/jpeg" not in text
    assert service.http.get("/v1/model").json()["signs"] is True
    broken = service.http.get(f"/v1/results/{service.ids['broken.jpg']}/report")
    assert broken.status_code == 200


def test_a_report_that_fails_is_a_problem(history, monkeypatch):
    from mesoscope.server import reports

    service = history()
    monkeypatch.setattr(reports, "_command", lambda *_, **__: ["/bin/false"])
    answer = service.http.get(f"/v1/results/{service.ids['Anna.jpg']}/report")
    assert (answer.status_code, answer.json()["code"]) == (500, "report.failed")
    assert not list(service.service.spool.folder.iterdir())
