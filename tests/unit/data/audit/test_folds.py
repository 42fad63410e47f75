"""Cross-fitting: groups whole, classes even, and no leak of one's own label."""

import numpy as np

from mesoscope import metrics
from mesoscope.data.audit.cues import FOLDS, group_folds, target_rates


def test_groups_stay_whole_and_classes_even() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 300, 1500).astype(np.int32)
    labels = (groups % 3 == 0).astype(np.int8)
    folds = group_folds(groups, labels, seed=1)
    for group in np.unique(groups):
        assert len(set(folds[groups == group])) == 1
    shares = [labels[folds == fold].mean() for fold in range(FOLDS)]
    assert max(shares) - min(shares) < 0.15
    assert np.bincount(folds, minlength=FOLDS).min() > 200


def test_values_that_no_other_fold_has_say_nothing() -> None:
    labels = np.tile([0, 1], 100).astype(np.int8)
    alone = np.arange(200, dtype=np.int32)
    folds = group_folds(alone, labels, seed=0)
    assert np.allclose(target_rates(alone, labels, folds), 0)


def test_a_value_of_one_class_tells_it_whatever_its_code() -> None:
    labels = np.tile([0, 1], 100).astype(np.int8)
    groups = np.arange(200, dtype=np.int32)
    folds = group_folds(groups, labels, seed=0)
    for codes in (labels, 1 - labels):
        assert metrics.roc_auc(labels, target_rates(codes.astype(np.int32), labels, folds)) == 1


def test_chance_values_tell_nothing() -> None:
    rng = np.random.default_rng(3)
    labels = np.tile([0, 1], 1000).astype(np.int8)
    groups = np.arange(2000, dtype=np.int32)
    codes = rng.integers(0, 20, 2000).astype(np.int32)
    auc = metrics.roc_auc(labels, target_rates(codes, labels, group_folds(groups, labels, seed=0)))
    assert 0.4 < auc < 0.56
