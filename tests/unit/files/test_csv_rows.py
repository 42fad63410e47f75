"""Rows of CSV stay one record, and act nowhere."""

import csv
import io
from pathlib import Path

import pytest

import mesoscope
from mesoscope.files.escape import RowWriter, csv_row, defused
from mesoscope.scan.sinks import Csv
from mesoscope.types import Verdict

NAMES = [
    "plain.jpg",
    "a\rb.jpg",
    "a\nb.jpg",
    "a\r\nb.jpg",
    'quo"te,.jpg',
    " = .jpg",
    "naïve 你.jpg",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_one_record_that_comes_back(name):
    assert next(csv.reader([csv_row([name, 1, None])], strict=True)) == [name, "1", ""]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\tx", "\rx", '=HYPERLINK("x","y")'])
def test_formulas_are_defused_and_numbers_are_not(name):
    assert next(csv.reader([csv_row([name])])) == [f"'{name}"]
    assert [defused(-1.5), defused(None), defused("a=1")] == [-1.5, None, "a=1"]


@pytest.mark.parametrize("number", ["-0.0123", "-12.5", "-1.0e-05", "0.5"])
def test_a_formatted_number_stays_a_number(number):
    assert csv_row([number]) == number
    assert csv_row([number + "+1"]) in (f"'{number}+1", "0.5+1")


def test_the_sink_round_trips(tmp_path):
    with Csv(tmp_path / "x.csv") as sink:
        for name in NAMES:
            sink.write(Verdict(source=name, kind="image", label=None, p_fake=None, model="m@1",
                               reason="no_face", frames_read=1))  # fmt: skip
    with (tmp_path / "x.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file, strict=True)][1:] == NAMES


AWKWARD = ["plain", "a,b", 'quo"te', "line\nfeed", "carriage\rreturn", "both\r\n", "\r", " x ", "é"]


def test_rows_that_are_read_back_keep_every_cell():
    file = io.StringIO()
    writer = RowWriter(file, defuse=False)
    rows = [AWKWARD, ["=1+1", "-x", "+y", "@z"], ["", "1", "0.5"]]
    writer.writerows(rows)
    assert list(csv.reader(io.StringIO(file.getvalue(), newline=""))) == rows


def test_rows_for_people_hold_no_formula_and_stay_whole():
    file = io.StringIO()
    RowWriter(file, defuse=True).writerow([*AWKWARD, "=1+1", -3, None])
    (row,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert row == [
        *("'" + cell if cell.startswith("\r") else cell for cell in AWKWARD), "'=1+1", "-3", ""
    ]  # fmt: skip


def test_no_table_is_written_without_it():
    """csv.writer leaves a bare carriage return unquoted in some versions of Python."""
    root = Path(mesoscope.__file__).parent
    found = [p.name for p in root.rglob("*.py") if "csv.writer(" in p.read_text("utf-8")]
    assert found == ["escape.py"]
