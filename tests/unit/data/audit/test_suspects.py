"""Labels that a model doubts: turned ones are found, and a model that knows nothing doubts none."""

import numpy as np
import pytest

from mesoscope.data.audit.options import AuditOptions
from mesoscope.data.audit.suspects import (
    face_findings,
    label_findings,
    label_findings_of_scores,
    suspected_labels,
)

OPTIONS = AuditOptions(resamples=20)


def scored(rng, labels, apart):
    """Scores of a model whose log-odds of the classes lie so far apart."""
    return 1 / (1 + np.exp(-(rng.normal(0, 1, len(labels)) + apart * (labels - 0.5))))


@pytest.fixture
def turned(make_facts):
    """600 pictures with 12 labels turned round: the facts, the scores, and which."""
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 300)
    scores = scored(rng, labels, 6)
    wrong = rng.choice(600, 12, replace=False)
    labels[wrong] = 1 - labels[wrong]
    return make_facts(labels), scores, set(wrong.tolist())


def test_turned_labels_are_listed_the_surest_first(turned) -> None:
    facts, scores, wrong = turned
    found, missed, p_label = suspected_labels(facts, scores, OPTIONS)
    assert missed == []
    assert len(wrong & set(found.tolist())) >= 9
    assert len(set(found.tolist()) - wrong) <= 6
    assert np.all(np.diff(p_label[found]) >= 0)
    (finding,), _ = label_findings_of_scores(facts, scores, OPTIONS)
    assert finding.kind == "labels.suspected"
    assert finding.count == len(found)
    assert finding.action == ""
    assert "called" in finding.examples[0].says


def test_right_labels_are_hardly_doubted(make_facts) -> None:
    labels = np.tile([0, 1], 300)
    found, *_ = suspected_labels(
        make_facts(labels), scored(np.random.default_rng(1), labels, 6), OPTIONS
    )
    assert len(found) <= 6


def test_a_model_that_hardly_tells_the_classes_doubts_nothing(make_facts) -> None:
    labels = np.tile([0, 1], 300)
    scores = scored(np.random.default_rng(2), labels, 0.5)
    findings, missed = label_findings_of_scores(make_facts(labels), scores, OPTIONS)
    assert findings == []
    assert "doubts mean something" in missed[0]


def test_scores_that_are_missing_are_left_out(turned) -> None:
    facts, scores, _ = turned
    scores[:100] = np.nan
    found, _, p_label = suspected_labels(facts, scores, OPTIONS)
    assert found.min() >= 100
    assert np.isnan(p_label[:100]).all()


def test_few_pictures_are_said_to_be_too_few(make_facts) -> None:
    labels = np.tile([0, 1], 5)
    assert label_findings_of_scores(make_facts(labels), labels.astype(float), OPTIONS) == (
        [],
        ["Wrong labels in a: too few pictures."],
    )


def test_the_shipped_model_scores_real_files(make_dataset) -> None:
    from mesoscope.data.audit.facts import read_facts
    from mesoscope.data.manifest import read_dataset

    root = make_dataset(train=6, validation=6)
    facts = read_facts(read_dataset(root), root=root)
    seen = []

    def watch(what, items, total):
        seen.append((what, total))
        return items

    findings, missed = label_findings(facts, OPTIONS, watch)
    assert seen == [("Scoring", 24)]
    # Drawn faces are no faces that it knows; either it says so, or it lists them as findings do.
    assert missed or all(finding.kind == "labels.suspected" for finding in findings)


def test_pictures_without_a_face_are_told(tmp_path, astronaut_face) -> None:
    import cv2

    from mesoscope.data.audit.facts import read_facts
    from mesoscope.data.manifest import read_dataset

    rng = np.random.default_rng(0)
    for name, pixels in (("face", astronaut_face), ("noise", rng.integers(0, 256, (224, 224, 3)))):
        for label in ("real", "fake"):
            folder = tmp_path / "train" / label
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{name}.png"), pixels[:, :, ::-1].astype(np.uint8))
    facts = read_facts(read_dataset(tmp_path), root=tmp_path)
    watch = lambda _what, items, _n: items  # noqa: E731
    (finding,), missed = face_findings(facts, AuditOptions(check_faces=5), watch)
    assert missed == []
    assert finding.count == 2
    assert {example.path for example in finding.examples} == {
        "train/real/noise.png",
        "train/fake/noise.png",
    }
