"""Checks of what a token looks like, before anybody is asked to vouch for it."""

from sidecar.token import jws
from sidecar.token.attempt import Attempt, Check
from sidecar.token.claims import find
from sidecar.token.reason import Reason, Refused
from sidecar.token.seen import VerifiedTokens, digest_of
from sidecar.token.snapshot import Consumer, Consumers, Issuer
from sidecar.token.stored import LONGEST_KEY, ConsumerQuestion
from sidecar.token.words import listed, names, quoted


def normalized_type(value: str) -> str:
    """A `typ` in the form in which types are compared (RFC 7515, section 4.1.9)."""
    value = value.lower()
    short = value.removeprefix("application/")
    return value if "/" in short else short


def _check_size(attempt: Attempt) -> None:
    token = attempt.request.token
    if not token:
        raise Refused(Reason.TOKEN_MISSING, "no token was presented")
    limit = attempt.snapshot.limits.token_bytes
    if len(token) > limit:
        raise Refused(
            Reason.TOKEN_TOO_LARGE,
            f"the token has {len(token)} characters; limits.token_bytes allows {limit}",
        )
    attempt.text = token


def _size(attempt: Attempt) -> str:
    limit = attempt.snapshot.limits.token_bytes
    return f"{len(attempt.request.token)} characters; limits.token_bytes allows {limit}"


def _check_form(attempt: Attempt) -> None:
    memory, token = attempt.seen_tokens, attempt.text
    depth = attempt.snapshot.limits.json_depth
    if memory is None:
        attempt.jws = jws.parse(token, depth)
    else:
        attempt.digest = digest_of(token)
        attempt.seen = seen = memory.verified.get(attempt.digest, depth, attempt.now)
        attempt.jws = seen.jws if seen and seen.jws else _parsed(attempt, memory.verified, depth)
    _choose_party(attempt)


def _parsed(attempt: Attempt, verified: VerifiedTokens, depth: int) -> jws.Jws:
    token = jws.parse(attempt.text, depth, verified.headers(depth))
    if attempt.seen is not None:
        verified.parsed(attempt.digest, token)
    return token


def _choose_party(attempt: Attempt) -> None:
    """Whose token it claims to be; the check `issuer` refuses where that is nobody's."""
    snapshot, claims = attempt.snapshot, attempt.jws.unverified_claims
    attempt.issuer = _issuer(attempt)
    if attempt.issuer is None and snapshot.consumers:
        key = find(claims, snapshot.consumers.key_claim)
        attempt.consumer = _consumer(attempt, snapshot.consumers, key)
        if attempt.consumer:
            attempt.rules = attempt.consumer.rules or snapshot.consumers.rules
            attempt.party = attempt.consumer
            return
    demand = attempt.request.demand
    if attempt.issuer is None and demand and demand.open_issuer:
        attempt.issuer = snapshot.issuers.get(demand.open_issuer)
    if attempt.issuer:
        attempt.rules = attempt.issuer.rules
        attempt.party = attempt.issuer


def _issuer(attempt: Attempt) -> Issuer | None:
    """The issuer that the request names, else the one that the token does."""
    snapshot, request = attempt.snapshot, attempt.request
    if request.issuer_name:
        return snapshot.issuers[request.issuer_name]
    iss = attempt.jws.unverified_claims.get("iss")
    issuer = snapshot.issuers_by_iss.get(iss) if isinstance(iss, str) else None
    demand = request.demand
    if issuer and demand and demand.open_issuer and not demand.takes_issuer(issuer.name):
        return None
    return issuer


def _consumer(attempt: Attempt, consumers: Consumers, key: object) -> Consumer | None:
    """The consumer with this key: of the configuration, else of the store."""
    if not isinstance(key, str):
        return None
    configured = consumers.by_key.get(key)
    if configured or not consumers.are_stored or len(key) > LONGEST_KEY:
        return configured
    found = attempt.answer(ConsumerQuestion(key))
    attempt.outage = found.problem
    # Two of one name would be taken for each other: by rules, and by services behind.
    if found.consumer and found.consumer.name in consumers.by_name:
        return None
    return found.consumer


def _form(attempt: Attempt) -> str:
    token = attempt.jws
    return (
        f"three parts of base64url; the header has {listed(token.unverified_header)}, "
        f"the claims set has {listed(token.unverified_claims)}"
    )


def _check_type(attempt: Attempt) -> None:
    value, rules = attempt.jws.type, attempt.rules
    if value is None:
        if rules.type_required:
            raise Refused(
                Reason.TYPE_NOT_ALLOWED,
                f"the header has no typ; needed is {names(rules.types or ())}",
            )
        return
    if rules.types is not None and normalized_type(value) not in rules.types:
        raise Refused(
            Reason.TYPE_NOT_ALLOWED,
            f"the header's typ is {quoted(value)}; accepted are {names(rules.types)}",
        )


def _type(attempt: Attempt) -> str:
    value, types = attempt.jws.type, attempt.rules.types
    found = "the header has no typ" if value is None else f"typ is {quoted(value)}"
    if types is None:
        return f"{found}; any is accepted"
    return f"{found}; accepted are {names(types)}" + (" and none" if value is None else "")


def _check_critical_headers(attempt: Attempt) -> None:
    understood = attempt.rules.critical_headers
    for name in attempt.jws.critical:
        if name not in attempt.jws.unverified_header:
            raise Refused(
                Reason.CRITICAL_HEADER_UNKNOWN,
                f"crit names {quoted(name)}, which the header does not have",
            )
        if name not in understood:
            raise Refused(
                Reason.CRITICAL_HEADER_UNKNOWN,
                f"crit names {quoted(name)}; understood (critical_headers) are: "
                f"{names(understood) or 'none'}",
            )


def _critical_headers(attempt: Attempt) -> str:
    critical = attempt.jws.critical
    return f"crit names {listed(critical)}: understood" if critical else "the header has no crit"


CHECKS = (
    Check("size", _check_size, _size),
    Check("form", _check_form, _form, ("text",)),
    Check("type", _check_type, _type, ("jws", "party")),
    Check("critical_headers", _check_critical_headers, _critical_headers, ("jws",)),
)
