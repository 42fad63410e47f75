"""An audit's shape: JSON there and back, and the worst first."""

import json
import math

import pytest

from mesoscope.data.audit.finding import (
    Audit,
    AuditFinding,
    CombinedCues,
    Cue,
    CueValue,
    Example,
    SplitCount,
)
from mesoscope.errors import ReportError


def an_audit(**changes):
    finding = AuditFinding(
        "cue.format", "severe", "the format tells all", "Because.", "Encode anew.", 8,
        scope="a", action="encode", drop=("train/real/0.png",),
        examples=(Example("train/real/0.png", 0, "a", "train", "a PNG", 1),),
    )  # fmt: skip
    note = AuditFinding("set.small", "note", "few pictures", "8.", "Find more.", 8)
    parts = {
        "root": "set", "pictures": 8, "groups": 4, "parts": (SplitCount("a", "train", 4, 4),),
        "findings": (note, finding),
        "cues": (
            Cue("format", "file format", "a", 1.0, 0.99, 1.0, 4, 4, (CueValue("png", 4, 0),)),
        ),
        "together": (CombinedCues("", 0.9, 0.8, 0.95, 0.88, 8, (("format", 0.4),)),),
        "not_done": ("Faces were not looked for.",), "seconds": {"reading": 1.5},
    }  # fmt: skip
    return Audit(**{**parts, **changes})


def test_json_there_and_back_is_the_same() -> None:
    audit = an_audit()
    assert Audit.from_dict(json.loads(json.dumps(audit.to_dict()))) == audit


def test_a_later_version_may_write_more() -> None:
    data = an_audit().to_dict()
    data["findings"][0]["colour"] = "red"
    assert Audit.from_dict(data) == an_audit()


def test_the_worst_of_an_audit() -> None:
    assert an_audit().worst == "severe"
    assert an_audit(findings=()).worst is None


@pytest.mark.parametrize(
    ("data", "says"),
    [({}, "audit again"), ({"shape": 1}, "audit again"), ({"shape": 99}, "update mesoscope")],
)
def test_what_is_no_audit_is_refused(data, says) -> None:
    with pytest.raises(ReportError, match=says):
        Audit.from_dict(data)


def test_a_figure_that_is_not_known_is_null_in_json() -> None:
    cue = Cue("format", "file format", "", 0.5, math.nan, math.nan, 4, 4)
    data = json.loads(json.dumps(cue.to_dict(), allow_nan=False))
    assert data["low"] is None
    assert math.isnan(Cue.from_dict(data).low)
