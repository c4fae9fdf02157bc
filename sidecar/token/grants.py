"""Compute the claims of a consumer's token that count.

A consumer signs its own claims, so by itself none of them grants anything. Its record says what
they may: it grants scopes and claims, and names those that the token may state. All that trusts
claims after the checks reads what is computed here, and never the token.
"""

import functools
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from sidecar.token.claims import audiences_of, find, scopes_of, trail
from sidecar.token.snapshot import ClaimRules, Consumer, Grants
from sidecar.token.words import listed, quoted

OWN_CLAIMS: Final = ("exp", "nbf", "iat", "jti")
"""Each token states these for itself, as they grant nothing."""
SCOPE_CLAIMS: Final = ("scope", "scp")
MAX_DEPTH: Final = 32
"""Levels of claims. Envoy can't read an answer with deeper ones in its metadata."""
_NOT_GRANTED: Final = {
    **dict.fromkeys(OWN_CLAIMS, "is for each token to state; remove it"),
    "aud": "is for each token to state; list what may be in it in audiences",
    "cnf": "binds each token to a key of its own; remove it",
    **dict.fromkeys(SCOPE_CLAIMS, "would grant scopes; list them in scopes"),
}
_NOT_STATED: Final = {
    **dict.fromkeys(OWN_CLAIMS, "counts without it; remove it"),
    "aud": "can't be allowed here; list what may be in it in audiences",
    "iss": "could name an issuer that did not issue the token; if it needs one, set it in claims",
}


def effective_claims(
    claims: Mapping[str, Any], consumer: Consumer, rules: ClaimRules, key_claim: str
) -> Mapping[str, Any]:
    """Return the claims that count of a token of this consumer, to which these rules apply.

    If the record and the token both state a claim, that of the record counts. There is no `iss`
    unless the record grants one: nobody may take the token for that of an issuer.
    Raises Refused with CLAIM_MISMATCH if `aud` or the scopes are malformed.
    """
    grants = consumer.grants
    effective = {name: claims[name] for name in OWN_CLAIMS if name in claims}
    _put(effective, trail(claims, key_claim), consumer.key)
    for path in _stated(grants.from_token, tuple(grants.claims), bool(grants.scopes), key_claim):
        names = trail(claims, path)
        if names:
            _put(effective, names, find(claims, path))
    audiences = [one for one in audiences_of(claims) if one in (rules.audiences or ())]
    if audiences:
        effective["aud"] = audiences[0] if len(audiences) == 1 else audiences
    scopes = _scopes(claims, grants, rules.scope_claims)
    if scopes:
        effective["scope"] = " ".join(scopes)
    return {**effective, **grants.claims}


def problems(grants: Grants) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what a record may not grant or allow: the field, and why, without a subject."""
    for name, value in grants.claims.items():
        if name in _NOT_GRANTED:
            yield ("claims", name), _NOT_GRANTED[name]
        elif not name:
            yield ("claims",), "has a claim without a name; name it or remove it"
        elif name in {"sub", "iss"} and (not isinstance(value, str) or not value):
            yield ("claims", name), "must be text that is not empty (RFC 7519, section 4.1)"
        elif not _is_within(value, MAX_DEPTH - 1):
            yield ("claims", name), f"is nested deeper than {MAX_DEPTH} levels; flatten it"
    for index, path in enumerate(grants.from_token):
        problem = _problem_of_path(path, grants, grants.from_token[:index])
        if problem:
            yield ("claims_from_token",), f"names {quoted(path)}, which {problem}"


def overlap(path: str, other: str) -> bool:
    """Tell if one of two dotted paths leads to the other claim or into it."""
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")


def described(claims: Mapping[str, Any], consumer: Consumer, effective: Mapping[str, Any]) -> str:
    """Describe where each effective claim comes from, and which claims count for nothing."""
    grants = consumer.grants
    granted = [name for name in effective if name in grants.claims]
    if grants.scopes and "scope" in effective:
        granted.append("scope")
    stated = [name for name in effective if name not in granted]
    ignored = [name for name in claims if name not in effective]
    said = f"{consumer.title} signs its own claims: from its record come {listed(granted)}"
    said += f", from the token {listed(stated)}"
    return f"{said}; {listed(ignored)} of the token count for nothing" if ignored else said


@functools.lru_cache(maxsize=1024)
def _stated(
    from_token: tuple[str, ...], granted: tuple[str, ...], has_scopes: bool, key_claim: str
) -> tuple[str, ...]:
    """Paths of what the token may state and the record does not: the same for all its tokens."""
    taken = (key_claim, *_NOT_STATED, *granted, *(SCOPE_CLAIMS if has_scopes else ()))
    return tuple(path for path in from_token if not any(overlap(path, one) for one in taken))


def _scopes(claims: Mapping[str, Any], grants: Grants, names: Collection[str]) -> tuple[str, ...]:
    """Return the scopes of the record; if the token states scopes, only those it states too."""
    stated = frozenset(scopes_of(claims, tuple(names)))
    if all(find(claims, name) is None for name in names):
        return grants.scopes
    return tuple(scope for scope in grants.scopes if scope in stated)


def _put(claims: dict[str, Any], names: tuple[str, ...], value: Any) -> None:
    """Sets a claim by the names that lead to it; what is around it is copied, not changed."""
    for name in names[:-1]:
        inner = claims.get(name)
        claims[name] = inner = dict(inner) if isinstance(inner, dict) else {}
        claims = inner
    claims[names[-1]] = value


def _is_within(value: Any, depth: int) -> bool:
    """Whether a value has at most so many levels of objects and arrays."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_within(one, depth - 1) for one in inner)


def _problem_of_path(path: str, grants: Grants, before: Collection[str]) -> str:
    if path in _NOT_STATED:
        return _NOT_STATED[path]
    if not all(path.split(".")):
        return "is no path of a claim, such as sub or realm_access.roles"
    if grants.scopes and path in SCOPE_CLAIMS:
        return (
            "would allow nothing: beside scopes, a token can only state fewer of them, and always "
            "may; remove one of the two"
        )
    for name in grants.claims:
        if overlap(path, name):
            return f"would be ignored, as claims has {quoted(name)}; remove one of the two"
    for other in before:
        if overlap(path, other):
            return f"overlaps {quoted(other)}; keep the shorter one"
    return ""
