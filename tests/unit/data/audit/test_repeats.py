"""Copies: the same file and nearly the same picture, and what they are called."""

from dataclasses import replace

import numpy as np
import pytest

from mesoscope.data.audit.leaks import group_findings, repeat_findings
from mesoscope.data.audit.repeats import near_repeats, same_files


def copied(facts, pairs, *, mirrored=False, exact=False):
    """The same facts where each second of the pairs is a copy of the first."""
    hashes, thumbs, digests = facts.hashes.copy(), facts.thumbnails.copy(), facts.sha256.copy()
    for first, second in pairs:
        hashes[second] = hashes[first, ::-1] if mirrored else hashes[first]
        thumbs[second] = thumbs[first][:, ::-1] if mirrored else thumbs[first]
        if exact:
            digests[second] = digests[first]
    return replace(facts, hashes=hashes, thumbnails=thumbs, sha256=digests)


def kinds(facts):
    return {finding.kind: finding for finding in repeat_findings(facts, near_repeats(facts))}


def test_strangers_are_no_copies(make_facts) -> None:
    facts = make_facts(np.tile([0, 1], 100))
    assert same_files(facts) == []
    assert len(near_repeats(facts)) == 0
    assert kinds(facts) == {}


@pytest.mark.parametrize("mirrored", [False, True])
def test_near_copies_across_splits(make_facts, mirrored) -> None:
    facts = make_facts(np.tile([0, 1], 20), splits=["train"] * 30 + ["validation"] * 10)
    facts = copied(facts, [(30, 2), (31, 3)], mirrored=mirrored)
    near = near_repeats(facts)
    assert {tuple(sorted(pair)) for pair in zip(near.first, near.second, strict=True)} == {
        (2, 30),
        (3, 31),
    }
    assert near.mirrored.all() == mirrored
    finding = kinds(facts)["repeats.across_splits"]
    assert finding.severity == "severe"
    assert "20.0 %" in finding.title
    # What is judged on stays; what is trained on gives way.
    assert set(finding.drop) == {"0002.jpg", "0003.jpg"}
    assert {example.split for example in finding.examples} == {"train", "validation"}


def test_a_hash_alone_makes_no_copy(make_facts) -> None:
    """Faces that are cut alike have near hashes; the thumbnails tell them apart."""
    facts = make_facts(np.zeros(10, int))
    hashes = facts.hashes.copy()
    hashes[1] = hashes[0]
    assert len(near_repeats(replace(facts, hashes=hashes))) == 0


def test_blank_pictures_are_no_copies(make_facts) -> None:
    facts = make_facts(np.zeros(10, int), numbers={"spread": np.ones(10)})
    assert len(near_repeats(copied(facts, [(0, 1)]))) == 0


def test_frames_of_one_group_are_meant_to_be_alike(make_facts) -> None:
    facts = make_facts(np.zeros(12, int), groups=np.arange(12) // 2)
    assert kinds(copied(facts, [(0, 1), (2, 3)])) == {}
    assert set(kinds(copied(facts, [(0, 5)]))) == {"repeats.within_split"}


def test_a_forgery_is_like_its_original_and_that_is_a_note(make_facts) -> None:
    facts = copied(make_facts(np.tile([0, 1], 10), groups=np.arange(20) // 2), [(0, 1), (2, 3)])
    found = kinds(facts)
    assert set(found) == {"repeats.near_both_labels"}
    assert found["repeats.near_both_labels"].severity == "note"
    assert not found["repeats.near_both_labels"].drop


def test_thousands_of_copies_are_all_found_and_not_all_paired(make_facts) -> None:
    """A picture that was saved 3,000 times over, with other metadata each: no 4.5 million pairs."""
    facts = make_facts(np.zeros(3000, int), splits=["train"] * 2900 + ["validation"] * 100)
    facts = copied(facts, [(0, row) for row in range(1, 3000)])
    near = near_repeats(facts)
    assert len(near) < 150_000
    assert set(near.first) | set(near.second) == set(range(3000))
    found = kinds(facts)["repeats.across_splits"]
    assert found.count == 3000
    assert set(found.drop) == {f"{row:04}.jpg" for row in range(2900)}


def test_one_page_of_an_error_in_place_of_many_pictures_is_no_copy(make_facts) -> None:
    facts = copied(make_facts(np.tile([0, 1], 10)), [(0, 1), (0, 2)], exact=True)
    facts = replace(facts, unreadable=dict.fromkeys((0, 1, 2), "no picture"))
    assert same_files(facts) == []
    assert kinds(facts) == {}


def test_a_file_twice_in_one_split_and_once_in_another_ends_as_one(make_facts) -> None:
    facts = make_facts(np.zeros(30, int), splits=["train"] * 20 + ["validation"] * 10)
    facts = copied(facts, [(25, 26), (25, 3)], exact=True)
    found = kinds(facts)
    assert set(found["repeats.across_splits"].drop) == {"0003.jpg"}
    assert set(found["repeats.within_split"].drop) == {"0026.jpg"}


def test_the_same_file_under_both_labels_is_severe_and_all_of_it_goes(make_facts) -> None:
    facts = copied(make_facts(np.tile([0, 1], 10)), [(0, 1)], exact=True)
    finding = kinds(facts)["repeats.both_labels"]
    assert (finding.severity, finding.action) == ("severe", "drop")
    assert set(finding.drop) == {"0000.jpg", "0001.jpg"}


def test_a_file_that_is_there_three_times_loses_two(make_facts) -> None:
    facts = copied(make_facts(np.zeros(12, int)), [(4, 7), (4, 9)], exact=True)
    (rows,) = same_files(facts)
    assert sorted(rows) == [4, 7, 9]
    finding = kinds(facts)["repeats.within_split"]
    assert len(finding.drop) == 2


def test_test_keeps_before_validation_and_validation_before_train(make_facts) -> None:
    splits = ["train"] * 6 + ["validation"] * 3 + ["test"] * 3
    facts = copied(make_facts(np.zeros(12, int), splits=splits), [(9, 6), (9, 0)], exact=True)
    assert set(kinds(facts)["repeats.across_splits"].drop) == {"0000.jpg", "0006.jpg"}


def test_a_group_in_two_splits(make_facts) -> None:
    splits = ["train"] * 8 + ["validation"] * 4
    facts = make_facts(
        np.zeros(12, int), splits=splits, groups=[0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4]
    )
    (finding,) = group_findings(facts)
    assert finding.severity == "severe"
    assert "1 group" in finding.title
    assert finding.count == 3
    assert group_findings(make_facts(np.zeros(4, int))) == []


def test_one_name_of_a_group_in_two_sources_is_two_groups(make_facts) -> None:
    facts = make_facts(
        [0, 1], sources=["a", "b"], groups=["x", "x"], splits=["train", "validation"]
    )
    assert group_findings(facts) == []
