"""A time as a person types it."""

import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_tz
from typing import Final

FORMATS: Final = (
    "RFC 3339 (2017-08-14T11:00:21-07:00, also 2017-08-14T11:00:21.269-0700), "
    "RFC 1123 (Mon, 14 Aug 2017 11:00:21 PDT), RFC 850 (Monday, 14-Aug-17 11:00:21 PDT) or "
    "ANSI C, in UTC (Mon Aug 14 11:00:21 2017)"
)
"""What `parse_moment` reads, for a message."""
_TIME: Final = "[0-9]{2}:[0-9]{2}:[0-9]{2}"
_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTH: Final = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_YEAR: Final = "[1-9][0-9]{3}"
_HOURS: Final = "[+-](?:[01][0-9]|2[0-3])"
_ZONE: Final = f"(?:GMT|UTC?|[ECMP][SD]T|{_HOURS}[0-5][0-9])"
_RFC_3339: Final = re.compile(
    rf"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}T{_TIME}(?:\.[0-9]{{1,9}})?(?:Z|{_HOURS}:?[0-5][0-9])"
)
# The parser of email.utils reads all three, and much that is none of them.
_WITH_NAMES: Final = re.compile(
    rf"{_DAY}, [0-9]{{2}} {_MONTH} {_YEAR} {_TIME} {_ZONE}"
    rf"|(?:{'|'.join(_DAYS)}), [0-9]{{2}}-{_MONTH}-[0-9]{{2}} {_TIME} {_ZONE}"
    rf"|{_DAY} {_MONTH} [ 0-3]?[0-9] {_TIME} {_YEAR}"
)


class UnknownFormat(ValueError):
    """A text that is in none of FORMATS."""


def parse_moment(text: str) -> datetime:
    """The time, with its zone, that a text in one of FORMATS says.

    Zones by name are GMT, UT, UTC and the eight of RFC 822, section 5.1. A year of two digits is
    one from 1969 to 2068. Raises UnknownFormat for any other text, and ValueError, saying why,
    where the zone is missing or unknown, for a time that no clock shows, and where the day of the
    week is another.
    """
    if _RFC_3339.fullmatch(text):
        return datetime.fromisoformat(text)
    fields = parsedate_tz(text) if _WITH_NAMES.fullmatch(text) else None
    if fields is None:
        raise _why_unknown(text)
    zone = timezone(timedelta(seconds=fields[9] or 0))
    moment = datetime(*fields[:6], tzinfo=zone)
    day = _DAYS[moment.weekday()]
    if text[:3] != day[:3]:
        raise ValueError(f"that day is a {day}")
    return moment


def _why_unknown(text: str) -> ValueError:
    if _RFC_3339.fullmatch(f"{text}Z"):
        return ValueError("it has no zone; add Z, or an offset such as +01:00")
    if _WITH_NAMES.fullmatch(f"{text.rpartition(' ')[0]} GMT"):
        return ValueError("its zone is not known; write an offset such as +0100")
    return UnknownFormat("it is in no known format")
