"""The card of a model file as a page, also where the file says little."""

from mesoscope.training.export.card import card_markdown
from mesoscope.training.export.card_figures import with_decisions
from mesoscope.types import ModelCard, Thresholds


def test_a_card_without_figures_says_so():
    page = card_markdown(ModelCard("bare", "none", thresholds=Thresholds(0.4, 0.6, "by hand")))
    assert "Not recorded." in page
    assert "Not measured: the file holds no figures." in page
    assert "| calibration | none |" in page
    assert "| rule | by hand |" in page
    assert "Origin" not in page
    assert "None" not in page


def test_shares_of_decided_faces_are_those_of_the_newest_thresholds():
    old, new = ({"decided": d, "error_among_decided": e} for d, e in ((0.7, 0.2), (0.5, 0.1)))
    metrics = {
        "auc": 0.9, **old,
        "by_source": {"a": {"auc": 0.8, **old}},
        "decisions": {**new, "by_source": {"a": dict(new)}},
    }  # fmt: skip
    found = with_decisions(metrics)
    assert {key: found[key] for key in new} == new
    assert found["by_source"]["a"] == {"auc": 0.8, **new}
    assert metrics["decided"] == 0.7, "the original stays as it is"
    assert with_decisions({"decided": 0.7}) == {"decided": 0.7}
