"""Public keys as JSON Web Keys (RFC 7517; RFC 7518, section 6; RFC 8037)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sidecar.token import base64url
from sidecar.token.key import CURVES, Key, UnusableKey, from_public_key
from sidecar.token.words import kind, names, quoted

MAX_KEY_ID_CHARACTERS: Final = 1024
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})


def from_jwk(jwk: object) -> Key:
    """The public key that a JWK describes (RFC 7517; RFC 7518, section 6; RFC 8037).

    Raises UnusableKey for symmetric and private keys, for keys meant for something else
    (`use`, `key_ops`), for an `alg` that does not fit, for members that are missing or
    malformed, for points off the curve and for keys that are too weak.
    """
    if not isinstance(jwk, dict):
        raise UnusableKey(f"it is {kind(jwk)}, not an object")
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
    """The JWK of a public key, with `kid` where it has one; `alg` and `use` are not set.

    Raises ValueError for an HMAC secret, which is never published.
    """
    material = key.material
    if isinstance(material, rsa.RSAPublicKey):
        numbers = material.public_numbers()
        members = {"kty": "RSA", "n": _unsigned(numbers.n), "e": _unsigned(numbers.e)}
    elif isinstance(material, ec.EllipticCurvePublicKey) and key.curve:
        size = (material.curve.key_size + 7) // 8
        point = material.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        members = {"kty": "EC", "crv": key.curve}
        members["x"] = base64url.encode(point[1 : 1 + size]).decode()
        members["y"] = base64url.encode(point[1 + size :]).decode()
    elif isinstance(material, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and key.curve:
        raw = material.public_bytes(Encoding.Raw, PublicFormat.Raw)
        members = {"kty": "OKP", "crv": key.curve, "x": base64url.encode(raw).decode()}
    else:
        raise ValueError("a secret is never published")
    return members if key.key_id is None else {"kid": key.key_id, **members}


def thumbprint(key: Key) -> str:
    """The SHA-256 JWK thumbprint of a public key (RFC 7638), in base64url."""
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
    edwards = frozenset({"EdDSA", "Ed25519", "Ed448"})
    return edwards if declared in edwards else frozenset({declared})


def _public_key(jwk: Mapping[str, Any], key_type: str) -> Any:
    try:
        if key_type == "RSA":
            return rsa.RSAPublicNumbers(_number(jwk, "e"), _number(jwk, "n")).public_key()
        if key_type == "EC":
            return _ec_public_key(jwk)
        if key_type == "OKP":
            return _edwards_public_key(jwk)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey("its numbers make no public key") from error
    raise UnusableKey(f"its kty is {quoted(key_type)}; known are EC, OKP and RSA")


def _ec_public_key(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    curve = CURVES.get(_member(jwk, "crv"))
    if curve is None:
        raise UnusableKey(f"its crv is {quoted(jwk['crv'])}; known are {names(CURVES)}")
    size = (curve.key_size + 7) // 8
    x, y = _octets(jwk, "x"), _octets(jwk, "y")
    if len(x) != size or len(y) != size:
        raise UnusableKey(f"its x and y are not {size} bytes each")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y)


def _edwards_public_key(jwk: Mapping[str, Any]) -> Any:
    curve = _member(jwk, "crv")
    if curve == "Ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(_octets(jwk, "x"))
    if curve == "Ed448":
        return ed448.Ed448PublicKey.from_public_bytes(_octets(jwk, "x"))
    raise UnusableKey(f"its crv is {quoted(curve)}; known are Ed25519 and Ed448")


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


def _number(jwk: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(_octets(jwk, name), "big")


def _unsigned(number: int) -> str:
    return base64url.encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()
