"""Rows of results: which a new measurement replaces, and how they are written."""

import pytest


@pytest.fixture
def cells(bench):
    return bench("cells")


def test_rows_of_other_models_stay_and_those_of_earlier_weights_go(cells, tmp_path):
    path, columns = tmp_path / "some.csv", ("model", "kind", "value")
    old = [
        {"model": "a@1", "kind": "x", "value": 1},
        {"model": "a@1", "kind": "y", "value": 2},
        {"model": "b@1", "kind": "x", "value": 3},
    ]
    assert cells.others(path, old) == []
    cells.write(path, columns, old)
    fresh = [{"model": "a@2", "kind": "x", "value": 4}]
    assert [row["value"] for row in cells.others(path, fresh)] == ["3"]
    by_kind = cells.others(path, fresh, lambda row: (cells.model_name(row), row["kind"]))
    assert [row["value"] for row in by_kind] == ["2", "3"]


def test_a_row_is_rounded_to_four_decimals(cells):
    assert cells.rounded({"a": 0.123456, "b": 7, "c": "x"}) == {"a": 0.1235, "b": 7, "c": "x"}
