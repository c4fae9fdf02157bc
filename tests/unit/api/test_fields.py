from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from sidecar.api import fields
from sidecar.token.claims import LAST_SECOND, RequiredClaim
from sidecar.token.reason import CallFailed, ErrorReason

LONGEST = 315_576_000_000
DURATION = "f: it is out of the range of a Duration"
TIMESTAMP = "f: it is out of the range of a Timestamp"


def assert_invalid(message: str, read: Callable[[], Any]) -> None:
    """Asserts that reading the field `f` fails with this message."""
    with pytest.raises(CallFailed) as failed:
        read()
    failure = failed.value
    assert (failure.reason, failure.message) == (ErrorReason.FIELD_INVALID, message)
    assert failure.field == "f"


@pytest.mark.parametrize(
    "values",
    [
        pytest.param((), id="none"),
        pytest.param(("a",), id="one"),
        pytest.param(("a", "a", " "), id="doubled, a space"),
    ],
)
def test_names(values: tuple[str, ...]) -> None:
    assert fields.names("f", values) == values


@pytest.mark.parametrize("values", [("",), ("a", ""), ("", "a")])
def test_an_empty_name(values: tuple[str, ...]) -> None:
    assert_invalid("f: an element is empty", lambda: fields.names("f", values))


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        pytest.param("", (), id="absent"),
        pytest.param("{}", (), id="empty object"),
        pytest.param('{"a": "b"}', (RequiredClaim("a", ("b",)),), id="string"),
        pytest.param('{"a": [1, true]}', (RequiredClaim("a", (1, True)),), id="array"),
        pytest.param('{"a.b": null}', (RequiredClaim("a.b", (None,)),), id="null at a path"),
    ],
)
def test_claims(text: str, claims: tuple[RequiredClaim, ...]) -> None:
    assert fields.claims("f", text, 32) == claims


SCALARS = '"a" must be a string, number, boolean or null, or an array of these'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(" ", "it is not JSON: Expecting value at character 1", id="a space"),
        pytest.param(
            "{",
            "it is not JSON: Expecting property name enclosed in double quotes at character 1",
            id="cut off",
        ),
        pytest.param('["a"]', "it is an array, not a JSON object", id="array"),
        pytest.param('"a"', "it is a string, not a JSON object", id="string"),
        pytest.param("null", "it is null, not a JSON object", id="null"),
        pytest.param('{"a": {"b": 1}}', SCALARS, id="nested object"),
        pytest.param('{"a": [["b"]]}', SCALARS, id="nested array"),
        pytest.param('{"a": []}', SCALARS, id="empty array"),
        pytest.param('{"a": 1, "a": 2}', "it has the same name twice", id="a name twice"),
        pytest.param('{"a": NaN}', "it has NaN, which is not JSON", id="NaN"),
        pytest.param('{"a": [[[[1]]]]}', "it is nested deeper than 4 levels", id="too deep"),
    ],
)
def test_malformed_claims(text: str, problem: str) -> None:
    message = f"f: it must be a JSON object of claim path to value: {problem}"
    assert_invalid(message, lambda: fields.claims("f", text, 4))


MOST_CLAIMS = 64 * 1024


def test_claims_are_bounded() -> None:
    longest = '{"a": 1}'.ljust(MOST_CLAIMS)
    assert fields.claims("f", longest, 32) == (RequiredClaim("a", (1,)),)
    message = f"f: it has {MOST_CLAIMS + 1} characters; at most {MOST_CLAIMS} are taken"
    assert_invalid(message, lambda: fields.claims("f", f"{longest} ", 32))


@pytest.mark.parametrize("text", ["", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"])
def test_address(text: str) -> None:
    assert fields.address("f", text) == text


@pytest.mark.parametrize(
    "text", ["localhost", "192.0.2", "192.0.2.256", "192.0.2.1:80", "10.0.0.0/8", " 192.0.2.1"]
)
def test_no_address(text: str) -> None:
    message = f'f: "{text}" is neither an IPv4 nor an IPv6 address'
    assert_invalid(message, lambda: fields.address("f", text))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(Duration(), 0, id="zero"),
        pytest.param(Duration(seconds=1, nanos=500_000_000), 1.5, id="fraction"),
        pytest.param(Duration(seconds=-1, nanos=-500_000_000), -1.5, id="negative"),
        pytest.param(Duration(nanos=-500_000_000), -0.5, id="negative fraction"),
        pytest.param(Duration(seconds=LONGEST), LONGEST, id="longest"),
        pytest.param(Duration(seconds=-LONGEST), -LONGEST, id="longest backwards"),
    ],
)
def test_seconds(value: Duration, seconds: float) -> None:
    assert fields.seconds("f", value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Duration(seconds=LONGEST + 1), id="too long"),
        pytest.param(Duration(seconds=-LONGEST - 1), id="too long backwards"),
        pytest.param(Duration(seconds=2**63 - 1), id="as long as the field"),
        pytest.param(Duration(seconds=-(2**63)), id="as long as the field backwards"),
        pytest.param(Duration(nanos=1_000_000_000), id="a second of nanos"),
        pytest.param(Duration(nanos=-1_000_000_000), id="minus a second of nanos"),
        pytest.param(Duration(seconds=1, nanos=-1), id="plus and minus"),
        pytest.param(Duration(seconds=-1, nanos=1), id="minus and plus"),
    ],
)
def test_no_duration(value: Duration) -> None:
    assert_invalid(DURATION, lambda: fields.seconds("f", value))


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        pytest.param(Timestamp(), 0, id="epoch"),
        pytest.param(
            Timestamp(seconds=1_800_000_000, nanos=250_000_000), 1.80000000025e9, id="now"
        ),
        pytest.param(Timestamp(seconds=LAST_SECOND), LAST_SECOND, id="end of the year 9999"),
        pytest.param(Timestamp(seconds=-1, nanos=500_000_000), -0.5, id="before the epoch"),
    ],
)
def test_moment(value: Timestamp, moment: float) -> None:
    assert fields.moment("f", value) == moment


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Timestamp(seconds=LAST_SECOND + 1), id="the year 10000"),
        pytest.param(Timestamp(seconds=2**63 - 1), id="as late as the field"),
        pytest.param(Timestamp(seconds=-(2**63)), id="as early as the field"),
        pytest.param(Timestamp(nanos=1_000_000_000), id="a second of nanos"),
        pytest.param(Timestamp(nanos=-1), id="negative nanos"),
    ],
)
def test_no_moment(value: Timestamp) -> None:
    assert_invalid(TIMESTAMP, lambda: fields.moment("f", value))


@given(st.floats(0, LAST_SECOND) | st.integers(0, LAST_SECOND))
def test_a_time_of_ours_survives_as_a_timestamp(value: float) -> None:
    made = fields.timestamp(value)
    assert 0 <= made.nanos < 1_000_000_000
    assert fields.moment("f", made) == pytest.approx(value, abs=2e-9, rel=2**-52)
