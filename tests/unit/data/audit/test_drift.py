"""What differs between splits and sources, and which source tells a class."""

import numpy as np
import pytest

from mesoscope.data.audit.drift import drift_findings, encoding_findings
from mesoscope.data.audit.options import AuditOptions
from mesoscope.data.audit.repeats import near_repeats
from mesoscope.data.audit.sources import source_findings

FEW = AuditOptions(resamples=40)
N = 200
LABELS = np.tile([0, 1], N // 2)
SPLITS = ["train"] * 140 + ["validation"] * 60


@pytest.mark.parametrize(("held", "severity"), [(1.2, "note"), (4, "warning")])
def test_sharper_validation_is_told(make_facts, held, severity) -> None:
    rng = np.random.default_rng(0)
    sharp = rng.normal(0, 1, N) + held * (np.array(SPLITS) == "validation")
    (finding,) = drift_findings(
        make_facts(LABELS, splits=SPLITS, numbers={"sharpness": sharp}), FEW
    )
    assert (finding.kind, finding.severity, finding.scope) == ("splits.differ", severity, "a")
    assert "validation differs from train in sharpness" in finding.title
    assert {example.split for example in finding.examples} == {"train", "validation"}


def test_another_format_in_one_split_is_told(make_facts) -> None:
    words = {"format": ["png" if split == "train" else "jpeg" for split in SPLITS]}
    (finding,) = drift_findings(make_facts(LABELS, splits=SPLITS, words=words), FEW)
    assert "file format" in finding.title


def test_splits_by_chance_do_not_differ(make_facts) -> None:
    rng = np.random.default_rng(1)
    facts = make_facts(LABELS, splits=SPLITS, numbers={"sharpness": rng.normal(0, 1, N)})
    assert drift_findings(facts, FEW) == []
    assert drift_findings(make_facts(LABELS), FEW) == []


def test_names_do_not_make_splits_differ(make_facts) -> None:
    words = {"name_words": SPLITS, "folder": SPLITS}
    assert drift_findings(make_facts(LABELS, splits=SPLITS, words=words), FEW) == []


def test_sources_that_their_encoding_names(make_facts) -> None:
    sources = np.where(np.arange(N) < N // 2, "a", "b")
    sizes = ["64×64" if source == "a" else "32×32" for source in sources]
    facts = make_facts(LABELS, sources=sources, words={"size": sizes, "format": ["jpeg"] * N})
    (finding,) = encoding_findings(facts)
    assert "100 %" in finding.title
    assert "50 %" in finding.title
    assert "b: jpeg, 32×32" in finding.detail
    alike = make_facts(LABELS, sources=sources, words={"size": ["64×64"] * N})
    assert encoding_findings(alike) == []


def test_a_source_that_tells_the_class(make_facts) -> None:
    facts = make_facts(LABELS, sources=np.where(LABELS == 1, "gan", "camera"))
    found = {f.kind: f for f in source_findings(facts, near_repeats(facts))}
    assert found["sources.tell"].severity == "severe"
    assert found["groups.unknown"].severity == "note"
    even = make_facts(LABELS, sources=np.where(np.arange(N) < 100, "a", "b"))
    assert "sources.tell" not in {f.kind for f in source_findings(even, near_repeats(even))}


def test_small_sources_and_those_of_one_split(make_facts) -> None:
    sources = ["big"] * 180 + ["little"] * 20
    splits = ["train"] * 100 + ["validation"] * 80 + ["validation"] * 20
    facts = make_facts(LABELS, sources=sources, splits=splits)
    found = {f.kind: f for f in source_findings(facts, near_repeats(facts))}
    assert "little (20)" in found["sources.small"].title
    assert found["sources.one_split"].scope == "little"
