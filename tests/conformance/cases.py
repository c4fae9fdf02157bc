"""Cases of other projects: a token, keys, what is configured, and a verdict.

A file of cases has one JSON object a line, with these members:

- `id`, and `source`: the project, a colon, and the file that the case is from;
- `keys`: of `kind` `jwks`, `pem` or `secret_b64`, with its `value`;
- `algorithms`, `issuer`, `audience`: what is configured, null for anything;
- `now`: seconds since the epoch, null where no claim turns on it;
- `token`, `expect`, which is `valid` or `invalid`, and `why`, the case's own word for it;
- `tier`: `must` where the verdict follows from the RFCs, `policy` where it may go either way;
- `level`: `jwt`, or `jws` where the payload is no claims set.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sidecar.token import base64url
from sidecar.token.algorithms import ALGORITHMS, SYMMETRIC
from sidecar.token.key import Key, UnusableKey, from_pem, from_secret
from sidecar.token.keyset import KeySet, UnusableMember, from_jwks

ANY_TIME: Final = 1_700_000_000
"""When a case is judged in which no claim turns on the time."""


@dataclass(frozen=True)
class Case:
    """One line of the file."""

    id: str
    source: str
    must: bool
    claims: bool
    """False where the payload is no claims set, so that only the signature can be judged."""
    valid: bool
    token: str
    keys: KeySet
    algorithms: frozenset[str]
    issuer: str | None
    audience: str | None
    now: float
    why: str
    """The case's own word for its verdict."""

    @property
    def project(self) -> str:
        return self.source.partition(":")[0]


def read(data: bytes) -> list[Case]:
    """The cases of a file."""
    return [case_of(json.loads(line)) for line in data.splitlines()]


def case_of(members: Mapping[str, Any]) -> Case:
    allowed = members["algorithms"]
    keys = keys_of(members["keys"], allowed)
    return Case(
        members["id"],
        members["source"],
        members["tier"] == "must",
        members["level"] == "jwt",
        members["expect"] == "valid",
        members["token"],
        keys,
        frozenset(allowed) if allowed is not None else keys.algorithms or frozenset(ALGORITHMS),
        members["issuer"],
        members["audience"],
        ANY_TIME if members["now"] is None else members["now"],
        members["why"],
    )


def keys_of(given: Mapping[str, Any], allowed: Iterable[str] | None) -> KeySet:
    """The keys of a case; one that the product takes nowhere is set aside with its reason."""
    value = given["value"]
    if given["kind"] == "pem":
        return key_set([value], lambda pem: from_pem(pem.encode()))
    if given["kind"] == "secret_b64":
        return key_set([value], lambda text: secret_key(base64.b64decode(text), allowed))
    symmetric = [one for one in value["keys"] if isinstance(one, dict) and one.get("kty") == "oct"]
    public = from_jwks({"keys": [one for one in value["keys"] if one not in symmetric]})
    secret = key_set(symmetric, lambda jwk: symmetric_key(jwk, allowed))
    return KeySet(public.keys + secret.keys, public.unusable + secret.unusable)


def key_set(members: Iterable[Any], make: Callable[[Any], Key]) -> KeySet:
    keys: list[Key] = []
    unusable: list[UnusableMember] = []
    for member in members:
        try:
            keys.append(make(member))
        except UnusableKey as problem:
            key_id = member.get("kid") if isinstance(member, dict) else None
            unusable.append(UnusableMember("a case", key_id, problem))
    return KeySet(tuple(keys), tuple(unusable))


def symmetric_key(jwk: Mapping[str, Any], allowed: Iterable[str] | None) -> Key:
    """A symmetric JWK as one would configure it as a secret, knowing what it is for."""
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise UnusableKey("it is for something else")
    try:
        secret = base64url.decode(jwk["k"].encode())
    except ValueError as error:
        raise UnusableKey("it is not base64url") from error
    declared = jwk.get("alg")
    return secret_key(secret, allowed if declared is None else [declared], jwk.get("kid"))


def secret_key(secret: bytes, allowed: Iterable[str] | None, key_id: str | None = None) -> Key:
    """The key of a secret for those of the allowed algorithms for which it is long enough."""
    wanted = SYMMETRIC.intersection(SYMMETRIC if allowed is None else allowed)
    if not wanted:
        raise UnusableKey("it serves no algorithm that is allowed")
    fitting = {name for name in wanted if len(secret) >= ALGORITHMS[name].min_secret_bytes}
    return from_secret(secret, frozenset(fitting or wanted), key_id)
