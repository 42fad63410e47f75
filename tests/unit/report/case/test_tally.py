from hypothesis import given
from hypothesis import strategies as st

from mesoscope.report.case.items import BINS, ReportItem, distribution, tally, timeline
from mesoscope.types import FaceScore, Verdict


def items(verdicts):
    return [ReportItem(verdict, None) for verdict in verdicts]


def test_counts_and_the_choice(verdict_of, unreadable):
    found = tally(
        items(
            [
                verdict_of("a", 0.1),
                verdict_of("b", 0.8),
                unreadable("c"),
                verdict_of("d", 0.99, label="inconclusive", reason="unfamiliar"),
                verdict_of("e", 0.9),
                verdict_of("f", None, reason="no_face", faces=()),
            ]
        ),
        pictures=4,
    )
    assert found.total == 6
    assert found.labels == {"real": 1, "fake": 2, "unreadable": 1, "inconclusive": 1, "none": 1}
    assert found.scored == 4
    assert found.pictured == [4, 1, 3, 0]  # fakes, then what cannot be told, then the rest
    assert found.bins["fake"][16] == 1
    assert found.bins["inconclusive"][BINS - 1] == 1


def test_no_pictures_and_nothing_at_all(verdict_of):
    assert tally(items([verdict_of("a")]), pictures=0).pictured == []
    empty = tally([], pictures=3)
    assert (empty.total, empty.pictured) == (0, [])
    assert distribution(empty) == ([], 0)


@given(st.lists(st.floats(0, 1), max_size=60), st.integers(1, 5))
def test_the_most_suspicious_are_those_that_sorting_finds(scores, pictures):
    verdicts = [Verdict(str(i), "image", "real", p, "m@1") for i, p in enumerate(scores)]
    found = tally(items(verdicts), pictures=pictures)
    best = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:pictures]
    assert found.pictured == best
    assert found.scored == len(scores)


def test_bars_are_stacked(verdict_of):
    found = tally(items([verdict_of("a", 0.29), verdict_of("b", 0.31), verdict_of("c", 0.26),
                         verdict_of("d", 0.34)]), pictures=0)  # fmt: skip
    bars, most = distribution(found)
    assert most == 2
    assert [(bar.bin, bar.label, bar.low, bar.high, bar.n) for bar in bars] == [
        (5, "real", 0, 1, 2),
        (6, "inconclusive", 0, 1, 2),
    ]


def test_a_timeline_breaks_where_a_person_was_away(verdict_of):
    faces = tuple(
        FaceScore((0, 0, 9, 9), 1.0, 0.1 * person + 0.5, frame_index=i, time_s=i / 2, person=person)
        for i in range(10)
        for person in (0, 1)
        if person == 0 or i not in (4, 5)
    )
    line = timeline(verdict_of("a", kind="clip", faces=faces, duration_s=5.0))
    assert line.end_s == 5
    first, second = line.lines
    assert [len(run) for run in first.runs] == [10]
    assert [len(run) for run in second.runs] == [4, 4]
    assert second.runs[1][0] == (0.6, 0.6)
    assert timeline(verdict_of("a")) is None
    assert timeline(verdict_of("a", kind="clip", faces=())) is None
