"""`exp`, `nbf` and `iat`: both sides of each limit, and what is no time."""

from typing import Any

import pytest

from sidecar.token.reason import Reason
from tests.tokens import ABSENT, NOW, assert_passes, assert_refused, issuer, judge, mint

LAST_SECOND = 253402300799
SKEWED = issuer(clock_skew=30.0)
FREE = issuer(required=())
MAX_AGE = issuer(max_age=600.0)
MAX_AGE_SKEWED = issuer(max_age=600.0, clock_skew=30.0)
MAX_LIFETIME = issuer(max_lifetime=660.0, clock_skew=30.0)


@pytest.mark.parametrize(
    ("claims", "party"),
    [
        pytest.param({"exp": NOW + 1}, issuer(), id="expires in a second"),
        pytest.param({"exp": NOW + 0.001}, issuer(), id="expires in a millisecond"),
        pytest.param({"exp": NOW - 29}, SKEWED, id="expired a second less ago than the skew"),
        pytest.param({"exp": NOW - 29.999}, SKEWED, id="expired a millisecond less ago"),
        pytest.param({"exp": LAST_SECOND}, issuer(), id="expires in 9999"),
        pytest.param({"exp": float(NOW + 60)}, issuer(), id="exp is a float"),
        pytest.param({"exp": ABSENT}, FREE, id="no exp where it is not required"),
        pytest.param({"nbf": NOW}, issuer(), id="valid from now"),
        pytest.param({"nbf": NOW - 0.001}, issuer(), id="valid since a millisecond"),
        pytest.param({"nbf": NOW + 30}, SKEWED, id="valid in as long as the skew"),
        pytest.param({"nbf": 0}, issuer(), id="valid since the epoch"),
        pytest.param({"iat": NOW}, issuer(), id="issued now"),
        pytest.param({"iat": NOW + 30}, SKEWED, id="issued in as long as the skew"),
        pytest.param({"iat": 0}, issuer(), id="issued at the epoch"),
        pytest.param({"iat": -0.0}, issuer(), id="issued at minus zero"),
        pytest.param({"iat": ABSENT}, issuer(), id="no iat"),
        pytest.param({"iat": NOW - 600}, MAX_AGE, id="as old as max_age"),
        pytest.param({"iat": NOW - 630}, MAX_AGE_SKEWED, id="older by the skew"),
        pytest.param({"iat": NOW - 60, "exp": NOW + 600}, MAX_LIFETIME, id="max_lifetime"),
    ],
)
def test_a_token_passes_within_its_times(claims: dict[str, Any], party: Any) -> None:
    assert_passes(judge(mint(**claims), party))


