"""Minting a signed token with a signer's key or a consumer's."""

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.token import base64url
from sidecar.token.algorithms import SYMMETRIC
from sidecar.token.claims import LAST_SECOND
from sidecar.token.outside import NOTHING, Outside
from sidecar.token.reason import CallFailed, ErrorReason, not_configured
from sidecar.token.revocation import LONGEST_ID
from sidecar.token.signing import sign
from sidecar.token.snapshot import (
    Consumer,
    Consumers,
    Grants,
    Limits,
    Signer,
    SigningKey,
    Snapshot,
)
from sidecar.token.stored import consumer_named
from sidecar.token.strict_json import parse_object
from sidecar.token.words import duration, listed, names, quoted

REGISTERED_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})
SCOPE_CLAIMS: Final = frozenset({"scope", "scp"})
RESERVED_HEADERS: Final = frozenset(
    {"alg", "typ", "kid", "crit", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "b64"}
)
CONSUMER_LIFETIME: Final = 900.0
CONSUMER_MAX_LIFETIME: Final = 86400.0
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller wants minted; the fields are those of IssueTokenRequest, times in seconds."""

    signer: str = ""
    consumer: str = ""
    subject: str = ""
    audiences: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    lifetime: float | None = None
    not_before_time: float | None = None
    not_before_delay: float | None = None
    token_id: str = ""
    claims_json: str = ""
    headers_json: str = ""
    critical_headers: tuple[str, ...] = ()
    algorithm: str = ""
    with_refresh_token: bool = False


@dataclass(frozen=True, slots=True)
class Minted:
    """A signed token; times in whole seconds since the epoch."""

    token: str = field(repr=False)
    signer_name: str
    """Empty for a consumer's token."""
    token_id: str
    key_id: str
    algorithm: str
    issue_time: int
    expire_time: int
    refresh_token: str = field(default="", repr=False)
    """Empty where none was ordered."""
    refresh_expire_time: int = 0


def mint(
    order: Order,
    snapshot: Snapshot,
    now: float,
    new_token_id: str,
    outside: Outside = NOTHING,
) -> Minted:
    """The token that was ordered, issued now; `new_token_id` is its `jti` unless it names one.

    A refresh token is not made here, only that it may be is seen to.

    Raises CallFailed, naming the field at fault, for what is not configured, malformed,
    reserved, or more than the signer may grant; and Unanswered where `outside` lacks an answer.
    """
    signer = _signer(order, snapshot, now, outside)
    key = _signing_key(order, signer)
    _check_token_id(order)
    issue_time = int(now)
    expire_time = int(now + _lifetime(order, signer))
    token_id = order.token_id or new_token_id
    claims = {
        **({"iss": signer.issuer} if signer.issuer else {}),
        **({"sub": order.subject} if order.subject else {}),
        **_audience(order, signer),
        **({"scope": " ".join(order.scopes)} if _granted(order, signer) else {}),
        "iat": issue_time,
        **_not_before(order, now, expire_time),
        "exp": expire_time,
        "jti": token_id,
        **signer.claims,
        **_additional_claims(order, signer, snapshot.limits),
    }
    header = _header(order, signer, key, snapshot.limits)
    return Minted(
        _signed(header, claims, key, snapshot.limits),
        signer.name if not order.consumer else "",
        token_id,
        key.key_id,
        key.algorithm,
        issue_time,
        expire_time,
    )


def _signer(order: Order, snapshot: Snapshot, now: float, outside: Outside) -> Signer:
    if order.consumer:
        if order.signer:
            raise _invalid("consumer", "name a signer or a consumer, not both")
        if snapshot.consumers is None:
            raise not_configured("consumer", order.consumer, (), "consumer")
        consumer = consumer_named(order.consumer, snapshot.consumers, now, outside)
        return _consumer_as_signer(order, consumer, snapshot.consumers)
    if order.signer:
        signer = snapshot.signers.get(order.signer)
        if signer is None:
            raise not_configured("signer", order.signer, snapshot.signers, "signer")
        return signer
    if len(snapshot.signers) == 1:
        return next(iter(snapshot.signers.values()))
    if not snapshot.signers:
        raise CallFailed(
            ErrorReason.NOT_CONFIGURED, "no signer is configured (setting signers)", "signer"
        )
    raise _invalid("signer", f"name one of the signers {listed(snapshot.signers)}")


