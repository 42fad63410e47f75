"""Times that fit together, and such that do not."""

import datetime as dt

import pytest

from mesoscope.media.provenance.times import Moment, times

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
TAKEN, DIGITISED, CHANGED, TAKEN_ZONE, CHANGED_ZONE = 0x9003, 0x9004, 0x0132, 0x9011, 0x9010


def moments(**texts):
    return [Moment(name, "EXIF", text) for name, text in texts.items()]


def findings(**texts):
    return {f.field: f for f in times(moments(**texts), now=NOW)}


def test_a_lone_time_is_told():
    (found,) = times(moments(DateTimeOriginal="2024:05:06 07:08:09"), now=NOW)
    assert (found.kind, found.value, found.weight) == ("time", "2024:05:06 07:08:09", "note")


@pytest.mark.parametrize(
    ("changed", "weight"),
    [
        ("2024:05:06 07:09:00", None),  # the same save
        ("2024:05:06 09:08:09", "note"),
        ("2024:05:05 20:00:00", None),  # within what zones can differ
        ("2024:05:01 07:08:09", "hint"),
    ],
)
def test_last_changed_against_taken(changed, weight):
    found = findings(DateTimeOriginal="2024:05:06 07:08:09", DateTime=changed).get("DateTime")
    assert (found and found.weight) == weight


def test_with_zones_minutes_count():
    told = findings(
        DateTimeOriginal="2024:05:06 12:00:00+02:00", DateTime="2024:05:06 12:00:00+03:00"
    )
    assert "before it was taken" in told["DateTime"].meaning


def test_saved_again_tells_how_much_later():
    told = findings(DateTimeOriginal="2024:05:06 12:00:00", DateTime="2024:05:09 12:00:00")
    assert told["DateTime"].value == "2024:05:09 12:00:00, 3 days later"
    assert told["DateTime"].weight == "note"


def test_the_future():
    told = findings(DateTimeOriginal="2031:05:06 12:00:00")
    assert "future" in told["DateTimeOriginal"].meaning
    assert told["DateTimeOriginal"].weight == "hint"


def test_the_satellites_time():
    told = findings(DateTimeOriginal="2024:05:06 12:00:00", GPS="2024:05:02 12:00:00Z")
    assert "satellites" in told["GPS"].meaning
    assert "GPS" not in findings(DateTimeOriginal="2024:05:06 12:00:00", GPS="2024:05:06 03:00:00Z")


def test_a_scan():
    told = findings(DateTimeOriginal="1968:05:06 12:00:00", DateTimeDigitized="2020:01:01 00:00:00")
    assert "scan" in told["DateTimeDigitized"].meaning


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "    :  :     :  :  ", ""])
def test_an_unset_clock_is_no_news(text):
    assert times(moments(DateTimeOriginal=text), now=NOW) == []


@pytest.mark.parametrize("text", ["yesterday", "2024:13:45 99:00:00", "٢٠٢٤:01:01 00:00:00"])
def test_no_time_at_all(text):
    (found,) = times(moments(DateTimeOriginal=text), now=NOW)
    assert "not a time" in found.meaning


def test_times_of_a_file(made, told):
    data = made.with_exif(
        {CHANGED: "2020:01:01 00:00:00"},
        {TAKEN: "2021:01:01 00:00:00", DIGITISED: "2021:01:01 00:00:00"},
    )
    assert [(f.field, f.weight) for f in told(data, "time")] == [
        ("DateTime", "hint"), ("DateTimeOriginal", "note"),
    ]  # fmt: skip


def test_times_of_xmp(made, told):
    attributes = 'xmp:CreateDate="2021-01-01T10:00:00+01:00" xmp:ModifyDate="2021-01-01T10:30:00Z"'
    (taken, saved) = told(made.with_xmp(attributes=attributes), "time")
    assert taken.field == "xmp:CreateDate"
    assert saved.value == "2021-01-01T10:30:00Z, 90 minutes later"
