"""The templates of the pages: what would be printed as it stands in them."""

from pathlib import Path

import jinja2
import pytest

from mesoscope import report

TEMPLATES = sorted((Path(report.__file__).parent / "templates").glob("*.jinja"))


def test_templates_are_found():
    assert {path.name for path in TEMPLATES} >= {"audit.html.jinja", "evaluation.html.jinja"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_text_holds_an_expression_that_is_not_evaluated(path):
    """Inside a string of an expression, ``{{ items }}`` is text, and a reader sees the braces."""
    tokens = jinja2.Environment(autoescape=True).lex(path.read_text("utf-8"))
    texts = [text for _, kind, text in tokens if kind == "string"]
    assert [text for text in texts if "{{" in text or "{%" in text] == []
