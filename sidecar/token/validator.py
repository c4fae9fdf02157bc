"""The checks, in order, that every surface makes of a token.

`CHECKS` is the one list: what asks over gRPC, Envoy's ext_authz or HTTP runs all of it, and
the first check that fails gives the reason. Until the signature has been verified, nothing in
the claims is acted on but for choosing whose keys to try.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sidecar.token import jws
from sidecar.token.algorithms import ALGORITHMS, ASYMMETRIC, spellings
from sidecar.token.claims import audiences_of, find, scopes_of, text_of, time_of
from sidecar.token.key import Key
from sidecar.token.reason import CallFailed, ErrorReason, Reason, Refused
from sidecar.token.request import Refusal, Request, Verdict, Verified
from sidecar.token.snapshot import ClaimRules, Consumer, Issuer, Snapshot
from sidecar.token.words import duration, kind, listed, moment, names, quoted


class Attempt:
    """One token on its way through the checks, and what they have found out so far."""

    __slots__ = (
        "audiences",
        "candidates",
        "consumer",
        "expire_time",
        "issue_time",
        "issuer",
        "jws",
        "key",
        "not_before_time",
        "now",
        "request",
        "rules",
        "scopes",
        "snapshot",
    )

    def __init__(self, request: Request, snapshot: Snapshot, now: float) -> None:
        self.request = request
        self.snapshot = snapshot
        self.now = now
        self.jws: jws.Jws
        self.issuer: Issuer | None = None
        self.consumer: Consumer | None = None
        self.rules: ClaimRules | None = None
        self.candidates: tuple[Key, ...] = ()
        self.key: Key
        self.expire_time: float | None = None
        self.not_before_time: float | None = None
        self.issue_time: float | None = None
        self.audiences: tuple[str, ...] = ()
        self.scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its stable name, and a function that raises Refused where it fails."""

    name: str
    run: Callable[[Attempt, ClaimRules], None]


def validate(request: Request, snapshot: Snapshot, now: float) -> Verdict:
    """Whether this token may pass at this moment (seconds since the epoch).

    Raises CallFailed with NOT_CONFIGURED where the request names an issuer that is not there.
    """
    if request.issuer_name and request.issuer_name not in snapshot.issuers:
        raise _not_configured(request.issuer_name, snapshot)
    attempt = Attempt(request, snapshot, now)
    try:
        for check in CHECKS:
            check.run(attempt, attempt.rules or _NO_RULES)
    except Refused as refused:
        return _refusal(attempt, refused)
    return _verified(attempt)


def normalized_type(value: str) -> str:
    """A `typ` in the form in which types are compared (RFC 7515, section 4.1.9)."""
    value = value.lower()
    short = value.removeprefix("application/")
    return value if "/" in short else short


def _verified(attempt: Attempt) -> Verified:
    return Verified(
        attempt.issuer.name if attempt.issuer else "",
        attempt.consumer,
        attempt.key.key_id or "",
        attempt.jws.algorithm,
        attempt.jws.unverified_claims,
        attempt.jws.payload,
        attempt.audiences,
        attempt.scopes,
        attempt.issue_time,
        attempt.not_before_time,
        attempt.expire_time,
    )


def _refusal(attempt: Attempt, refused: Refused) -> Refusal:
    return Refusal(
        refused.reason,
        refused.message,
        attempt.issuer.name if attempt.issuer else "",
        attempt.request.scopes if refused.reason is Reason.SCOPE_INSUFFICIENT else (),
        attempt.jws.key_id if refused.reason is Reason.KEY_NOT_FOUND else None,
    )


def _not_configured(name: str, snapshot: Snapshot) -> CallFailed:
    return CallFailed(
        ErrorReason.NOT_CONFIGURED,
        f"no issuer named {quoted(name)} is configured; there are {listed(snapshot.issuers)}",
        "issuer_name",
    )


def _check_size(attempt: Attempt, _: ClaimRules) -> None:
    token = attempt.request.token
    if not token:
        raise Refused(Reason.TOKEN_MISSING, "no token was presented")
    limit = attempt.snapshot.limits.token_bytes
    if len(token) > limit:
        raise Refused(
            Reason.TOKEN_TOO_LARGE,
            f"the token has {len(token)} characters; limits.token_bytes allows {limit}",
        )


def _check_form(attempt: Attempt, _: ClaimRules) -> None:
    attempt.jws = jws.parse(attempt.request.token, attempt.snapshot.limits.json_depth)
    _choose_party(attempt)


def _choose_party(attempt: Attempt) -> None:
    """Whose token it claims to be; `_check_issuer` refuses where that is nobody's."""
    snapshot, claims = attempt.snapshot, attempt.jws.unverified_claims
    if attempt.request.issuer_name:
        attempt.issuer = snapshot.issuers[attempt.request.issuer_name]
    else:
        iss = claims.get("iss")
        attempt.issuer = snapshot.issuers_by_iss.get(iss) if isinstance(iss, str) else None
    if attempt.issuer:
        attempt.rules = attempt.issuer.rules
    elif snapshot.consumers:
        key = find(claims, snapshot.consumers.key_claim)
        attempt.consumer = snapshot.consumers.by_key.get(key) if isinstance(key, str) else None
        if attempt.consumer:
            attempt.rules = snapshot.consumers.rules


