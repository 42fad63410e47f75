"""The shipped models say of the samples and of made media what they said when they were shipped."""

import json

import pytest

from golden.verdicts import FILE, verdicts
from mesoscope.models.file import model_id, shipped

GOLDEN = json.loads(FILE.read_text("utf-8"))
NEAR = 1e-3  # of p_fake: versions of libraries round differently
ANEW = "where that is meant: make golden, and say in CHANGELOG.md what moved"


def test_every_shipped_model_has_its_verdicts():
    assert {n: one["model"] for n, one in GOLDEN.items()} == {
        name: model_id(path) for name, path in shipped().items()
    }, ANEW


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_verdicts_are_those_that_were_written_down(name, tmp_path):
    meant, said = GOLDEN[name]["verdicts"], verdicts(name, tmp_path)
    assert said.keys() == meant.keys()
    for source, verdict in said.items():
        golden = meant[source]
        assert verdict.get("error") == golden.get("error"), source
        assert verdict["label"] == golden["label"], f"{name}, {source}: {ANEW}"
        assert verdict["p_fake"] == pytest.approx(golden["p_fake"], abs=NEAR), (source, ANEW)
        assert verdict["parts"] == pytest.approx(golden["parts"], abs=NEAR), (source, ANEW)
