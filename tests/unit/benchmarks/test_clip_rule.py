"""Rules that join a person's frames, and how they are compared without tuning on the answer."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
try:
    clip_rule = importlib.import_module("clip_rule")
finally:
    del sys.path[0]


def clip(label, group, logits, sides=None, turned=None):
    logits = np.array(logits, np.float64)
    fill = np.full(logits.size, 100.0)
    return clip_rule.Clip(
        label, group, logits, fill if sides is None else np.array(sides), fill,
        np.zeros(logits.size) if turned is None else np.array(turned),
    )  # fmt: skip


def test_rules_by_hand():
    rules = clip_rule.rules()
    one = clip(1, "g", np.log([1 / 9, 1 / 9, 1 / 9, 1 / 9, 9.0]), sides=[100, 100, 100, 100, 25.0])
    assert rules["trimmed mean of p"](one, 1) == pytest.approx(0.1)
    assert rules["mean of p"](one, 1) == pytest.approx((4 * 0.1 + 0.9) / 5)
    assert rules["median of p"](one, 1) == pytest.approx(0.1)
    assert rules["mean of the highest quarter"](one, 1) == pytest.approx(0.9)
    assert rules["mean logit"](one, 1) == pytest.approx(-3 / 5 * np.log(9))
    # The small face has a quarter of a vote.
    assert rules["mean of p by size"](one, 1) == pytest.approx((0.4 + 0.9 / 4) / 4.25)
    assert rules["noisy or"](one, 1) == pytest.approx(-np.log(0.9**4 * 0.1))
    turned = clip(1, "g", [0, np.log(9)], turned=[0, 0.5])
    assert rules["mean of p by pose"](turned, 1) == pytest.approx((0.5 + 0.45) / 1.5)


def test_thresholds_come_from_other_groups():
    rule = clip_rule.rules()["mean of p"]
    clips = [clip(n % 2, f"g{n}", [4.0 * (n % 2) - 2] * 3) for n in range(40)]
    scores, answers, _ = clip_rule.crossed(clips, rule)
    assert answers == ["real" if s < 0.5 else "inconclusive" if s == 0 else "fake" for s in scores]
    alone = [*clips, clip(0, "odd", [9.0] * 3)]
    _, answers, _ = clip_rule.crossed(alone, rule)
    assert answers[-1] == "fake"  # its own score has not moved the threshold that judges it


def test_a_quarter_of_the_frames_is_forged_and_the_rest_is_the_original():
    real, fake = clip(0, "g", [-1.0] * 12), clip(1, "g", [1.0] * 12)
    same, mixed = clip_rule.partly([real, fake, clip(1, "alone", [1.0] * 12)])
    assert same is real
    assert (mixed.label, mixed.logits.tolist()) == (1, [-1.0] * 9 + [1.0] * 3)


def test_frames_of_a_still_face_go_through_a_codec(make_face):
    pictures, sides = clip_rule._animated(make_face(1, 200), np.random.default_rng(0))
    decoded = clip_rule._encoded(pictures, 36)
    assert len(decoded) == len(sides) == 12
    assert decoded[0].shape == (256, 256, 3)
    assert 0 < np.abs(decoded[0].astype(int) - pictures[0]).mean() < 20
