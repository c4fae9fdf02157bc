"""The times that `--not-before` takes, and those that it does not."""

import contextlib
import re
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.commands.moment import FORMATS, parse_moment

MOMENT = datetime(2017, 8, 14, 18, 0, 21, tzinfo=UTC)
WHOLE_SECONDS = st.datetimes(
    datetime(1970, 1, 1), datetime(2068, 12, 31), timezones=st.just(UTC)
).map(lambda moment: moment.replace(microsecond=0))

ANY_NUMBERS = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([+-][0-9]{2}:?[0-9]{2}|Z)"
    r"|(Mon|Sun), [0-9]{2} Feb [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} ([+-][0-9]{4}|GMT)"
    r"|(Mon|Sun) Feb [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}"
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2017-08-14T18:00:21Z", id="RFC 3339 in UTC"),
        pytest.param("2017-08-14T11:00:21-07:00", id="RFC 3339 with an offset"),
        pytest.param("2017-08-14T23:30:21+05:30", id="RFC 3339 with half an hour"),
        pytest.param("2017-08-14T11:00:21-0700", id="sortable"),
        pytest.param("Mon, 14 Aug 2017 18:00:21 GMT", id="RFC 1123"),
        pytest.param("Mon, 14 Aug 2017 18:00:21 UTC", id="RFC 1123 with UTC"),
        pytest.param("Mon, 14 Aug 2017 18:00:21 UT", id="RFC 1123 with UT"),
        pytest.param("Mon, 14 Aug 2017 11:00:21 PDT", id="RFC 1123 with a zone of America"),
        pytest.param("Mon, 14 Aug 2017 11:00:21 -0700", id="RFC 1123 with an offset"),
        pytest.param("Monday, 14-Aug-17 18:00:21 GMT", id="RFC 850"),
        pytest.param("Monday, 14-Aug-17 14:00:21 EDT", id="RFC 850 with a zone of America"),
        pytest.param("Monday, 14-Aug-17 11:00:21 -0700", id="RFC 850 with an offset"),
        pytest.param("Mon Aug 14 18:00:21 2017", id="ANSI C is in UTC"),
    ],
)
def test_a_time_is_read(text: str) -> None:
    assert parse_moment(text) == MOMENT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("2017-08-14T11:00:21.269-0700", 1502733621.269, id="milliseconds"),
        pytest.param("2017-08-14T18:00:21.123456789Z", 1502733621.123456, id="nanoseconds"),
        pytest.param("Sun Nov  6 08:49:37 1994", 784111777, id="a day of one digit"),
        pytest.param("Sun Nov 6 08:49:37 1994", 784111777, id="without its space"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", 784111777, id="two digits of last century"),
        pytest.param("Wednesday, 01-Jan-69 00:00:00 GMT", -31536000, id="the first of these years"),
        pytest.param("Monday, 31-Dec-68 00:00:00 GMT", 3124137600, id="the last of these years"),
        pytest.param("Thu, 29 Feb 2024 00:00:00 GMT", 1709164800, id="a leap day"),
    ],
)
def test_a_time_is_read_to_the_second_that_it_says(text: str, seconds: float) -> None:
    assert parse_moment(text).timestamp() == seconds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "no known format", id="nothing"),
        pytest.param("tomorrow", "no known format", id="a word"),
        pytest.param("1502733621", "no known format", id="seconds since the epoch"),
        pytest.param("2017-08-14T11:00:21", "no zone; add Z", id="no zone"),
        pytest.param("2017-08-14", "no known format", id="a day"),
        pytest.param("2017-W33-1T11:00:21Z", "no known format", id="a week"),
        pytest.param("2017-08-14T11:00:21.Z", "no known format", id="a point without digits"),
        pytest.param("2017-08-14T11:00:21.1234567890Z", "no known format", id="ten digits"),
        pytest.param("2017-08-14T11:00:21+24:00", "no known format", id="an offset of a day"),
        pytest.param("2017-08-14T11:00:21-07:60", "no known format", id="an offset of 60 minutes"),
        pytest.param(" 2017-08-14T11:00:21Z", "no known format", id="a space before"),
        pytest.param("2017-08-14T11:00:21Z\n", "no known format", id="a line end"),
        pytest.param("\u0662017-08-14T11:00:21Z", "no known format", id="an Arabic digit"),
        pytest.param("Mon, 14 Aug 2017 11:00:21", "no known format", id="RFC 1123 without zone"),
        pytest.param("Mon, 14 Aug 2017 11:00:21 CET", "zone is not known", id="an unknown zone"),
        pytest.param("Mon, 14 Aug 2017 11:00:21 +05:30", "zone is not known", id="a colon there"),
        pytest.param("Mon, 14 Aug 0017 11:00:21 GMT", "no known format", id="the year 17"),
        pytest.param("Mon, 14 Okt 2017 11:00:21 GMT", "no known format", id="a German month"),
        pytest.param("mon, 14 aug 2017 11:00:21 gmt", "no known format", id="no capitals"),
        pytest.param("Mon, 14-Aug-17 11:00:21 GMT", "no known format", id="RFC 850, a short day"),
        pytest.param("Monday, 14-Aug-2017 11:00:21 GMT", "no known format", id="RFC 850, 4 digits"),
        pytest.param("Mon Aug 14 11:00:21 2017 GMT", "no known format", id="ANSI C with a zone"),
        pytest.param("x" * 1_000_000, "no known format", id="a megabyte"),
        pytest.param("Tue, 14 Aug 2017 11:00:21 GMT", "that day is a Monday", id="another day"),
        pytest.param("Sunday, 14-Aug-17 11:00:21 GMT", "that day is a Monday", id="so in RFC 850"),
        pytest.param("Tue Aug 14 11:00:21 2017", "that day is a Monday", id="so in ANSI C"),
        pytest.param("2017-02-29T00:00:00Z", "day is out of range", id="no leap year"),
        pytest.param("2017-13-01T00:00:00Z", "month must be", id="a 13th month"),
        pytest.param("2017-08-14T24:00:00Z", "hour must be", id="24 o'clock"),
        pytest.param("2017-08-14T11:00:60Z", "second must be", id="a leap second"),
        pytest.param("Fri, 31 Feb 2017 11:00:00 GMT", "day is out of range", id="31 February"),
        pytest.param("Mon Aug 00 11:00:21 2017", "day is out of range", id="day 0"),
    ],
)
def test_what_is_no_time_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_moment(text)


@given(WHOLE_SECONDS)
def test_whatever_is_written_in_a_format_is_read_again(moment: datetime) -> None:
    for text in (
        moment.isoformat(),
        f"{moment:%Y-%m-%dT%H:%M:%S.000%z}",
        format_datetime(moment, usegmt=True),
        f"{moment:%A, %d-%b-%y %H:%M:%S GMT}",
        moment.ctime(),
    ):
        assert parse_moment(text) == moment


@given(st.from_regex(ANY_NUMBERS, fullmatch=True) | st.text(max_size=60))
def test_whatever_is_written_is_a_time_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_moment(text).tzinfo is not None


def test_every_example_of_the_list_of_formats_is_read() -> None:
    in_brackets = re.findall(r"\(([^)]+)\)", FORMATS)
    examples = [one for text in in_brackets for one in text.split(", also ")]
    assert len([parse_moment(one) for one in examples]) == 5
