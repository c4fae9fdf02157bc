"""What holds for any bytes that a parser is given. Each target raises where it does not hold.

An input is one character that chooses the target, `0` to `7`, and what is given to it. A target
returns whether the parser took its input.
"""

import base64
import json
from typing import Any, Final

from sidecar.token import base64url, jws
from sidecar.token.algorithms import ALGORITHMS
from sidecar.token.jwk import from_jwk, public_jwk, thumbprint
from sidecar.token.key import Key, UnusableKey, kind_of
from sidecar.token.keyset import KeySet, parse_jwks
from sidecar.token.kinds import MIN_RSA_BITS
from sidecar.token.reason import Reason, Refused
from sidecar.token.strict_json import parse_object

DEPTH: Final = 32
LONG: Final = 64 * 1024
"""Bytes to which a repeated unit grows: what takes more than linear time takes seconds then."""


def token(data: bytes) -> bool:
    """What parses has one spelling; what does not is refused as malformed."""
    text = data.decode("latin-1")
    try:
        parsed = jws.parse(text, DEPTH)
    except Refused as refused:
        check_reason(refused, Reason.TOKEN_MALFORMED)
        return False
    header, payload, signature = text.split(".")
    assert parsed.signing_input == f"{header}.{payload}".encode()
    assert encoded(parsed.payload) == payload
    assert encoded(parsed.signature) == signature
    assert same(parsed.unverified_header, json.loads(base64url.decode(header.encode())))
    assert same(parsed.unverified_claims, json.loads(parsed.payload))
    assert all(type(one) is str for one in (parsed.algorithm, *parsed.critical))
    assert all(type(one) in {str, type(None)} for one in (parsed.key_id, parsed.type))
    return True


def parts(data: bytes) -> bool:
    """As `token`, of a header, a payload and a signature on three lines."""
    return token(b".".join(base64url.encode(part) for part in data.split(b"\n")))


def strict_json(data: bytes) -> bool:
    """What is read, the standard library reads alike; no name is there twice, and all is UTF-8."""
    try:
        value = parse_object(data, DEPTH)
    except ValueError:
        return False
    assert same(value, json.loads(data.decode(), object_pairs_hook=distinct))
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return True


def base64_url(data: bytes) -> bool:
    """What is read is written alike, and the standard library reads the same bytes."""
    try:
        value = base64url.decode(data)
    except ValueError:
        return False
    assert base64url.encode(value) == data
    assert base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4)) == value
    return True


def jwk(data: bytes) -> bool:
    """A key that is taken is public, strong enough, and the same when it is written and read."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return False
    try:
        key = from_jwk(value)
    except UnusableKey:
        return False
    check_key(key)
    return True


def jwk_set(data: bytes) -> bool:
    """Every member of a set is a key or set aside, and each key is among its own candidates."""
    try:
        keys = parse_jwks(data)
    except ValueError:
        return False
    assert len(keys.keys) + len(keys.unusable) == len(json.loads(data)["keys"])
    for key in keys.keys:
        check_key(key)
        check_candidates(keys, key)
    return bool(keys.keys)


def long_json(data: bytes) -> bool:
    """As `strict_json`, of a beginning and, on the next line, a unit that is repeated."""
    return strict_json(grown(data))


def long_token(data: bytes) -> bool:
    """As `token` and `base64_url`, of a text that grows so."""
    text = grown(data)
    base64_url(text)
    return token(text)


TARGETS: Final = (token, parts, strict_json, base64_url, jwk, jwk_set, long_json, long_token)


def one_input(data: bytes) -> bool:
    """Runs the target that the first character chooses."""
    return bool(data) and TARGETS[data[0] % len(TARGETS)](data[1:])


def check_key(key: Key) -> None:
    assert key.algorithms
    assert key.algorithms <= ALGORITHMS.keys()
    kind = kind_of(key.material)
    assert (key.type, key.curve) == (kind.type, kind.curve)
    assert all(kind in ALGORITHMS[name].kinds for name in key.algorithms)
    assert key.type != "RSA" or key.material.key_size >= MIN_RSA_BITS
    again = from_jwk(public_jwk(key))
    assert again.key_id == key.key_id
    assert again.algorithms >= key.algorithms
    assert thumbprint(again) == thumbprint(key)


def check_candidates(keys: KeySet, key: Key) -> None:
    for name in key.algorithms:
        try:
            assert key in keys.candidates(name, key.key_id)
        except Refused as refused:
            check_reason(refused, Reason.KEY_ID_MISSING)


def check_reason(refused: Refused, reason: Reason) -> None:
    assert refused.reason is reason


def encoded(data: bytes) -> str:
    return base64url.encode(data).decode()


def same(one: Any, other: Any) -> bool:
    """Equal in value and type, where 1 is neither true nor 1.0."""
    return repr(one) == repr(other)


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def grown(data: bytes) -> bytes:
    beginning, _, unit = data.partition(b"\n")
    return beginning + unit * (LONG // len(unit) if unit else 0)
