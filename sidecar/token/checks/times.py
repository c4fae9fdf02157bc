"""Checks of when a token is valid (RFC 7519, sections 4.1.4 to 4.1.6), with one clock skew."""

from sidecar.token.attempt import Attempt, Check
from sidecar.token.claims import time_of
from sidecar.token.reason import Reason, Refused
from sidecar.token.words import duration, moment


def _check_expiry(attempt: Attempt) -> None:
    exp = attempt.expire_time = time_of(attempt.jws.unverified_claims, "exp")
    if exp is not None and attempt.now >= exp + attempt.rules.clock_skew:
        raise Refused(Reason.EXPIRED, _expiry(attempt))


def _expiry(attempt: Attempt) -> str:
    exp = attempt.expire_time
    if exp is None:
        return "the token has no exp: it never expires"
    if attempt.now < exp:
        return f"expires in {duration(exp - attempt.now)}, at {moment(exp)}"
    return f"expired {duration(attempt.now - exp)} ago, at {moment(exp)}; {_skew(attempt)}"


def _check_not_before(attempt: Attempt) -> None:
    nbf = attempt.not_before_time = time_of(attempt.jws.unverified_claims, "nbf")
    if nbf is not None and attempt.now < nbf - attempt.rules.clock_skew:
        raise Refused(Reason.NOT_YET_VALID, _not_before(attempt))


def _not_before(attempt: Attempt) -> str:
    nbf = attempt.not_before_time
    if nbf is None:
        return "the token has no nbf"
    if attempt.now >= nbf:
        return f"valid since {duration(attempt.now - nbf)}, from {moment(nbf)}"
    return f"valid only in {duration(nbf - attempt.now)}, from {moment(nbf)}; {_skew(attempt)}"


def _check_issue_time(attempt: Attempt) -> None:
    iat = attempt.issue_time = time_of(attempt.jws.unverified_claims, "iat")
    if iat is not None and attempt.now < iat - attempt.rules.clock_skew:
        raise Refused(Reason.ISSUED_IN_FUTURE, _issue_time(attempt))


def _issue_time(attempt: Attempt) -> str:
    iat = attempt.issue_time
    if iat is None:
        return "the token has no iat"
    if attempt.now >= iat:
        return f"issued {duration(attempt.now - iat)} ago, at {moment(iat)}"
    return f"issued {duration(iat - attempt.now)} in the future, at {moment(iat)}; {_skew(attempt)}"


def _check_age(attempt: Attempt) -> None:
    if attempt.rules.max_age is None:
        return
    iat = _needed(attempt.issue_time, "iat", "max_age")
    if attempt.now - iat > attempt.rules.max_age + attempt.rules.clock_skew:
        raise Refused(Reason.TOO_OLD, _age(attempt))


def _age(attempt: Attempt) -> str:
    if attempt.rules.max_age is None:
        return "no max_age is set"
    said = f"{_issue_time(attempt)}; max_age is {duration(attempt.rules.max_age)}"
    iat = attempt.issue_time
    over = iat is not None and attempt.now - iat > attempt.rules.max_age
    return f"{said}; {_skew(attempt)}" if over else said


def _check_lifetime(attempt: Attempt) -> None:
    if attempt.rules.max_lifetime is None:
        return
    exp = _needed(attempt.expire_time, "exp", "max_lifetime")
    iat = _needed(attempt.issue_time, "iat", "max_lifetime")
    if exp - iat > attempt.rules.max_lifetime:
        raise Refused(Reason.LIFETIME_TOO_LONG, _lifetime(attempt))


def _lifetime(attempt: Attempt) -> str:
    longest = attempt.rules.max_lifetime
    if longest is None or attempt.expire_time is None or attempt.issue_time is None:
        return "no max_lifetime is set"
    lifetime = attempt.expire_time - attempt.issue_time
    valid = f"valid for {duration(lifetime)} from its issue"
    if lifetime < 0:
        valid = f"expires {duration(lifetime)} before its issue"
    return f"{valid}; max_lifetime is {duration(longest)}"


def _needed(value: float | None, claim: str, setting: str) -> float:
    if value is None:
        raise Refused(Reason.CLAIM_MISSING, f"claim {claim} is missing; {setting} needs it")
    return value


def _skew(attempt: Attempt) -> str:
    return f"clock skew allowed {duration(attempt.rules.clock_skew)}"


CHECKS = (
    Check("expiry", _check_expiry, _expiry, ("jws", "party")),
    Check("not_before", _check_not_before, _not_before, ("jws", "party")),
    Check("issue_time", _check_issue_time, _issue_time, ("jws", "party")),
    Check("age", _check_age, _age, ("jws", "party", "issue_time")),
    Check("lifetime", _check_lifetime, _lifetime, ("jws", "party", "expire_time", "issue_time")),
)
