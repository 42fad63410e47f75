"""Two sources that hold the same pictures: told once, as that, and by how much of each."""

from dataclasses import replace

import numpy as np
import pytest

from mesoscope.data.audit.leaks import repeat_findings
from mesoscope.data.audit.repeats import near_repeats
from mesoscope.data.audit.sources import source_findings

N = 200
SOURCES = np.where(np.arange(N) < 150, "a", "b")


def findings(facts):
    near = near_repeats(facts)
    return {one.kind: one for one in (*repeat_findings(facts, near), *source_findings(facts, near))}


def copy(facts, pairs):
    hashes, thumbnails = facts.hashes.copy(), facts.thumbnails.copy()
    for first, second in pairs:
        hashes[second], thumbnails[second] = hashes[first], thumbnails[first]
    return replace(facts, hashes=hashes, thumbnails=thumbnails)


@pytest.fixture
def shared_pictures(make_facts):
    """Ten reals of ``a`` stand in ``b``, too, and two of ``a`` look the same."""
    pairs = [(number, 150 + number) for number in range(0, 20, 2)]
    return copy(make_facts(np.tile([0, 1], N // 2), sources=SOURCES), [*pairs, (100, 102)])


def test_pictures_of_two_sources_are_told_by_source(shared_pictures) -> None:
    found = findings(shared_pictures)["repeats.across_sources"]
    assert found.title == "a and b hold the same real pictures: 10 of 150 and 10 of 50"
    assert (found.severity, found.count, found.drop) == ("warning", 20, ())
    beside = {(e.side_by_side, e.source) for e in found.examples}
    assert beside == {(number, source) for number in range(6) for source in "ab"}


def test_they_are_not_told_again_as_copies_within_a_split(shared_pictures) -> None:
    found = findings(shared_pictures)["repeats.within_split"]
    assert found.title == "1 pair of one split that look nearly the same"
    assert "Pairs: 1 in a." in found.detail


def test_where_all_repeats_are_of_two_sources_nothing_is_said_of_a_split(make_facts) -> None:
    facts = copy(make_facts(np.tile([0, 1], N // 2), sources=SOURCES), [(0, 150)])
    assert "repeats.within_split" not in findings(facts)
    assert findings(facts)["repeats.across_sources"].severity == "warning"


def test_a_fake_like_a_real_of_another_source_is_no_shared_picture(make_facts) -> None:
    facts = copy(make_facts(np.tile([0, 1], N // 2), sources=SOURCES), [(0, 151)])
    assert "repeats.across_sources" not in findings(facts)
    assert "repeats.near_both_labels" in findings(facts)


def test_pairs_across_splits_name_their_source(make_facts) -> None:
    splits = np.where(np.arange(N) % 4 < 2, "train", "validation")
    facts = copy(make_facts(np.tile([0, 1], N // 2), sources=SOURCES, splits=splits), [(160, 162)])
    detail = findings(facts)["repeats.across_splits"].detail
    assert detail.startswith("No pictures are the same file in two splits, and 1 pair")
    assert ": 1 in b." in detail
