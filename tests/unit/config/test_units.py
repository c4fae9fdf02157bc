import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from sidecar.config.units import format_duration, format_size, parse_duration, parse_size

DURATIONS = st.builds(
    lambda number, unit: f"{number}{unit}",
    st.integers(0, 36500) | st.decimals(0, 36500, places=3),
    st.sampled_from(["ms", "s", "m", "h", "d"]),
)
SIZES = st.builds(
    lambda number, unit: f"{number}{unit}",
    st.integers(0, 999_999_999),
    st.sampled_from(["KiB", "MiB", "GiB"]),
)


def wrong_with(parse: object, value: object) -> str:
    with pytest.raises(PydanticCustomError) as raised:
        parse(value)  # type: ignore[operator]
    ((_, message),) = (raised.value.context or {})["faults"]
    return str(message)


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        pytest.param("250ms", 0.25, "250ms", id="milliseconds"),
        pytest.param("30s", 30.0, "30s", id="seconds"),
        pytest.param("15m", 900.0, "15m", id="minutes"),
        pytest.param("12h", 43200.0, "12h", id="hours"),
        pytest.param("30d", 2592000.0, "30d", id="days"),
        pytest.param("0s", 0.0, "0s", id="none"),
        pytest.param("1.5h", 5400.0, "90m", id="a fraction"),
        pytest.param("90s", 90.0, "90s", id="no larger unit fits"),
        pytest.param("36500d", 3153600000.0, "36500d", id="a hundred years"),
    ],
)
def test_a_duration_is_seconds(text: str, seconds: float, shown: str) -> None:
    assert parse_duration(text) == seconds
    assert format_duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(30, "it is the number 30: add the unit", id="a bare number"),
        pytest.param("30", 'it is the text "30"', id="a bare number in quotes"),
        pytest.param("30 s", 'it is the text "30 s"', id="a space"),
        pytest.param("-1s", 'it is the text "-1s"', id="a negative one"),
        pytest.param("1w", 'it is the text "1w"', id="a unit that there is not"),
        pytest.param("30S", 'it is the text "30S"', id="a unit in upper case"),
        pytest.param("30s\n", 'it is the text "30s\\n"', id="a line end"),
        pytest.param("٣s", 'it is the text "\\u0663s"', id="a digit that is not ASCII"),
        pytest.param([], "it is a list", id="a list"),
    ],
)
def test_anything_else_is_no_duration(value: object, message: str) -> None:
    expected = 'must be a duration with a unit (ms, s, m, h, d), such as "30s"; '
    assert wrong_with(parse_duration, value) == expected + message


def test_a_duration_of_more_than_a_hundred_years_is_a_mistake() -> None:
    assert "at most 36500d" in wrong_with(parse_duration, "36501d")


@pytest.mark.parametrize(
    ("written", "size", "shown"),
    [
        pytest.param(100, 100, 100, id="bytes"),
        pytest.param(0, 0, 0, id="none"),
        pytest.param("16KiB", 16384, "16KiB", id="KiB"),
        pytest.param("1MiB", 1048576, "1MiB", id="MiB"),
        pytest.param("2GiB", 2147483648, "2GiB", id="GiB"),
        pytest.param(2048, 2048, "2KiB", id="bytes that are whole KiB"),
    ],
)
def test_a_size_is_bytes(written: object, size: int, shown: object) -> None:
    assert parse_size(written) == size
    assert format_size(size) == shown


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("16KB", id="a decimal unit"),
        pytest.param("16", id="a number in quotes"),
        pytest.param("1.5MiB", id="a fraction"),
        pytest.param(-1, id="a negative one"),
        pytest.param(1.0, id="a floating-point number"),
        pytest.param(True, id="true"),
        pytest.param(None, id="nothing"),
    ],
)
def test_anything_else_is_no_size(value: object) -> None:
    assert wrong_with(parse_size, value).startswith("must be a size: a whole number of bytes")


@given(DURATIONS)
def test_a_duration_that_is_shown_reads_as_the_same(text: str) -> None:
    seconds = parse_duration(text)
    assert parse_duration(format_duration(seconds)) == seconds


@given(SIZES | st.integers(0, 2**40))
def test_a_size_that_is_shown_reads_as_the_same(written: str | int) -> None:
    size = parse_size(written)
    assert parse_size(format_size(size)) == size
