"""Facts that have one home: the version, the finders, the architectures."""

import re
from pathlib import Path

import pytest

import mesoscope
from mesoscope.errors import OptionError
from mesoscope.types import DetectOptions
from mesoscope.types.names import ARCHITECTURES, FINDERS, FINDERS_WITH_MODEL

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/mesoscope"


def test_the_version_is_written_once_and_cited():
    project = (ROOT / "pyproject.toml").read_text("utf-8").partition("[project.opt")[0]
    assert re.search(r'^dynamic = \[.*"version".*\]$', project, re.MULTILINE)
    assert not re.search(r"^version\s*=", project, re.MULTILINE)
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert cited is not None
    assert cited[1] == mesoscope.__version__
    for path in SOURCE.rglob("*.py"):
        assert 'version("mesoscope")' not in path.read_text("utf-8"), path


@pytest.mark.parametrize(
    ("home", "names"),
    [("types/names.py", FINDERS), ("types/names.py", ARCHITECTURES)],
)
def test_no_other_module_lists_them(home, names):
    several = re.compile(r"[\"'`](%s)[\"'`]+, *[\"'`]+(%s)[\"'`]" % (("|".join(names),) * 2))
    for path in SOURCE.rglob("*.py"):
        if path != SOURCE / home:
            found = several.search(path.read_text("utf-8"))
            assert found is None, f"{path}: {found[0]}: take it from {home}"


def test_only_known_finders_may_be_asked_for():
    assert {"auto", "whole", *FINDERS_WITH_MODEL} < set(FINDERS)
    for name in FINDERS:
        assert DetectOptions(faces=name).faces == name
    with pytest.raises(OptionError, match=", ".join(FINDERS)):
        DetectOptions(faces="haar")
