"""The times in a file's metadata, and their consistency."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from mesoscope.media.provenance.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.media.provenance.exif import Tiff
    from mesoscope.media.provenance.xmp import Xmp

_FORM = re.compile(
    r"(\d{4})[:-](\d\d)[:-](\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?"
    r"\s*(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_GPS_TIME, _GPS_DATE = 0x0007, 0x001D
# Times without a zone may differ by the range of all zones, from UTC-12 to UTC+14.
_ZONES = timedelta(hours=26)
_SOON = timedelta(minutes=2)
_HARMLESS = "A wrongly set clock, another time zone or a careless program do that, too."


class Moment:
    """A time in a file, with or without a zone."""

    def __init__(self, name: str, where: str, text: str) -> None:
        self.name, self.where, self.text = name, where, text
        self.time, self.zoned = _parse(text)

    def __sub__(self, other: Moment) -> timedelta:
        assert self.time is not None  # noqa: S101 - only moments with a time are compared
        assert other.time is not None  # noqa: S101
        return self.time - other.time

    def slack(self, other: Moment) -> timedelta:
        """Return the tolerance of a comparison, for unknown zones."""
        same_clock = self.zoned and other.zoned
        return timedelta() if same_clock else _ZONES


def _parse(text: str) -> tuple[datetime | None, bool]:
    """Parse a time, as UTC without a zone; also return whether there is a zone."""
    match = _FORM.match(text.strip())
    if match is None:
        return None, False
    *numbers, zone = match.groups()
    try:
        time = datetime(*(int(n or 0) for n in numbers), tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
        if zone and zone != "Z":
            digits = zone.replace(":", "")
            away = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
            time = time - away if zone[0] == "+" else time + away
    except (ValueError, OverflowError):
        return None, False
    return time, bool(zone)


def exif_moments(tiff: Tiff) -> list[Moment]:
    """Return the times of EXIF, with zones from separate fields."""
    found = []
    for name, tag, zone_tag in (
        ("DateTimeOriginal", 0x9003, 0x9011),
        ("DateTimeDigitized", 0x9004, 0x9012),
        ("DateTime", 0x0132, 0x9010),
    ):
        if tiff.text(tag):
            found.append(Moment(name, "EXIF", f"{tiff.text(tag)[:19]}{tiff.text(zone_tag)[:6]}"))
    date, clock = tiff.gps.get(_GPS_DATE), tiff.gps.get(_GPS_TIME)
    if isinstance(date, str) and isinstance(clock, tuple) and len(clock) == 3:
        hours, minutes, seconds = (int(v) for v in clock)
        found.append(Moment("GPS", "EXIF", f"{date} {hours:02}:{minutes:02}:{seconds:02}Z"))
    return found


def xmp_moments(xmp: Xmp) -> list[Moment]:
    """Return the times of XMP."""
    names = ("photoshop:DateCreated", "xmp:CreateDate", "xmp:ModifyDate")
    return [Moment(name, "XMP", xmp.text(name)) for name in names if xmp.text(name)]


def container_moments(times: Sequence[tuple[str, float]], where: str) -> list[Moment]:
    """Return the times of a clip's container, given in seconds since 1970."""
    found = []
    for name, seconds in times:
        try:
            text = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError, OSError):
            text = f"{seconds:.0f} s"
        found.append(Moment(name, where, text))
    return found


def times(moments: Sequence[Moment], *, now: datetime | None = None) -> list[Finding]:
    """Return the findings about a file's times and their inconsistencies.

    Args:
        moments: All times of the file.
        now: The current time; by default the computer's.
    """
    now = now or datetime.now(timezone.utc)
    found: list[Finding] = []
    known = []
    for moment in moments:
        if moment.time is None:
            if moment.text.strip(" :0-"):
                found.append(
                    _odd(moment, moment.text, "This is not a time, although the field is for one.")
                )
        elif moment.time - now > (timedelta() if moment.zoned else _ZONES) + _SOON:
            found.append(_odd(moment, moment.text, "This time lies in the future."))
        else:
            known.append(moment)
    by_name = {moment.name: moment for moment in reversed(known)}
    taken = next((by_name[name] for name in _TAKEN if name in by_name), None)
    if taken is None:
        return found
    found.append(
        Finding(
            "time", taken.name, taken.text, taken.where,
            "When the file says it was taken or made, by the clock of the camera or program. "
            "Anyone can set and write it.",
        )
    )  # fmt: skip
    return found + _apart(taken, known)


_TAKEN = ("DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate", "created")
_LAST = ("DateTime", "xmp:ModifyDate", "modified")


def _apart(taken: Moment, known: Sequence[Moment]) -> list[Finding]:
    """Compare other times with the time of capture."""
    found = []
    saved: Moment | None = None
    for other in known:
        if other is taken:
            continue
        distance, slack = other - taken, other.slack(taken) + _SOON
        value = f"{other.text}, and {taken.name} {taken.text}"
        if other.name in _LAST:
            if -distance > slack:
                found.append(_odd(other, value, "It says to be last changed before it was taken."))
            elif distance > _SOON and (saved is None or other - saved > timedelta()):
                saved = other
        elif other.name == "GPS" and abs(distance) > _ZONES:
            says = "The satellites' time and the camera's are more than a day apart."
            found.append(_odd(other, value, says))
        elif other.name in ("DateTimeDigitized", "DateTimeOriginal") and abs(distance) > _ZONES:
            says = "It was digitised at another time than taken, as a scan is."
            found.append(_odd(other, value, says))
    if saved is not None:
        found.append(
            Finding(
                "time", saved.name, f"{saved.text}, {_long(saved - taken)} later", saved.where,
                "The file was saved again after it was taken. Copying from a telephone, turning "
                "and sorting do that as well as editing.",
            )
        )  # fmt: skip
    return found


def _odd(moment: Moment, value: str, says: str) -> Finding:
    return Finding("time", moment.name, value, moment.where, f"{says} {_HARMLESS}", "hint")


def _long(span: timedelta) -> str:
    seconds = span.total_seconds()
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}s"
    return f"{seconds:.0f} s"