@pytest.mark.parametrize(
    ("claims", "party", "reason", "words"),
    [
        pytest.param(
            {"exp": NOW}, issuer(), Reason.EXPIRED, "expired 0 s ago", id="expires at this second"
        ),
        pytest.param(
            {"exp": NOW - 1}, issuer(), Reason.EXPIRED, "expired 1 s ago", id="expired a second ago"
        ),
        pytest.param(
            {"exp": NOW - 0.25}, issuer(), Reason.EXPIRED, "0.25 s", id="expired a moment ago"
        ),
        pytest.param(
            {"exp": NOW - 30}, SKEWED, Reason.EXPIRED, "30 s ago", id="expired the skew ago"
        ),
        pytest.param({"exp": 0}, issuer(), Reason.EXPIRED, "1970-01-01", id="exp is 0"),
        pytest.param({"exp": 0}, FREE, Reason.EXPIRED, "1970", id="exp is 0 and not required"),
        pytest.param(
            {"exp": ABSENT}, issuer(), Reason.CLAIM_MISSING, '"exp" is required', id="no exp"
        ),
        pytest.param(
            {"nbf": NOW + 1}, issuer(), Reason.NOT_YET_VALID, "only in 1 s", id="valid in a second"
        ),
        pytest.param(
            {"nbf": NOW + 31}, SKEWED, Reason.NOT_YET_VALID, "31 s", id="valid in over the skew"
        ),
        pytest.param(
            {"iat": NOW + 1}, issuer(), Reason.ISSUED_IN_FUTURE, "1 s in the", id="issued in 1 s"
        ),
        pytest.param(
            {"iat": NOW + 31}, SKEWED, Reason.ISSUED_IN_FUTURE, "31 s", id="issued over the skew"
        ),
        pytest.param(
            {"iat": NOW - 601}, MAX_AGE, Reason.TOO_OLD, "max_age is 10 min", id="over max_age"
        ),
        pytest.param(
            {"iat": NOW - 631}, MAX_AGE_SKEWED, Reason.TOO_OLD, "10 min", id="over it and the skew"
        ),
        pytest.param(
            {"iat": ABSENT}, MAX_AGE, Reason.CLAIM_MISSING, "iat is missing; max_age", id="no iat"
        ),
        pytest.param(
            {"exp": NOW + 601},
            MAX_LIFETIME,
            Reason.LIFETIME_TOO_LONG,
            "max_lifetime is 11 min",
            id="over max_lifetime, to which no skew is added",
        ),
        pytest.param(
            {"iat": ABSENT},
            MAX_LIFETIME,
            Reason.CLAIM_MISSING,
            "iat is missing; max_lifetime",
            id="no iat for max_lifetime",
        ),
        pytest.param(
            {"exp": ABSENT},
            issuer(required=(), max_lifetime=660.0),
            Reason.CLAIM_MISSING,
            "exp is missing; max_lifetime",
            id="no exp for max_lifetime",
        ),
    ],
)
def test_a_token_is_refused_beyond_its_times(
    claims: dict[str, Any], party: Any, reason: Reason, words: str
) -> None:
    assert_refused(judge(mint(**claims), party), reason, words)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(str(NOW), "is a string; it must be a number", id="digits in a string"),
        pytest.param("", "is a string", id="an empty string"),
        pytest.param("2027-01-15T08:00:00Z", "is a string", id="a date"),
        pytest.param(True, "is a boolean", id="true"),
        pytest.param(False, "is a boolean", id="false"),
        pytest.param(None, "is null", id="null"),
        pytest.param([NOW], "is an array", id="an array"),
        pytest.param({}, "is an object", id="an object"),
        pytest.param(-1, "is -1", id="before the epoch"),
        pytest.param(-0.5, "is -0.5", id="a moment before the epoch"),
        pytest.param(LAST_SECOND + 1, "milliseconds?", id="the year 10000"),
        pytest.param(NOW * 1000, "milliseconds?", id="milliseconds"),
        pytest.param(1e300, "not a time in seconds", id="1e300"),
        pytest.param(10**39, "not a time in seconds", id="an integer beyond 64 bits"),
        pytest.param(-(10**38), "not a time in seconds", id="a negative one beyond 64 bits"),
    ],
)
def test_what_is_no_time_is_refused(name: str, value: Any, words: str) -> None:
    assert_refused(
        judge(mint(**{name: value}), FREE), Reason.CLAIM_MISMATCH, f"claim {name}", words
    )


def test_seconds_are_not_taken_for_milliseconds() -> None:
    refusal = assert_refused(judge(mint(exp=1e300)), Reason.CLAIM_MISMATCH)
    assert "milliseconds" not in refusal.message


def test_the_times_of_a_verified_token_are_those_it_says() -> None:
    verified = assert_passes(judge(mint(iat=NOW - 5, nbf=NOW - 2.5, exp=NOW + 7)))
    times = (verified.issue_time, verified.not_before_time, verified.expire_time)
    assert times == (NOW - 5, NOW - 2.5, NOW + 7)


def test_times_that_are_absent_are_none() -> None:
    verified = assert_passes(judge(mint(iat=ABSENT, exp=ABSENT), FREE))
    times = (verified.issue_time, verified.not_before_time, verified.expire_time)
    assert times == (None, None, None)
