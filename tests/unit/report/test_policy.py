"""Every page that mesoscope writes says what a browser may load for it: nothing from elsewhere."""

import re
from pathlib import Path

import pytest

import mesoscope.report

TEMPLATES = Path(mesoscope.report.__file__).parent / "templates"
PAGES = sorted(p.name for p in TEMPLATES.iterdir() if "<!doctype html>" in p.read_text("utf-8"))


def test_the_pages_are_known():
    assert PAGES == ["audit.html.jinja", "case.html.jinja", "evaluation.html.jinja"]
    package = TEMPLATES.parents[1]
    written = [p.name for p in package.rglob("*.py") if "<!doctype" in p.read_text("utf-8").lower()]
    assert written == ["kinds.py"]  # which tells web pages from pictures, and writes none
    # whoever writes a page writes it from one of these templates


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_a_content_security_policy(page):
    text = (TEMPLATES / page).read_text("utf-8")
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', text)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in rules.get("script-src", "")
    assert text.index("Content-Security-Policy") < text.index("<style")
