"""README as a package index shows it."""

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="hatchling builds the package; it is in the dev extra")
ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def hook():
    spec = importlib.util.spec_from_file_location("hook", ROOT / "packaging/readme_hook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def targets(text):
    return re.findall(r"\]\(([^)\s]+)\)", text)


def test_links_and_pictures_lead_into_the_repository(hook):
    text = hook.for_index(README, "https://forge.invalid/us/mesoscope/")
    assert len(targets(text)) == len(targets(README)) > 10
    assert all(target.startswith("https://") for target in targets(text))
    assert "](https://forge.invalid/us/mesoscope/raw/HEAD/docs/images/two_people.webp)" in text
    assert "](https://forge.invalid/us/mesoscope/blob/HEAD/docs/tutorial.md)" in text


def test_without_a_repository_no_link_leads_nowhere(hook):
    text = hook.for_index(README, None)
    assert all(target.startswith("https://") for target in targets(text))
    assert "[tutorial]" not in text
    assert "tutorial" in text


def test_what_leads_elsewhere_stays(hook):
    text = "[a](https://example.org/x) [b](#limits) [c](mailto:a@b.c)"
    assert hook.for_index(text, "https://forge.invalid") == text
    assert hook.for_index(text, None) == text


def test_the_metadata_take_the_address_from_pyproject(hook):
    made = hook.ReadmeHook(str(ROOT), {})
    metadata = {"urls": {"Repository": "https://forge.invalid/r"}}
    made.update(metadata)
    assert metadata["readme"]["content-type"] == "text/markdown"
    assert "](https://forge.invalid/r/blob/HEAD/LICENSE)" in metadata["readme"]["text"]
