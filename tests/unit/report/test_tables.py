"""Rows of the page: calibration beside chance, decisions, and what the card says of the fit."""

import dataclasses

import pytest

from mesoscope import metrics
from mesoscope.report.record import Prediction
from mesoscope.report.tables import (
    AlarmReport,
    TrueShare,
    alarm_rows,
    calibration_rows,
    decision_rows,
    fit_rows,
)


def test_each_source_stands_beside_its_chance(evaluation):
    rows = calibration_rows(evaluation)
    assert [row.source for row in rows] == ["one", "two", "all together"]
    values = evaluation.overall.values
    whole = rows[-1]
    assert (whole.ece, whole.by_chance) == (
        f"{values['ece']:.3f}", f"{values['ece_by_chance']:.3f}"
    )  # fmt: skip
    expected = "beyond" if values["ece"] > values["ece_by_chance_high"] else "within"
    assert whole.verdict == f"{expected} chance"


@pytest.mark.parametrize(("p_fake", "verdict"), [(0.5, "within"), (0.99, "beyond")])
def test_false_promises_lie_beyond_chance(evaluated, p_fake, verdict):
    items = [Prediction(f"{i}", i % 2, "s", str(i), "test", p_fake) for i in range(400)]
    (row,) = calibration_rows(evaluated(items))
    assert row.verdict == f"{verdict} chance"


def test_decisions_beside_deciding_all(evaluation):
    *_, row = decision_rows(evaluation)
    values = evaluation.overall.values
    assert row.error_of_all == f"{100 - 100 * values['accuracy']:.1f}\N{NO-BREAK SPACE}%"
    ratio = values["error_among_decided"] / (1 - values["accuracy"])
    assert row.ratio == f"{ratio:.2f}"


def test_nothing_decided_and_no_error_have_no_ratio(evaluated):
    unclear = [Prediction(f"{i}", i % 2, "s", str(i), "test", 0.5) for i in range(4)]
    (row,) = decision_rows(evaluated(unclear))
    assert (row.error_among_decided, row.ratio) == ("–", "–")
    right = [
        Prediction(f"{i}", i % 2, "s", str(i), "test", float(i % 2), ("real", "fake")[i % 2])
        for i in range(4)
    ]
    (row,) = decision_rows(evaluated(right))
    assert row.ratio == "–"


def test_the_fit_is_told_from_the_card(evaluation):
    assert fit_rows(evaluation) == []
    told = {
        "before": {"ece": 0.1, "nll": 0.7}, "after": {"ece": 0.02, "nll": 0.6},
        "cross_fitted": None,
    }  # fmt: skip
    card = dataclasses.replace(evaluation.card, metrics={"calibration": told})
    rows = fit_rows(dataclasses.replace(evaluation, card=card))
    assert [row[1:] for row in rows] == [("0.100", "0.700"), ("0.020", "0.600")]


def test_alarms_are_rows_and_what_is_missing_is_said():
    alarms = metrics.alarms_at([0, 0, 1, 1], [0.1, 0.8, 0.9, 0.2], 0.5)
    share = TrueShare(0.01, *metrics.true_share(alarms, 0.01))
    reports = (
        AlarmReport("label", None, alarms, (share,)),
        AlarmReport("here", 0.01, missing="too few reals"),
    )
    rows, missing = alarm_rows(reports)
    assert rows[0][-1] == "true alarms at 0.01"
    assert rows[1][0] == "label fake"
    assert rows[1][1] == "0.5000"
    assert rows[1][2].startswith("0.500 [")
    assert rows[1][4].startswith("0.010 [")
    assert len(rows) == 2
    assert missing == ["chosen on this data, FPR 0.01: too few reals"]


def test_one_class_has_no_rate_to_show():
    rows, _ = alarm_rows((AlarmReport("label", None, metrics.alarms_at([0], [0.1], 0.5)),))
    assert rows[1][3] == "–"
