"""An audit in JSON, and its worst finding."""

import json
import math

from mesoscope.data.audit.finding import (
    Audit,
    AuditFinding,
    CombinedCues,
    Cue,
    CueValue,
    Example,
    SplitCount,
)


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


def test_an_audit_in_json() -> None:
    data = json.loads(json.dumps(an_audit().to_dict(), allow_nan=False))
    assert (data["shape"], data["root"], data["pictures"], data["groups"]) == (1, "set", 8, 4)
    assert data["parts"] == [{"source": "a", "split": "train", "real": 4, "fake": 4}]
    assert [finding["severity"] for finding in data["findings"]] == ["note", "severe"]
    (example,) = data["findings"][1]["examples"]
    assert (example["path"], example["says"]) == ("train/real/0.png", "a PNG")
    assert data["cues"][0]["values"] == [{"value": "png", "real": 4, "fake": 0}]
    assert data["together"][0]["uses"] == [["format", 0.4]]
    assert data["seconds"] == {"reading": 1.5}


def test_the_worst_of_an_audit() -> None:
    assert an_audit().worst == "severe"
    assert an_audit(findings=()).worst is None


def test_a_figure_that_is_not_known_is_null_in_json() -> None:
    cue = Cue("format", "file format", "", 0.5, math.nan, math.nan, 4, 4)
    data = json.loads(json.dumps(cue.to_dict(), allow_nan=False))
    assert data["low"] is None