def _consumer_as_signer(order: Order, consumer: Consumer, consumers: Consumers) -> Signer:
    if consumer.disabled:
        raise CallFailed(
            ErrorReason.NOT_CONFIGURED, f"consumer {consumer.name} is disabled", "consumer"
        )
    if consumer.algorithm not in SYMMETRIC:
        raise CallFailed(
            ErrorReason.KEY_UNFIT,
            f"consumer {consumer.name} has only a public key here; sign with its private key where "
            "that is kept",
            "consumer",
        )
    rules = consumer.rules or consumers.rules
    audiences, longest = rules.audiences, rules.max_lifetime
    longest = CONSUMER_MAX_LIFETIME if longest is None else min(longest, CONSUMER_MAX_LIFETIME)
    return Signer(
        name=consumer.name,
        issuer="",
        keys=(SigningKey("", consumer.algorithm, consumer.credential.material, None),),
        audiences=tuple(sorted(audiences)) if audiences else (),
        lifetime=min(CONSUMER_LIFETIME, longest),
        max_lifetime=longest,
        scopes=_grantable_scopes(consumer.grants),
        claims=_key_claim(order, consumer, consumers.key_claim),
    )


def _grantable_scopes(grants: Grants) -> frozenset[str] | None:
    """Those that would count in a token of this consumer; None: any."""
    if not grants.scopes and not SCOPE_CLAIMS.isdisjoint(grants.from_token):
        return None
    return frozenset(grants.scopes)


def _key_claim(order: Order, consumer: Consumer, path: str) -> Mapping[str, Any]:
    if path == "sub" and order.subject not in {"", consumer.key}:
        raise _invalid("subject", "the consumer's key goes into sub; leave the subject empty")
    grants = consumer.grants
    counts = path == "sub" or "sub" in grants.from_token
    if not counts and order.subject not in {"", grants.claims.get("sub")}:
        raise _not_grantable(
            "subject",
            f"consumer {consumer.name} can't state {quoted(order.subject)}, so it would count for "
            "nothing; set sub in claims of the consumer, or name it in claims_from_token",
        )
    claim: Any = consumer.key
    for name in reversed(path.split(".")):
        claim = {name: claim}
    return claim  # type: ignore[no-any-return]


def _signing_key(order: Order, signer: Signer) -> SigningKey:
    if order.with_refresh_token and signer.refresh is None:
        raise _not_grantable("with_refresh_token", f"signer {signer.name} issues no refresh tokens")
    if not signer.keys:
        raise CallFailed(
            ErrorReason.STORE_UNAVAILABLE,
            f"the keys of signer {signer.name} are in the store, which is away; try again",
        )
    if not order.algorithm:
        return signer.keys[0]
    for key in signer.keys:
        if key.algorithm == order.algorithm:
            return key
    has = names({key.algorithm for key in signer.keys})
    raise _not_grantable(
        "algorithm", f"{quoted(order.algorithm)} is not one of {signer.name}'s algorithms: {has}"
    )


def _check_token_id(order: Order) -> None:
    """That the token can be revoked by its `jti` where its family of refresh tokens is."""
    if order.with_refresh_token and len(order.token_id) > LONGEST_ID:
        raise _invalid(
            "token_id",
            f"it has {len(order.token_id)} characters; beside a refresh token at most {LONGEST_ID} "
            "are taken",
        )


def _lifetime(order: Order, signer: Signer) -> float:
    if order.lifetime is None:
        return signer.lifetime
    if not math.isfinite(order.lifetime) or order.lifetime < 1:
        raise _invalid("lifetime", "it must be at least one second")
    if order.lifetime > signer.max_lifetime:
        raise _not_grantable(
            "lifetime",
            f"{duration(order.lifetime)} is more than {signer.name}'s max_lifetime, "
            f"{duration(signer.max_lifetime)}",
        )
    return order.lifetime


def _not_before(order: Order, now: float, expire_time: int) -> Mapping[str, int]:
    if order.not_before_time is not None:
        field, moment = "not_before_time", order.not_before_time
    elif order.not_before_delay is not None:
        field, moment = "not_before_delay", now + order.not_before_delay
        if order.not_before_delay < 0:
            raise _invalid(field, "it must not be negative")
    else:
        return {}
    if not 0 <= moment <= LAST_SECOND:
        raise _invalid(field, "it must lie between the years 1970 and 9999")
    if moment >= expire_time:
        raise _invalid(field, "the token would expire before it is valid")
    return {"nbf": int(moment)}


