"""The check of who a token is from: a configured issuer or consumer."""

from collections.abc import Mapping
from typing import Any

from sidecar.token.attempt import Attempt, Check
from sidecar.token.claims import find
from sidecar.token.reason import Reason, Refused
from sidecar.token.words import kind, listed, quoted


def _check_issuer(attempt: Attempt) -> None:
    if attempt.consumer:
        if attempt.consumer.disabled:
            raise Refused(Reason.CONSUMER_UNKNOWN, f"consumer {attempt.consumer.name} is disabled")
        return
    if attempt.issuer is None:
        if attempt.outage:
            raise Refused(Reason.STATE_UNAVAILABLE, attempt.outage)
        raise _nobody(attempt)
    claims, expected = attempt.jws.unverified_claims, attempt.issuer.issuer
    if expected is not None and claims.get("iss") != expected:
        raise Refused(
            Reason.ISSUER_MISMATCH,
            f"{_found_iss(claims)}; {attempt.party.title} is {quoted(expected)}",
        )
    demand = attempt.request.demand
    # Refuse before the keys are needed. If they are unavailable, that must not turn a denial into
    # an outage, which `on_outage: error` may let through.
    if demand and not demand.takes_issuer(attempt.issuer.name):
        raise demand.takes_others(attempt.party.title)


def _issuer(attempt: Attempt) -> str:
    claims = attempt.jws.unverified_claims
    if attempt.consumer and attempt.snapshot.consumers:
        path = attempt.snapshot.consumers.key_claim
        return f"claim {quoted(path)} is {quoted(find(claims, path))}: {attempt.party.title}"
    if attempt.issuer and attempt.issuer.issuer is None:
        return f"{_found_iss(claims)}; {attempt.party.title} was named, which accepts any"
    return f"{_found_iss(claims)}: {attempt.party.title}"


def _found_iss(claims: Mapping[str, Any]) -> str:
    if "iss" not in claims:
        return "the token has no iss"
    iss = claims["iss"]
    if isinstance(iss, str):
        return f"iss is {quoted(iss)}"
    return f"iss is {kind(iss)} and not a string"


def _nobody(attempt: Attempt) -> Refused:
    snapshot, iss = attempt.snapshot, attempt.jws.unverified_claims.get("iss")
    consumers = snapshot.consumers
    if consumers and (not isinstance(iss, str) or not snapshot.issuers_by_iss):
        return _no_consumer(attempt, consumers.key_claim)
    if consumers and find(attempt.jws.unverified_claims, consumers.key_claim) is not None:
        return _no_consumer(attempt, consumers.key_claim)
    named = [one.name for one in snapshot.issuers.values() if one.issuer is None]
    hint = f"; {listed(named)} take any iss, but only where a request names them (issuer_name)"
    return Refused(
        Reason.ISSUER_UNKNOWN,
        f"{_found_iss(attempt.jws.unverified_claims)}; configured issuers are "
        f"{listed(snapshot.issuers_by_iss)}{hint if named else ''}",
    )


def _no_consumer(attempt: Attempt, key_claim: str) -> Refused:
    claims = attempt.jws.unverified_claims
    key = find(claims, key_claim)
    if isinstance(key, str):
        return Refused(
            Reason.CONSUMER_UNKNOWN, f"no consumer has the key {quoted(key)} (claim {key_claim})"
        )
    found = "is missing" if key is None else f"is {kind(key)} and not a string"
    return Refused(
        Reason.CONSUMER_KEY_MISSING,
        f"claim {quoted(key_claim)}, by which consumers are found, {found}; the token's claims "
        f"are {listed(claims)}. Put the consumer's key into claim {quoted(key_claim)}, or set "
        "consumers.key_claim to the claim that holds it",
    )


CHECKS = (Check("issuer", _check_issuer, _issuer, ("jws",)),)
