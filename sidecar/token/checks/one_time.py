"""The check of whether a token that may pass once has passed before."""

import hashlib
from dataclasses import dataclass

from sidecar.token.attempt import Attempt, Check
from sidecar.token.reason import Reason, Refused
from sidecar.token.revocation import KEPT_LONGER, iss_of
from sidecar.token.use import FirstUse, Use
from sidecar.token.words import quoted


@dataclass(frozen=True, slots=True)
class OneTimeUse(FirstUse):
    """Whether this is the first use of a token."""


def _check_one_time(attempt: Attempt) -> None:
    if not attempt.rules.one_time:
        return
    use = attempt.answer(_question(attempt))
    if use is Use.FIRST:
        return
    if use is Use.UNKNOWN:
        raise Refused(
            Reason.STATE_UNAVAILABLE,
            f"whether the token was used before is not known, as the store does not answer, and "
            f"{attempt.party.title} has one_time: true; try again",
        )
    if use is Use.FORGOTTEN:
        raise Refused(
            Reason.STATE_UNAVAILABLE,
            "the token may have been used before: tokens that old are forgotten, and the clock of "
            "the sidecar's machine was set back since; correct the clock, or restart the sidecar "
            "if the clock was ahead before",
        )
    raise Refused(
        Reason.REPLAYED,
        f"the token with the jti {quoted(attempt.jws.unverified_claims['jti'])} was used before; "
        f"{attempt.party.title} has one_time: true, so get a new one for each request",
    )


def _question(attempt: Attempt) -> OneTimeUse:
    token_id = attempt.jws.unverified_claims.get("jti")
    if not isinstance(token_id, str) or not token_id:
        raise _missing("jti")
    if attempt.expire_time is None:
        raise _missing("exp")
    expire_time = attempt.expire_time + KEPT_LONGER
    return OneTimeUse(_name(attempt, token_id), expire_time, attempt.uses_up)


def _name(attempt: Attempt, token_id: str) -> str:
    """The same on every sidecar; of an issuer that takes any `iss`, apart from others'."""
    whose = "" if attempt.issuer is None or attempt.issuer.issuer else attempt.issuer.name
    iss = iss_of(attempt.jws.unverified_claims)
    return hashlib.sha256(f"{whose} {len(iss)} {iss} {token_id}".encode()).hexdigest()


def _missing(claim: str) -> Refused:
    return Refused(
        Reason.CLAIM_MISSING,
        f"claim {claim} is missing; one_time needs it to know the token again",
    )


def _one_time(attempt: Attempt) -> str:
    if not attempt.rules.one_time:
        return "the token may be used more than once"
    return "the token was not used before"


CHECKS = (Check("one_time", _check_one_time, _one_time, ("jws", "party", "key", "expire_time")),)