def _audience(order: Order, signer: Signer) -> Mapping[str, Any]:
    audiences = order.audiences or signer.audiences
    if any(not audience for audience in audiences):
        raise _invalid("audiences", "an audience is empty")
    if not audiences:
        return {}
    return {"aud": audiences[0] if len(audiences) == 1 else list(audiences)}


def _granted(order: Order, signer: Signer) -> bool:
    fixed = SCOPE_CLAIMS & signer.claims.keys()
    if order.scopes and fixed:
        raise _not_grantable("scopes", f"{signer.name} fixes {names(fixed)} in its claims")
    for scope in order.scopes:
        if not _SCOPE.fullmatch(scope):
            raise _invalid("scopes", f"{quoted(scope)} is no scope (RFC 6749, section 3.3)")
        if signer.scopes is not None and scope not in signer.scopes:
            raise _not_grantable(
                "scopes",
                f"{quoted(scope)} is not one that {signer.name} may grant: "
                f"{listed(sorted(signer.scopes))}",
            )
    return bool(order.scopes)


def _additional_claims(order: Order, signer: Signer, limits: Limits) -> Mapping[str, Any]:
    claims = _json_object(order.claims_json, "claims_json", limits)
    reserved = REGISTERED_CLAIMS | signer.claims.keys()
    if signer.scopes is not None or order.scopes or SCOPE_CLAIMS & signer.claims.keys():
        reserved |= SCOPE_CLAIMS
    # Looking for the path a.b takes the claim "a.b" before the member b of the claim "a".
    fixed = tuple(f"{name}." for name in signer.claims)
    reserved |= {name for name in claims if name.startswith(fixed)}
    _check_not_reserved(claims, reserved, "claims_json", "claim")
    return claims


def _header(order: Order, signer: Signer, key: SigningKey, limits: Limits) -> Mapping[str, Any]:
    additional = _json_object(order.headers_json, "headers_json", limits)
    _check_not_reserved(additional, RESERVED_HEADERS, "headers_json", "header parameter")
    if not isinstance(additional.get("cty", ""), str):
        raise _invalid("headers_json", "cty must be a string (RFC 7515, section 4.1.10)")
    critical = order.critical_headers
    for name in critical:
        if name not in additional:
            raise _invalid("critical_headers", f"{quoted(name)} is not in headers_json")
        if name == "cty":
            raise _invalid("critical_headers", '"cty" is never critical (RFC 7515, section 4.1.11)')
    if len(set(critical)) != len(critical):
        raise _invalid("critical_headers", "a name is there twice")
    return {
        "alg": key.algorithm,
        "typ": signer.type,
        **({"kid": key.key_id} if key.key_id else {}),
        **({"crit": list(critical)} if critical else {}),
        **additional,
    }


def _signed(
    header: Mapping[str, Any], claims: Mapping[str, Any], key: SigningKey, limits: Limits
) -> str:
    signing_input = base64url.encode(_json(header)) + b"." + base64url.encode(_json(claims))
    token = signing_input + b"." + base64url.encode(sign(key, signing_input))
    if len(token) > limits.token_bytes:
        raise CallFailed(
            ErrorReason.LIMIT_EXCEEDED,
            f"the token would have {len(token)} bytes; limits.token_bytes allows "
            f"{limits.token_bytes}",
        )
    return token.decode("ascii")


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _json_object(text: str, field: str, limits: Limits) -> dict[str, Any]:
    if not text:
        return {}
    try:
        return parse_object(text.encode("utf-8"), limits.json_depth)
    except ValueError as error:
        raise _invalid(field, f"it must be a JSON object: {error}") from error


def _check_not_reserved(
    members: Mapping[str, Any], reserved: Collection[str], field: str, what: str
) -> None:
    for name in members:
        if name in reserved:
            raise CallFailed(
                ErrorReason.NAME_RESERVED,
                f"{what} {quoted(name)} is set by the sidecar or the signer and can't be given",
                field,
            )


def _invalid(field: str, message: str) -> CallFailed:
    return CallFailed(ErrorReason.FIELD_INVALID, f"{field}: {message}", field)


def _not_grantable(field: str, message: str) -> CallFailed:
    return CallFailed(ErrorReason.NOT_GRANTABLE, f"{field}: {message}", field)
