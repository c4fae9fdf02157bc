"""Public keys as JSON Web Keys (RFC 7517; for each type: `sidecar/token/kinds.py`)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm

from sidecar.token import base64url
from sidecar.token.algorithms import KINDS, spellings
from sidecar.token.key import Key, UnusableKey, from_public_key, kind_of
from sidecar.token.kinds import Kind
from sidecar.token.words import kind as json_type
from sidecar.token.words import names, quoted

MAX_KEY_ID_CHARACTERS: Final = 1024
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})


def from_jwk(jwk: object) -> Key:
    """The public key that a JWK describes (RFC 7517, section 4).

    Raises UnusableKey for symmetric and private keys, for keys meant for something else
    (`use`, `key_ops`), for an `alg` that does not fit, for members that are missing or
    malformed or of a wrong size, for points off the curve and for keys that are too weak.
    """
    if not isinstance(jwk, dict):
        raise UnusableKey(f"it is {json_type(jwk)}, not an object")
    key_type = _member(jwk, "kty")
    if key_type == "oct":
        raise UnusableKey("it is a symmetric key, which never comes from a key set")
    private = _PRIVATE_MEMBERS & jwk.keys()
    if private:
        raise UnusableKey(f"it has private members ({names(private)}); publish the public key")
    _check_purpose(jwk)
    key = from_public_key(_public_key(jwk, key_type), _key_id(jwk))
    declared = jwk.get("alg")
    if declared is None:
        return key
    if not isinstance(declared, str) or declared not in key.algorithms:
        raise UnusableKey(f"its alg is {quoted(declared)}, but it is {key.describe()}")
    return replace(key, algorithms=key.algorithms & _same_algorithm(declared))


def public_jwk(key: Key) -> dict[str, str]:
    """The JWK of a public key, with `kid` where it has one; `use` is not set.

    `alg` is set for AKP alone, which requires it (RFC 9964, section 3). Raises ValueError for
    an HMAC secret, which is never published.
    """
    if key.type == "oct":
        raise ValueError("a secret is never published")
    kind = kind_of(key.material)
    parts = zip(kind.members, kind.parts(key.material), strict=True)
    members = kind.identity | {name: base64url.encode(part).decode() for name, part in parts}
    return members if key.key_id is None else {"kid": key.key_id, **members}


def thumbprint(key: Key) -> str:
    """The SHA-256 JWK thumbprint of a public key, in base64url.

    Its members are the required ones (RFC 7638, section 3.2; RFC 9964, section 6, for AKP).
    """
    members = {name: value for name, value in public_jwk(key).items() if name != "kid"}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    return base64url.encode(hashlib.sha256(canonical).digest()).decode()


def _check_purpose(jwk: Mapping[str, Any]) -> None:
    use = jwk.get("use")
    if use is not None and use != "sig":
        raise UnusableKey(f'its use is {quoted(use)}, not "sig"')
    operations = jwk.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        raise UnusableKey('its key_ops do not include "verify"')


def _key_id(jwk: Mapping[str, Any]) -> str | None:
    key_id = jwk.get("kid")
    if key_id is None:
        return None
    if not isinstance(key_id, str) or len(key_id) > MAX_KEY_ID_CHARACTERS:
        raise UnusableKey(f"its kid is no string of at most {MAX_KEY_ID_CHARACTERS} characters")
    return key_id


def _same_algorithm(declared: str) -> frozenset[str]:
    """`EdDSA` and the name of RFC 9864 are one algorithm for one key."""
    edwards = spellings("EdDSA")
    return edwards if declared in edwards else frozenset({declared})


def _public_key(jwk: Mapping[str, Any], key_type: str) -> Any:
    kind = _kind(jwk, key_type)
    parts = [_octets(jwk, name) for name in kind.members]
    for part, (name, size) in zip(parts, kind.members.items(), strict=True):
        if size is not None and len(part) != size:
            raise UnusableKey(f'its "{name}" has {len(part)} bytes; {kind.name} needs {size}')
    try:
        return kind.build(*parts)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey("its numbers make no public key") from error


def _kind(jwk: Mapping[str, Any], key_type: str) -> Kind:
    of_type = {kind.name: kind for kind in KINDS if kind.type == key_type}
    if not of_type:
        known = names({kind.type for kind in KINDS})
        raise UnusableKey(f"its kty is {quoted(key_type)}; known are {known}")
    named_by = next(iter(of_type.values())).named_by
    if named_by is not None and jwk.get(named_by) is None:
        raise UnusableKey(f'it has no "{named_by}", which a key of kty {key_type} needs')
    name = None if named_by is None else _member(jwk, named_by)
    kind = of_type.get(name)
    if kind is None:
        known = names(one or "" for one in of_type)
        raise UnusableKey(f"its {named_by} is {quoted(name)}; known are {known}")
    return kind


def _member(jwk: Mapping[str, Any], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise UnusableKey(f'it has no "{name}"' if value is None else f'its "{name}" is no string')
    return value


def _octets(jwk: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64url.decode(_member(jwk, name).encode())
    except ValueError as error:
        raise UnusableKey(f'its "{name}" is not base64url') from error
