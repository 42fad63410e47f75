import json

import pytest

from mesoscope.errors import ReportError
from mesoscope.report.case.contents import (
    CaseDetails,
    ModelFacts,
    model_facts,
    model_path,
    settings_of,
    settings_sha256,
)
from mesoscope.report.case.items import ReportItem, tally
from mesoscope.report.case.record import open_record, record_head, record_rows
from mesoscope.types import DetectOptions, FaceScore, Person, Thresholds

DETAILS = CaseDetails("T </script><b>", "7", "A & B", "2026-01-02T03:04:05Z", "1")


def record(items, evidence=None, models=()):
    settings = settings_of(DetectOptions(), Thresholds(0.3, 0.7))
    first = record_head(DETAILS, models, settings, tally(items, pictures=0))
    return f"{first}\n{''.join(record_rows(items, evidence or {}))}"


def test_a_record_is_json_that_cannot_end_a_script(verdict_of, unreadable):
    items = [
        ReportItem(
            verdict_of('<img src=x onerror="alert(1)">&amp;\u2028\udce9', 0.9), None, "0" * 64
        ),
        ReportItem(unreadable("b"), None),
    ]
    text = record(items, {0: (1, items[0].verdict)})
    assert not set("<>&") & set(text)
    assert text.isascii()
    data = json.loads(text)
    one, other = data["items"]
    assert one["source"] == items[0].verdict.source
    assert one["shown"].endswith("\\u2028\\xe9")
    assert one["verdict"] == items[0].verdict.to_dict()
    assert (one["number"], one["judged_sha256"]) == (1, "0" * 64)
    assert other["error"] == {"code": "source.unreadable", "message": "damaged"}
    assert "verdict" not in other
    assert data["title"] == DETAILS.title
    assert data["counts"] == {"fake": 1, "unreadable": 1}


def test_a_record_is_read_line_by_line_out_of_any_file(tmp_path, verdict_of):
    path = tmp_path / "r"
    items = [ReportItem(verdict_of(f"n{i}"), None) for i in range(3)]
    path.write_bytes(b"\xff\x00 before " + record(items).encode() + b" after")
    with open_record(path) as (first, found):
        assert first["mesoscope"] == "1"
        assert [one.source for one in found] == ["n0", "n1", "n2"]
    path.write_text(record([]))
    with open_record(path) as (_, found):
        assert list(found) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: "", "empty"),
        (lambda text: "nothing", "holds no record"),
        (lambda text: text.replace('"mesoscope_report":1', '"mesoscope_report":9'), "version 9"),
        (lambda text: text.partition("\n")[0], "cut off"),
        (lambda text: text.replace('"source"', '"sauce"'), "damaged"),
        (lambda text: text[: text.rindex('"sha256"')], "damaged"),
        (lambda text: text.replace('"made"', "made"), "damaged"),
        (lambda text: text.replace('"made"', '"when"'), "damaged"),
        (lambda text: text.replace('"settings_sha256"', '"other"'), "damaged"),
        (lambda text: text.replace('"models":[]', '"models":[{}]'), "damaged"),
        (lambda text: text.replace('"models":[]', '"models":0'), "damaged"),
        (lambda text: text.replace('"source":"a"', '"source":5'), "damaged"),
        (lambda text: text.replace('"sha256":null}', '"sha256":5}'), "damaged"),
    ],
)
def test_damaged_records(tmp_path, verdict_of, change, says):
    path = tmp_path / "r"
    path.write_text(change(record([ReportItem(verdict_of("a"), None)])))
    with pytest.raises(ReportError, match=says), open_record(path) as (_, found):
        list(found)


def test_models_are_named_as_far_as_they_are_at_hand():
    known = next(iter(model_facts([])), None)
    assert known is None
    from mesoscope.models.file import model_id, shipped

    path = shipped()["meso4"]
    name = model_id(path)
    one, other = model_facts([name, "none@00000000"], at_hand=path)
    assert one.card.name == "meso4"
    assert one.id.endswith(one.sha256[:8])
    assert other == ModelFacts("none@00000000")
    assert model_path(name) == path
    assert model_path("none@00000000") is None


def test_settings_leave_out_what_changes_no_answer():
    cut = Thresholds(0.3, 0.7)
    slow = settings_of(DetectOptions(jobs=1, batch_size=9, heat=True), cut)
    quick = settings_of(DetectOptions(jobs=8), cut)
    assert slow == quick
    assert slow.sha256 == settings_sha256(json.loads(json.dumps(slow.values)))
    assert settings_of(DetectOptions(min_face_px=50), cut).sha256 != quick.sha256
    assert settings_of(DetectOptions(), Thresholds(0.3, 0.8)).sha256 != quick.sha256
    assert "fake_above" not in settings_of(DetectOptions(), None).values


def test_a_clip_counts_its_persons(verdict_of):
    faces = tuple(FaceScore((0, 0, 9, 9), 1.0, 0.9, time_s=t, person=t % 2) for t in range(6))
    people = tuple(Person(n, "fake", 0.9, 3, 0.0, 5.0) for n in range(2))
    clip = verdict_of("c.mp4", 0.9, kind="clip", faces=faces, persons=people)
    one, other = json.loads(record([ReportItem(clip, None), ReportItem(verdict_of("a"), None)]))[
        "items"
    ]
    assert (one["faces"], one["persons"]) == (6, 2)
    assert "persons" not in other