def _check_type(attempt: Attempt, rules: ClaimRules) -> None:
    value = attempt.jws.type
    if value is None or rules.types is None:
        return
    if normalized_type(value) not in rules.types:
        raise Refused(
            Reason.TYPE_NOT_ALLOWED,
            f"the header's typ is {quoted(value)}; accepted are {names(rules.types)}",
        )


def _check_critical_headers(attempt: Attempt, rules: ClaimRules) -> None:
    for name in attempt.jws.critical:
        if name not in attempt.jws.unverified_header:
            raise Refused(
                Reason.CRITICAL_HEADER_UNKNOWN,
                f"crit names {quoted(name)}, which the header does not have",
            )
        if name not in rules.critical_headers:
            understood = names(rules.critical_headers) or "none"
            raise Refused(
                Reason.CRITICAL_HEADER_UNKNOWN,
                f"crit names {quoted(name)}; understood (critical_headers) are: {understood}",
            )


def _check_issuer(attempt: Attempt, _: ClaimRules) -> None:
    if attempt.consumer:
        return
    if attempt.issuer is None:
        raise _nobody(attempt)
    claims, expected = attempt.jws.unverified_claims, attempt.issuer.issuer
    if expected is not None and claims.get("iss") != expected:
        raise Refused(
            Reason.ISSUER_MISMATCH,
            f"{_found_iss(claims)}; issuer {attempt.issuer.name} is {quoted(expected)}",
        )


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
    return Refused(
        Reason.ISSUER_UNKNOWN,
        f"{_found_iss(attempt.jws.unverified_claims)}; configured issuers are "
        f"{listed(snapshot.issuers_by_iss)}",
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


def _check_algorithm(attempt: Attempt, _: ClaimRules) -> None:
    alg = attempt.jws.algorithm
    allowed = _allowed_algorithms(attempt)
    if alg in allowed and alg in ALGORITHMS:
        return
    found = f"alg is {quoted(alg)}" if alg else "the header has no alg"
    whose = (
        f"consumer {attempt.consumer.name} uses"
        if attempt.consumer
        else f"issuer {attempt.issuer.name if attempt.issuer else ''} accepts"
    )
    raise Refused(Reason.ALGORITHM_NOT_ALLOWED, f"{found}; {whose} {names(allowed)}")


def _allowed_algorithms(attempt: Attempt) -> frozenset[str]:
    if attempt.consumer:
        return spellings(attempt.consumer.algorithm) & attempt.consumer.credential.algorithms
    if attempt.issuer is None:
        return frozenset()
    # Whether a key fits is for the key check to say: one that is yet to be fetched may.
    return ASYMMETRIC if attempt.issuer.algorithms is None else attempt.issuer.algorithms


def _check_key(attempt: Attempt, _: ClaimRules) -> None:
    if attempt.consumer:
        attempt.candidates = (attempt.consumer.credential,)
        return
    issuer = attempt.issuer
    if issuer is None or issuer.keys is None:
        name, source, problem = (
            (issuer.name, issuer.source, issuer.problem) if issuer else ("", "", "")
        )
        raise Refused(
            Reason.KEYS_UNAVAILABLE,
            f"the keys of issuer {name} are not there (from {source}): {problem}",
        )
    try:
        attempt.candidates = issuer.keys.candidates(attempt.jws.algorithm, attempt.jws.key_id)
    except Refused as refused:
        raise Refused(
            refused.reason, f"{refused.message} (issuer {issuer.name}, keys from {issuer.source})"
        ) from None


def _check_signature(attempt: Attempt, _: ClaimRules) -> None:
    token = attempt.jws
    for key in attempt.candidates:
        if key.verify(token.algorithm, token.signing_input, token.signature):
            attempt.key = key
            return
    if len(attempt.candidates) > 1:
        whose = f"any of the {len(attempt.candidates)} keys that fit {token.algorithm}"
    elif attempt.consumer:
        whose = f"consumer {attempt.consumer.name}'s key"
    else:
        key_id = attempt.candidates[0].key_id
        whose = f"key {quoted(key_id)}" if key_id is not None else "the issuer's key"
    raise Refused(
        Reason.SIGNATURE_INVALID,
        f"the {token.algorithm} signature does not hold with {whose}: the token was changed, or "
        "signed with another key",
    )


def _check_expiry(attempt: Attempt, rules: ClaimRules) -> None:
    exp = attempt.expire_time = time_of(attempt.jws.unverified_claims, "exp")
    if exp is not None and attempt.now >= exp + rules.clock_skew:
        raise Refused(
            Reason.EXPIRED,
            f"expired {duration(attempt.now - exp)} ago, at {moment(exp)}; "
            f"clock skew allowed {duration(rules.clock_skew)}",
        )


def _check_not_before(attempt: Attempt, rules: ClaimRules) -> None:
    nbf = attempt.not_before_time = time_of(attempt.jws.unverified_claims, "nbf")
    if nbf is not None and attempt.now < nbf - rules.clock_skew:
        raise Refused(
            Reason.NOT_YET_VALID,
            f"valid only in {duration(nbf - attempt.now)}, from {moment(nbf)}; "
            f"clock skew allowed {duration(rules.clock_skew)}",
        )


def _check_issue_time(attempt: Attempt, rules: ClaimRules) -> None:
    iat = attempt.issue_time = time_of(attempt.jws.unverified_claims, "iat")
    if iat is not None and attempt.now < iat - rules.clock_skew:
        raise Refused(
            Reason.ISSUED_IN_FUTURE,
            f"issued {duration(iat - attempt.now)} in the future, at {moment(iat)}; "
            f"clock skew allowed {duration(rules.clock_skew)}",
        )


def _check_age(attempt: Attempt, rules: ClaimRules) -> None:
    if rules.max_age is None:
        return
    iat = _needed(attempt.issue_time, "iat", "max_age")
    if attempt.now - iat > rules.max_age + rules.clock_skew:
        raise Refused(
            Reason.TOO_OLD,
            f"issued {duration(attempt.now - iat)} ago, at {moment(iat)}; "
            f"max_age is {duration(rules.max_age)}",
        )


def _check_lifetime(attempt: Attempt, rules: ClaimRules) -> None:
    if rules.max_lifetime is None:
        return
    exp = _needed(attempt.expire_time, "exp", "max_lifetime")
    iat = _needed(attempt.issue_time, "iat", "max_lifetime")
    if exp - iat > rules.max_lifetime:
        raise Refused(
            Reason.LIFETIME_TOO_LONG,
            f"valid for {duration(exp - iat)} from its issue; "
            f"max_lifetime is {duration(rules.max_lifetime)}",
        )


def _needed(value: float | None, claim: str, setting: str) -> float:
    if value is None:
        raise Refused(Reason.CLAIM_MISSING, f"claim {claim} is missing; {setting} needs it")
    return value


def _check_audience(attempt: Attempt, rules: ClaimRules) -> None:
    attempt.audiences = audiences_of(attempt.jws.unverified_claims)
    accepted = frozenset(attempt.request.audiences) or rules.audiences
    if accepted is None or not accepted.isdisjoint(attempt.audiences):
        return
    found = f"aud is {listed(attempt.audiences)}" if attempt.audiences else "there is no aud"
    raise Refused(
        Reason.AUDIENCE_MISMATCH, f"{found}; accepted here is any of {listed(sorted(accepted))}"
    )


def _check_required_claims(attempt: Attempt, rules: ClaimRules) -> None:
    claims = attempt.jws.unverified_claims
    for name in ("iss", "sub", "jti"):
        text_of(claims, name)
    for path in rules.required:
        if find(claims, path) is None:
            raise Refused(
                Reason.CLAIM_MISSING,
                f"claim {quoted(path)} is required and missing; the token has {listed(claims)}",
            )


def _check_claim_values(attempt: Attempt, rules: ClaimRules) -> None:
    for required in rules.claims + attempt.request.claims:
        required.check(attempt.jws.unverified_claims)


def _check_scopes(attempt: Attempt, rules: ClaimRules) -> None:
    attempt.scopes = scopes_of(attempt.jws.unverified_claims, rules.scope_claims)
    granted = frozenset(attempt.scopes)
    missing = [scope for scope in attempt.request.scopes if scope not in granted]
    if missing:
        raise Refused(
            Reason.SCOPE_INSUFFICIENT,
            f"scope {listed(missing)} is not granted; the token has {listed(attempt.scopes)}",
        )


def _check_proof(attempt: Attempt, _: ClaimRules) -> None:
    """A token bound to a key (RFC 7800) is no bearer token, and no proof is checked yet."""
    if "cnf" in attempt.jws.unverified_claims:
        raise Refused(
            Reason.PROOF_INVALID,
            "the token is bound to its holder's key (claim cnf), and this version of the sidecar "
            "can't check a proof of possession, so it accepts no bound token",
        )


_NO_RULES: Final = ClaimRules(audiences=frozenset(), types=None)

CHECKS: Final = (
    Check("size", _check_size),
    Check("form", _check_form),
    Check("type", _check_type),
    Check("critical_headers", _check_critical_headers),
    Check("issuer", _check_issuer),
    Check("algorithm", _check_algorithm),
    Check("key", _check_key),
    Check("signature", _check_signature),
    Check("expiry", _check_expiry),
    Check("not_before", _check_not_before),
    Check("issue_time", _check_issue_time),
    Check("age", _check_age),
    Check("lifetime", _check_lifetime),
    Check("audience", _check_audience),
    Check("required_claims", _check_required_claims),
    Check("claim_values", _check_claim_values),
    Check("scopes", _check_scopes),
    Check("proof", _check_proof),
)
"""Every check in the order in which it is made."""
