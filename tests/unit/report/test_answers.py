"""What a user is told, counted: against counts and intervals worked out by hand."""

import csv

import pytest

from mesoscope.report.record import Prediction
from mesoscope.report.tables import answer_rows, count_answers, write_answer_counts

ERROR = {"code": "source.unreadable", "message": "broken"}


def item(number, label, verdict, *, source="one", group=None, error=None):
    return Prediction(
        f"{number}.mp4", label, source, group or str(number), "", 0.5 if verdict else None,
        verdict, error=error, kind="clip",
    )  # fmt: skip


@pytest.fixture
def items():
    """Ten genuine ones of two sources and two forged ones."""
    answers = ["fake", "real", "real", "real", "real", "real", "inconclusive", "inconclusive"]
    made = [item(n, 0, answer, source="two" if n == 1 else "one") for n, answer in
            enumerate(answers)]  # fmt: skip
    made += [item(8, 0, None), item(9, 0, None, error=ERROR), item(10, 1, "real"),
             item(11, 1, "fake")]  # fmt: skip
    return made


def test_counts_and_exact_intervals(items):
    rows = {(row.source, row.label): row for row in count_answers(items)}
    assert set(rows) == {("all", "real"), ("all", "fake"), ("one", "real"), ("one", "fake"),
                         ("two", "real")}  # fmt: skip
    row = rows["all", "real"]
    assert row.n == 10
    assert row.counts == {"fake": 1, "real": 5, "inconclusive": 2, "none": 1, "unreadable": 1}
    # Of the tables of Clopper & Pearson: 1 of 10 and 5 of 10.
    assert row.intervals["fake"] == pytest.approx((0.002529, 0.445016), abs=1e-6)
    assert row.intervals["real"] == pytest.approx((0.187086, 0.812914), abs=1e-6)
    # Nothing of n: 1 - .025^(1/n).
    forged = rows["all", "fake"].intervals["inconclusive"]
    assert forged == pytest.approx((0, 1 - 0.025 ** (1 / 2)))
    assert rows["two", "real"].counts["real"] == rows["two", "real"].n == 1


def test_those_of_one_group_are_taken_to_be_answered_together():
    alone = count_answers([item(n, 0, "real") for n in range(8)])[0]
    four = count_answers([item(n, 0, "real", group=f"g{n // 2}") for n in range(8)])[0]
    assert alone.intervals["fake"][1] == pytest.approx(1 - 0.025 ** (1 / 8))
    assert four.intervals["fake"][1] == pytest.approx(1 - 0.025 ** (1 / 4))
    namesakes = count_answers([item(n, 0, "real", source=f"s{n}", group="g") for n in range(8)])[0]
    assert namesakes.intervals == alone.intervals  # a group counts within its source


def test_one_source_is_told_once_and_no_items_give_no_rows(items):
    assert [row.source for row in count_answers(items[2:])] == ["all", "all"]
    assert count_answers([]) == []


def test_the_table_and_the_file(items, tmp_path):
    head, first, *_ = answer_rows(count_answers(items))
    assert head[3:] == ("fake", "real", "inconclusive", "none", "unreadable")
    assert first[:4] == ("real ones told", "all", "10", "1: 0.100 [0.003, 0.445]")
    write_answer_counts(count_answers(items), tmp_path / "told.csv")
    with (tmp_path / "told.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 5
    assert rows[0] == {
        "label": "real", "source": "all", "told": "fake", "count": "1", "n": "10",
        "share": "0.100000", "low": "0.002529", "high": "0.445016",
    }  # fmt: skip
    assert sum(int(row["count"]) for row in rows if row["source"] == "all") == len(items)
