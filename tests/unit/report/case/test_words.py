import pytest

from mesoscope.models.file import read_card, shipped
from mesoscope.report.case.items import ReportItem, tally
from mesoscope.report.case.words import (
    MEANINGS,
    score,
    selection_text,
    sentence,
    settings_rows,
    signed,
    size,
    summary,
    threshold_text,
    weaknesses,
)
from mesoscope.types import ModelCard, Thresholds
from mesoscope.types.label import ANSWER_NAMES, REASON_TEXTS

CUT = Thresholds(0.3, 0.7)


def test_answers_in_sentences(verdict_of, unreadable):
    assert sentence(verdict_of("a", 0.93), CUT) == (
        "Called fake: p_fake is 0.930, at or above the threshold 0.7."
    )
    assert sentence(verdict_of("a", 0.1), CUT) == (
        "No sign of a forgery known to this model: p_fake is 0.100, below the threshold 0.3."
    )
    assert sentence(verdict_of("a", 0.1), None) == (
        "No sign of a forgery known to this model: p_fake is 0.100."
    )
    assert sentence(verdict_of("a", 0.5), CUT) == (
        "Inconclusive: p_fake is 0.500, and the score lies between the model's two thresholds."
    )
    assert sentence(verdict_of("a", None, reason="no_face", faces=()), CUT) == (
        "No answer: no face was found."
    )
    assert sentence(unreadable("a", "truncated"), CUT) == "Not readable: truncated."


def test_reasons_that_a_newer_version_may_have_are_shown(verdict_of):
    assert sentence(verdict_of("a", None, reason="too_dark"), CUT) == "No answer: too_dark."


def test_every_label_is_explained():
    assert [label for label, _ in MEANINGS] == list(ANSWER_NAMES)
    assert {"few_frames", "no_face", "face_too_small", "unfamiliar"} <= set(REASON_TEXTS)


@pytest.mark.parametrize(
    ("p_fake", "seen"),
    [(None, "–"), (1.0, ">0.999"), (0.9996, ">0.999"), (0.9994, "0.999"), (0.5, "0.500"),
     (0.0, "<0.001"), (0.0006, "0.001")],
)  # fmt: skip
def test_scores_are_never_a_certainty(p_fake, seen):
    assert score(p_fake) == seen


def test_all_answers_in_a_sentence(verdict_of, unreadable):
    found = tally(
        [ReportItem(v, None) for v in (verdict_of("a", 0.9), unreadable("b"))], pictures=1
    )
    assert summary(found) == "2 files: 1 fake, 1 not readable."
    assert (
        selection_text(found)
        == "Pictures and evidence are shown for every file that could be read."
    )
    assert summary(tally([], pictures=1)) == "0 files: nothing to judge."
    many = tally([ReportItem(verdict_of("a"), None)] * 3, pictures=2)
    assert "for the 2 most suspicious" in selection_text(many)
    assert "None is shown" in selection_text(tally([ReportItem(verdict_of("a"), None)], pictures=0))


def test_the_weakest_kind_stands_first():
    card = ModelCard(
        "m", "meso4",
        metrics={"by_source": {
            "good": {"auc": 0.99, "n": 1500, "intervals": {"auc": [0.98, 0.995]}, "decided": 0.9,
                     "error_among_decided": 0.01},
            "bad": {"auc": 0.6, "n": 40},
            "odd": {"auc": None},
        }},
    )  # fmt: skip
    bad, good = weaknesses(card)
    assert bad == ("bad", "40", "0.600", "", "–", "–")
    assert good == ("good", "1,500", "0.990", "0.980 – 0.995", "90.0\xa0%", "1.0\xa0%")
    assert weaknesses(ModelCard("m", "meso4")) == []
    assert weaknesses(ModelCard("m", "meso4", metrics={"by_source": 3})) == []


def test_the_default_model_tells_its_weak_kinds():
    kinds = weaknesses(read_card(shipped()["mesoscope"]))
    assert len(kinds) > 1
    assert [row.auc for row in kinds] == sorted(row.auc for row in kinds)


def test_signatures_and_settings_in_words():
    assert "not signed" in signed("")
    assert "by another way" in signed("ab12")
    assert "ab12" in signed("ab12")
    assert settings_rows({"min_face_px": 40, "fpr": None}) == [("fpr", "–"), ("min face px", "40")]


def test_dashed_lines_are_named():
    assert threshold_text(()) == ""
    assert threshold_text((0.5,)) == "The level dashed line is the threshold 0.5."
    assert threshold_text((0.3, 0.7)) == "The level dashed lines are the thresholds 0.3 and 0.7."


@pytest.mark.parametrize(
    ("n", "seen"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (20_149, "20.1 kB"), (999_600, "1 MB"),
     (3_400_000, "3.4 MB"), (5 * 10**9, "5 GB"), (7 * 10**12, "7 TB")],
)  # fmt: skip
def test_sizes(n, seen):
    assert size(n) == seen
