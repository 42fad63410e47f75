"""Cues: what tells the classes is found in whatever direction, and what does not is not."""

import numpy as np
import pytest

from mesoscope.data.audit import severity
from mesoscope.data.audit.combined import combined_findings, cue_findings, measure_combined
from mesoscope.data.audit.cues import FACTS, codes_of, measure_cues
from mesoscope.data.audit.finding import SEVERITIES
from mesoscope.data.audit.options import AuditOptions

FEW = AuditOptions(resamples=40)
N = 200
LABELS = np.tile([0, 1], N // 2)


def of(cues, name, scope=""):
    return next(cue for cue in cues if (cue.name, cue.scope) == (name, scope))


def test_a_format_of_each_class_tells_all(make_facts) -> None:
    facts = make_facts(LABELS, words={"format": [("png", "jpeg")[y] for y in LABELS]})
    cue = of(measure_cues(facts, FEW), "format")
    assert (cue.auc, cue.low, cue.high) == (1, 1, 1)
    assert {(v.value, v.real, v.fake) for v in cue.values} == {
        ("png", N // 2, 0),
        ("jpeg", 0, N // 2),
    }
    finding = next(f for f in cue_findings(facts, [cue]) if f.kind == "cue.format")
    assert (finding.severity, finding.action) == ("severe", "encode")
    assert "1.00" in finding.title
    assert {example.says for example in finding.examples} == {
        "file format: png",
        "file format: jpeg",
    }


def test_a_cue_that_is_not_monotone_is_found(make_facts) -> None:
    """Reals of middling sizes, fakes both smaller and larger."""
    rng = np.random.default_rng(0)
    bits = np.where(LABELS == 0, rng.uniform(2, 3, N), rng.choice([1, 4], N) + rng.uniform(0, 1, N))
    cue = of(
        measure_cues(make_facts(LABELS, numbers={"bits_per_pixel": bits}), FEW), "bits_per_pixel"
    )
    assert cue.low > 0.9
    assert sum(v.real + v.fake for v in cue.values) == N


def test_a_fact_by_chance_is_none(make_facts) -> None:
    rng = np.random.default_rng(1)
    facts = make_facts(
        LABELS,
        words={"name_words": [str(v) for v in rng.integers(0, 10**9, N)]},
        numbers={"jpeg_quality": rng.integers(60, 96, N)},
    )
    cues = measure_cues(facts, FEW)
    assert {cue.name for cue in cues} >= {"name_words", "jpeg_quality"}
    assert all(cue.low < severity.FAINT for cue in cues)
    assert cue_findings(facts, cues) == []


def test_a_shortcut_within_one_source_counts(make_facts) -> None:
    """Two sources whose shortcuts are turned round: over both, nothing is told."""
    sources = ["a"] * (N // 2) + ["b"] * (N // 2)
    turned = [y == (s == "a") for y, s in zip(LABELS, sources, strict=True)]
    facts = make_facts(LABELS, sources=sources, words={"subsampling": [str(t) for t in turned]})
    cues = measure_cues(facts, FEW)
    assert of(cues, "subsampling").low < 0.6
    assert of(cues, "subsampling", "a").auc == of(cues, "subsampling", "b").auc == 1
    assert {f.scope for f in cue_findings(facts, cues) if f.kind == "cue.jpeg"} == {"a", "b"}
    together = {one.scope: one for one in measure_combined(facts, FEW)}
    assert together["a"].accuracy == 1


def test_a_fact_is_measured_among_those_that_have_it(make_facts) -> None:
    quality = np.where(np.arange(N) < N // 2, np.nan, 75 + LABELS)
    facts = make_facts(LABELS, numbers={"jpeg_quality": quality})
    assert (codes_of(facts, "jpeg_quality", np.arange(N)) == -1).sum() == N // 2
    cue = of(measure_cues(facts, FEW), "jpeg_quality")
    assert cue.real + cue.fake == N // 2
    assert cue.auc == 1


def test_too_few_groups_give_no_figure(make_facts) -> None:
    words = {"format": [("png", "jpeg")[y] for y in LABELS]}
    facts = make_facts(LABELS, groups=LABELS * 10 + np.arange(N) % 9, words=words)
    assert measure_cues(facts, FEW) == []
    assert measure_combined(facts, FEW) == []


def test_facts_that_only_tell_together_are_found(make_facts) -> None:
    """Format and coding are each even over the classes, and both together give the label."""
    rng = np.random.default_rng(2)
    one = rng.integers(0, 2, 400)
    labels = np.tile([0, 1], 200)
    facts = make_facts(
        labels,
        words={"format": [str(v) for v in one], "coding": [str(v) for v in one ^ labels]},
        numbers={"bits_per_pixel": rng.random(400)},
    )
    cues = measure_cues(facts, FEW)
    assert max(cue.low for cue in cues) < severity.CLEAR
    (both,) = measure_combined(facts, FEW)
    assert both.accuracy > 0.97
    assert {name for name, _ in both.uses[:2]} == {"format", "coding"}
    (finding,) = combined_findings([both], cues)
    assert finding.severity == "severe"
    assert "without looking at a face" in finding.title


def test_what_a_network_cannot_see_is_never_severe() -> None:
    for reach in ("file", "place", "content"):
        assert severity.cue_severity(reach, 1.0) == "warning"
    assert severity.cue_severity("pixels", 1.0) == "severe"


@pytest.mark.parametrize("reach", ["pixels", "file", "place", "content"])
def test_severity_rises_with_the_figure(reach) -> None:
    ranks = [
        SEVERITIES.index(how) if (how := severity.cue_severity(reach, low)) else len(SEVERITIES)
        for low in np.linspace(0.4, 1, 61)
    ]
    assert ranks == sorted(ranks, reverse=True)


def test_each_fact_has_a_title_and_a_family() -> None:
    assert all(fact.title and fact.family for fact in FACTS.values())
