"""Labels, reasons and their words: complete, and written in one module alone."""

import ast
from pathlib import Path

import pytest

import mesoscope
from mesoscope.types.label import (
    ANSWER_NAMES,
    ANSWER_TEXTS,
    ANSWERS,
    CLASSES,
    LABELS,
    REASON_TEXTS,
    REASONS,
    answer_of,
    as_sentence,
    reason_text,
)

SOURCE = Path(mesoscope.__file__).parent
HOME = SOURCE / "types/label.py"


def test_everything_that_can_be_said_has_its_words():
    assert set(ANSWER_NAMES) == set(ANSWER_TEXTS) == set(ANSWERS) == {*LABELS, "none", "unreadable"}
    assert set(REASON_TEXTS) == set(REASONS)
    assert CLASSES == ("real", "fake")  # real = 0, fake = 1


def test_clauses_become_sentences():
    for clause in (*ANSWER_TEXTS.values(), *REASON_TEXTS.values()):
        assert clause[0].islower()
        assert not clause.endswith(".")
    assert as_sentence(REASON_TEXTS["no_face"]) == "No face was found."
    assert as_sentence("") == ""


def test_a_reason_of_a_later_version_is_shown_as_it_is():
    assert reason_text("of_tomorrow") == "of_tomorrow"
    assert reason_text(None) == ""


@pytest.mark.parametrize(
    ("label", "failed", "answer"),
    [("fake", False, "fake"), (None, False, "none"), (None, True, "unreadable")],
)
def test_an_answer_is_the_label_or_why_there_is_none(label, failed, answer):
    assert answer_of(label, failed=failed) == answer


def _texts(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}


def _sets_of_texts(path):
    """Tuples, sets and subscripts that hold nothing but constants, such as a ``Literal``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Tuple | ast.Set | ast.List):
            values = [e.value for e in node.elts if isinstance(e, ast.Constant)]
            if len(values) == len(node.elts):
                yield set(values)


@pytest.mark.parametrize("path", [p for p in SOURCE.rglob("*.py") if p != HOME], ids=str)
def test_nobody_else_lists_or_words_them(path):
    clauses = {c for c in (*ANSWER_TEXTS.values(), *REASON_TEXTS.values()) if len(c) > 30}
    assert not _texts(path) & clauses, f"take them from {HOME.name}"
    for values in _sets_of_texts(path):
        assert not {*LABELS} <= values, f"take them from {HOME.name}"
        assert len(values & {*REASONS}) < 3, f"take them from {HOME.name}"
