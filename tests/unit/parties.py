"""A small world to decide in: an issuer with one key, a consumer, and tokens of theirs."""

import json
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ed25519

from sidecar.token import base64url
from sidecar.token.key import from_public_key, from_secret
from sidecar.token.keyset import KeySet
from sidecar.token.request import Verified
from sidecar.token.snapshot import ClaimRules, Consumer, Issuer, Snapshot

NOW: Final = 1_800_000_000.0
ISS: Final = "https://login.example.com/"
KEY: Final = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER_KEY: Final = ed25519.Ed25519PrivateKey.from_private_bytes(b"o" * 32)


def token(key: ed25519.Ed25519PrivateKey = KEY, kid: str | None = "k1", **claims: Any) -> str:
    """A signed token of the issuer, valid unless a claim says otherwise."""
    header = {"alg": "EdDSA", **({"kid": kid} if kid is not None else {})}
    claims = {"iss": ISS, "sub": "alice", "aud": "orders", "exp": NOW + 60, **claims}
    parts = [base64url.encode(json.dumps(part).encode()) for part in (header, claims)]
    return b".".join((*parts, base64url.encode(key.sign(b".".join(parts))))).decode()


def key_set(kid: str | None = "k1", key: ed25519.Ed25519PrivateKey = KEY) -> KeySet:
    """The public half of a key, alone in a set."""
    return KeySet((from_public_key(key.public_key(), kid),))


def jwk(kid: str | None = "k1", **members: Any) -> dict[str, Any]:
    """A member of a JWK Set, with these members changed; None leaves one out."""
    raw = base64url.encode(KEY.public_key().public_bytes_raw()).decode()
    full = {"kty": "OKP", "crv": "Ed25519", "x": raw, "kid": kid, **members}
    return {name: value for name, value in full.items() if value is not None}


def jwks(*members: Any) -> bytes:
    """A JWK Set as its provider serves it."""
    return json.dumps({"keys": members}).encode()


def snapshot(keys: KeySet | None) -> Snapshot:
    """A configuration with the issuer `corp`, which has these keys."""
    return Snapshot.of((Issuer("corp", ISS, ClaimRules(frozenset({"orders"})), keys),))


def consumer(name: str = "jack", **labels: str) -> Consumer:
    """A consumer with a secret of its own."""
    return Consumer(name, "user-key", "HS256", from_secret(b"s" * 32, frozenset({"HS256"})), labels)


def verified(
    claims: dict[str, Any] | None = None,
    by: Consumer | None = None,
    claims_json: bytes | None = None,
) -> Verified:
    """A token with these claims that passed every check; `by` a consumer or else by `corp`."""
    claims = {"sub": "alice"} if claims is None else claims
    return Verified(
        issuer_name="" if by else "corp",
        consumer=by,
        key_id="k1",
        algorithm="EdDSA",
        claims=claims,
        payload=base64url.encode(
            json.dumps(claims).encode() if claims_json is None else claims_json
        ).decode(),
        audiences=("orders",),
        scopes=("orders:read",),
        scope_claims=("scope", "scp"),
        issue_time=None,
        not_before_time=None,
        expire_time=NOW + 60,
    )
