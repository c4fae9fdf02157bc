"""DPoP proofs: that whoever presents a token holds the key that it is bound to (RFC 9449)."""

import hashlib
from typing import Any, Final

from sidecar.token import base64url, jws
from sidecar.token.algorithms import ASYMMETRIC
from sidecar.token.claims import time_of
from sidecar.token.jwk import from_jwk, thumbprint
from sidecar.token.key import Key, UnusableKey
from sidecar.token.reason import DpopError, Reason, Refused
from sidecar.token.replay import CheckedProof
from sidecar.token.request import Request
from sidecar.token.uri import handshake_uri, normalized_uri
from sidecar.token.words import duration, kind, moment, quoted

WINDOW: Final = 60.0
"""Seconds after its `iat` in which a proof is accepted, clock skew apart."""
MOST_SKEW: Final = 60.0
"""Of the issuer's clock skew, so many seconds count for a proof."""
_LONGEST_ID: Final = 1024
_LONGEST_PROOF: Final = 16 * 1024
_DEPTH: Final = 8
_MAX_RSA_BITS: Final = 4096
"""Of a proof's key, which the client chooses: each proof with a larger one takes milliseconds, and
the quota of a key counts only proofs that hold."""


def check_dpop(request: Request, bound_to: str, now: float, clock_skew: float) -> CheckedProof:
    """Checks the request's DPoP proof as RFC 9449, section 4.3 says; times in seconds.

    `bound_to` is the thumbprint of the token's key (RFC 7638). The proof is known by a digest of
    that key and its `jti`. Raises Refused with PROOF_INVALID. Not checked here: that the proof was
    not used before.
    """
    proof = _parse(request.proof.dpop)
    key = _key(proof, bound_to)
    claims = proof.unverified_claims
    _check_target(claims, request)
    made = _check_times(claims, now, min(clock_skew, MOST_SKEW))
    digest = hashlib.sha256(request.token.encode("ascii")).digest()
    if _text(claims, "ath") != base64url.encode(digest).decode():
        raise _refused("its ath is not the hash of this token: it was made for another one")
    token_id = _text(claims, "jti")
    if len(token_id) > _LONGEST_ID:
        raise _refused(f"its jti has more than {_LONGEST_ID} characters")
    if not key.verify(proof.algorithm, proof.signing_input, proof.signature):
        raise _refused("its signature does not hold with the key in its header")
    proof_id = hashlib.sha256(f"{bound_to} {token_id}".encode()).digest()[:16]
    return CheckedProof(proof_id, bound_to, made + WINDOW + MOST_SKEW)


def _parse(text: str) -> jws.Jws:
    if len(text) > _LONGEST_PROOF:
        raise _refused(f"it has more than {_LONGEST_PROOF} characters")
    try:
        proof = jws.parse(text, _DEPTH)
    except Refused as refused:
        raise _refused(f"it is no signed JWT: {refused.message}") from None
    if (proof.type or "").lower() not in {"dpop+jwt", "application/dpop+jwt"}:
        found = quoted(proof.type) if proof.type else "absent"
        raise _refused(f"its typ is {found} and must be dpop+jwt")
    if proof.critical:
        raise _refused("its header has crit, and no extension of a proof is known")
    if proof.algorithm not in ASYMMETRIC:
        raise _refused(f"its alg is {quoted(proof.algorithm)}, which no key pair signs with")
    return proof


def _key(proof: jws.Jws, bound_to: str) -> Key:
    """The one key that a header may bring: the token names it by its thumbprint."""
    try:
        key = from_jwk(proof.unverified_header.get("jwk"))
    except UnusableKey as problem:
        raise _refused(f"the key in its header (jwk) can't be used: {problem.message}") from None
    if proof.algorithm not in key.algorithms:
        raise _refused(f"its alg is {proof.algorithm}, but its key is {key.describe()}")
    if key.type == "RSA" and key.material.key_size > _MAX_RSA_BITS:
        raise _refused(
            f"its RSA key has {key.material.key_size} bits; proofs are accepted with at most "
            f"{_MAX_RSA_BITS}"
        )
    found = thumbprint(key)
    if found != bound_to:
        raise _refused(
            "it was made with another key than the one that the token is bound to "
            f"(its thumbprint is {quoted(found)})"
        )
    return key


def _check_target(claims: Any, request: Request) -> None:
    method, asked = _text(claims, "htm"), request.proof.http_method
    if method != asked:
        raise _refused(f"its htm is {quoted(method)}, but the request's method is {quoted(asked)}")
    made_for = _normalized("its htu", _text(claims, "htu"))
    # Proxies and frameworks may say wss of a handshake. The proof itself must have the URI of the
    # HTTP request (RFC 9449, section 4.2), which is never a ws or wss URI.
    target = _normalized("the request's target", handshake_uri(request.proof.http_uri))
    if made_for != target:
        raise _refused(
            f"its htu is {quoted(made_for)}, but the request's target is {quoted(target)}"
        )


def _normalized(what: str, uri: str) -> str:
    """Query and fragment don't count (RFC 9449, section 4.3); nor are they for a message."""
    try:
        return normalized_uri(uri)
    except ValueError as error:
        raise _refused(f"{what} can't be compared: {error}") from None


def _check_times(claims: Any, now: float, clock_skew: float) -> float:
    """Its age, and what any JWT may say of its own time (RFC 7519, sections 4.1.4 and 4.1.5).

    Returns when it was made.
    """
    made, start, end = (_time(claims, name) for name in ("iat", "nbf", "exp"))
    allowed = f"clock skew allowed {duration(clock_skew)}"
    if made is None:
        raise _refused("it has no iat")
    if now < made - clock_skew:
        raise _refused(
            f"it was made {duration(made - now)} in the future, at {moment(made)}; {allowed}"
        )
    if now >= made + WINDOW + clock_skew:
        raise _refused(
            f"it was made {duration(now - made)} ago, at {moment(made)}; proofs are accepted for "
            f"{duration(WINDOW)}, {allowed}"
        )
    if start is not None and now < start - clock_skew:
        raise _refused(f"it is valid only from {moment(start)} (nbf); {allowed}")
    if end is not None and now >= end + clock_skew:
        raise _refused(f"it expired {duration(now - end)} ago, at {moment(end)}; {allowed}")
    return made


def _time(claims: Any, name: str) -> float | None:
    try:
        return time_of(claims, name)
    except Refused as refused:
        raise _refused(refused.message) from None


def _text(claims: Any, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        found = "is missing" if value is None else f"is {kind(value)}" if value else "is empty"
        raise _refused(f"its {name} {found}")
    return value


def _refused(message: str) -> Refused:
    sentence = f"the DPoP proof does not hold: {message}"
    return Refused(Reason.PROOF_INVALID, sentence, DpopError.PROOF)
