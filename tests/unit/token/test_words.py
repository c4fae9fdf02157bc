"""How values, times and durations are put into a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.token.words import duration, kind, listed, moment, names, quoted


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (9.99, "9.99 s"),
        (10, "10 s"),
        (59, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (11520, "3 h 12 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d"),
        (90000, "1 d 1 h"),
        (-90, "1 min 30 s"),
        (1e11, "1157407 d 9 h"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_800_000_000, "2027-01-15T08:00:00Z"),
        (1_800_000_000.999, "2027-01-15T08:00:00Z"),
        (253402300799, "9999-12-31T23:59:59Z"),
        (253402300800, "2.53402e+11 s after the epoch"),
        (-1, "-1 s after the epoch"),
    ],
)
def test_a_moment_is_told_in_utc(seconds: float, words: str) -> None:
    assert moment(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param("blue", '"blue"', id="a string"),
        pytest.param('a"\n\x1b[31m', r'"a\"\n\u001b[31m"', id="quotes and control characters"),
        pytest.param("\u00e4\u202e", r'"\u00e4\u202e"', id="not ASCII, and a change of direction"),
        pytest.param("\ud800", r'"\ud800"', id="half a surrogate pair"),
        pytest.param(None, "null", id="null"),
        pytest.param({"a": [1, True]}, '{"a": [1, true]}', id="an object"),
        pytest.param("a" * 98, '"' + "a" * 98 + '"', id="98 characters"),
        pytest.param("a" * 99, '"' + "a" * 99 + "\u2026", id="99 characters"),
    ],
)
def test_a_value_is_quoted_as_short_json(value: object, words: str) -> None:
    assert quoted(value) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "[]"),
        (1, '["0"]'),
        (10, '["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]'),
        (11, '["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", and 1 more]'),
    ],
)
def test_a_list_stops_at_ten(count: int, words: str) -> None:
    assert listed(str(number) for number in range(count)) == words


def test_names_have_a_fixed_order() -> None:
    assert names({"RS256", "ES256", "PS256"}) == "ES256, PS256, RS256"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "null"),
        (True, "a boolean"),
        (0, "a number"),
        (0.5, "a number"),
        ("", "a string"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_a_kind_is_that_of_json(value: object, word: str) -> None:
    assert kind(value) == word


@given(st.floats(0, 1e15))
def test_no_time_is_too_odd_to_be_told(seconds: float) -> None:
    assert duration(seconds)
    assert moment(seconds)


@given(st.text(max_size=200) | st.integers() | st.lists(st.text(), max_size=9))
def test_a_quoted_value_is_short_and_printable(value: object) -> None:
    text = quoted(value)
    assert len(text) <= 101
    assert text.rstrip("\u2026").isascii()
    assert text.isprintable()
