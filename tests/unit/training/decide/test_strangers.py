import numpy as np
import pytest

from mesoscope.errors import OptionError
from mesoscope.training.decide.strangers import (
    Score,
    rescaled,
    shares,
    spread_of,
    thresholds,
    write_thresholds,
)


def scores(kind, source, label, values):
    return [Score(kind, source, label, float(p)) for p in values]


def test_thresholds_keep_both_promises_on_the_worst_source_and_kind():
    rng = np.random.default_rng(1)
    parts = {
        ("a", "one", 0): rng.beta(1, 6, 400),
        ("a", "two", 0): rng.beta(2, 3, 400),
        ("a", "one", 1): rng.beta(4, 2, 400),
        ("b", "three", 1): rng.beta(2, 3, 400),
    }
    cuts = thresholds([s for (k, n, y), p in parts.items() for s in scores(k, n, y, p)])
    for (_, _, label), p in parts.items():
        fake, real = shares(p, cuts)
        assert (fake if label == 0 else real) <= (0.02 if label == 0 else 0.15)
    # The worst of each is used to the full, but for the rounding.
    assert shares(parts["a", "two", 0], cuts)[0] >= 0.0175
    assert shares(parts["b", "three", 1], cuts)[1] >= 0.1475
    assert cuts.fake_above == round(cuts.fake_above, 4)
    assert cuts.real_below == round(cuts.real_below, 4)
    assert "left out" in cuts.rule


def test_where_both_promises_leave_no_room_one_cut_keeps_both():
    reals, fakes = np.linspace(0, 0.2, 100), np.linspace(0.8, 1, 100)
    cuts = thresholds([*scores("k", "s", 0, reals), *scores("k", "s", 1, fakes)])
    assert cuts.real_below == cuts.fake_above <= 0.8
    assert shares(reals, cuts)[0] <= 0.02
    assert shares(fakes, cuts)[1] == 0


def test_equal_scores_at_the_cut_do_not_break_the_promise():
    reals = np.array([0.9] * 10 + [0.1] * 90)
    cuts = thresholds([*scores("k", "s", 0, reals), *scores("k", "s", 1, [0.5] * 100)])
    assert shares(reals, cuts)[0] == 0
    assert shares(np.array([0.5] * 100), cuts)[1] == 0


def test_too_few_left_out_pictures_are_refused():
    with pytest.raises(OptionError, match="left-out source"):
        thresholds(scores("k", "s", 0, [0.1] * 49) + scores("k", "s", 1, [0.9] * 500))


def test_a_model_file_keeps_its_graph_and_its_scores(tmp_path):
    from mesoscope.detection.scorer import OnnxScorer, check_pictures
    from mesoscope.models.file import find_model, read_card, verify_bytes

    path = tmp_path / "copy.onnx"
    path.write_bytes(find_model("meso4").read_bytes())
    before = OnnxScorer(path)
    given = [
        *scores("k", "s", 0, np.linspace(0, 0.9, 100)),
        *scores("k", "s", 1, np.linspace(0.1, 1, 100)),
    ]
    text = tmp_path / "copy.md"
    text.write_text(find_model("meso4").with_suffix(".md").read_text("utf-8"), "utf-8")
    home = [*scores("home", "s", 0, [0.01, 0.5, 0.99]), *scores("home", "s", 1, [0.999] * 3)]
    cuts = write_thresholds(path, given, home)
    card = read_card(path)
    found = card.metrics["decisions"]
    assert card.metrics["decided"] == found["decided"]
    assert set(card.metrics["by_source"]) == set(before.card.metrics["by_source"])
    decided = [p for p in (0.01, 0.5, 0.99, *[0.999] * 3)
               if p >= cuts.fake_above or p < cuts.real_below]  # fmt: skip
    assert found["decided"] == round(len(decided) / 6, 4)
    assert found["by_source"]["s"]["decided"] == found["decided"]
    assert f"| fake | from p_fake {cuts.fake_above:.4f} on |" in text.read_text("utf-8")
    assert before.card.thresholds.rule not in text.read_text("utf-8")
    assert card.thresholds == cuts
    assert card.graph_sha256 == before.card.graph_sha256
    verify_bytes(path)
    after = OnnxScorer(path)
    pictures = check_pictures()
    np.testing.assert_array_equal(after.score(pictures).p_fake, before.score(pictures).p_fake)


def test_thresholds_that_also_hold_at_home_are_the_narrower_ones(tmp_path):
    from mesoscope.models.file import find_model, read_card

    path = tmp_path / "copy.onnx"
    path.write_bytes(find_model("meso4").read_bytes())
    strange = [
        *scores("k", "s", 0, np.linspace(0, 0.8, 100)),
        *scores("k", "s", 1, np.linspace(0.1, 1, 100)),
    ]
    home = [
        *scores("home", "a", 0, np.linspace(0, 0.95, 100)),
        *scores("home", "a", 1, np.linspace(0.5, 1, 100)),
    ]
    alone = write_thresholds(path, strange, home)
    both = write_thresholds(path, strange, home, at_home=True)
    assert alone.fake_above < 0.8 < both.fake_above
    assert sum(s.p_fake >= both.fake_above for s in home if not s.label) <= 2
    assert both.real_below == alone.real_below
    assert "the same at home" in both.rule
    assert read_card(path).thresholds == both


def test_scores_are_carried_to_a_surer_network_in_proportion():
    found = rescaled([Score("k", "s", 0, 0.5, 2.0), Score("k", "s", 1, 0.8, 2.0)], 4.0)
    assert found[0].p_fake == pytest.approx(0.5)
    assert found[1].p_fake == pytest.approx(16 / 17)  # odds of 4, squared
    assert {score.spread for score in found} == {4.0}
    assert 0 < rescaled([Score("k", "s", 0, 0.0, 1.0)], 9.0)[0].p_fake < 1e-9


def test_the_spread_is_that_of_logits():
    assert spread_of(np.array([0.2, 0.8])) == pytest.approx(np.log(4))
