"""Find the claims of a verified token that count: whoever signs their own grants nothing."""

from sidecar.token.attempt import Attempt, Check
from sidecar.token.grants import described, effective_claims
from sidecar.token.words import listed


def _check_grants(attempt: Attempt) -> None:
    consumer, consumers = attempt.consumer, attempt.snapshot.consumers
    claims = attempt.jws.unverified_claims
    if consumer and consumers:
        claims = effective_claims(claims, consumer, attempt.rules, consumers.key_claim)
    attempt.claims = claims


def _grants(attempt: Attempt) -> str:
    if attempt.consumer is None:
        return f"{attempt.party.title} vouches for every claim"
    return described(attempt.jws.unverified_claims, attempt.consumer, attempt.claims)


def scope_remedy(attempt: Attempt) -> str:
    """Return why a consumer's token lacks a scope, and the remedy; empty for an issuer's."""
    consumer = attempt.consumer
    if consumer is None:
        return ""
    if consumer.grants.scopes:
        return (
            f": the record of {consumer.title} grants {listed(consumer.grants.scopes)}, and a "
            "token that states scopes has of these only the stated ones; add what is missing to "
            "scopes of the consumer, or to the token"
        )
    return (
        f": the record of {consumer.title} grants no scopes, and its tokens can't grant them to "
        "themselves; add what is missing to scopes of the consumer, or scope to its "
        "claims_from_token"
    )


def claim_remedy(attempt: Attempt) -> str:
    """Return why a consumer's claim may not count, and the remedy; empty for an issuer's."""
    if attempt.consumer is None:
        return ""
    return (
        f"; of {attempt.consumer.title} those claims count that its record grants: set it in "
        "claims of the consumer, or let the token state it (claims_from_token)"
    )


def audience_remedy(attempt: Attempt) -> str:
    """Return the same for an audience that the caller or a rule requires."""
    request = attempt.request
    required = request.audiences or (request.demand and request.demand.audiences)
    if attempt.consumer is None or not required:
        return ""
    named = attempt.rules.audiences
    return (
        f"; of {attempt.consumer.title} those audiences count that its audiences name, which are "
        f"{listed(sorted(named)) if named else 'none'}"
    )


CHECKS = (Check("grants", _check_grants, _grants, ("jws", "party")),)
