"""Keys that sign, how one is made, and their public halves as a JWK Set."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sidecar.token.algorithms import ALGORITHMS
from sidecar.token.jwk import public_jwk, thumbprint
from sidecar.token.key import UnusableKey, from_public_key
from sidecar.token.key import from_secret as key_from_secret
from sidecar.token.snapshot import Signer, SigningKey
from sidecar.token.words import quoted


def from_private_pem(
    data: bytes, password: bytes | None, algorithm: str, key_id: str
) -> SigningKey:
    """The signing key in a PEM private key: PKCS#1, PKCS#8 or SEC1, encrypted or not.

    Raises UnusableKey where the bytes are no private key, the password is wrong, missing or
    not needed, or the key does not fit the algorithm. No message holds the key.
    """
    if password == b"":
        raise UnusableKey("the password is empty")
    try:
        private_key = load_pem_private_key(data, password)
    except TypeError as error:
        if password is None:
            raise UnusableKey("the private key is encrypted and needs a password") from error
        raise UnusableKey("the private key is not encrypted; remove its password") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey(_why_unreadable(data, error) + _seed_hint(algorithm)) from error
    return from_private_key(private_key, algorithm, key_id)


def _why_unreadable(data: bytes, error: Exception) -> str:
    """A wrong password passes the check of the padding about once in 256 times."""
    if "Incorrect password" in str(error):
        return "the password of the private key is wrong"
    if b"ENCRYPTED" in data:
        return "the private key is damaged, its password wrong, or its encryption of no known kind"
    return "it is not a PEM private key of a known kind"


def from_private_key(private_key: Any, algorithm: str, key_id: str | None) -> SigningKey:
    """The signing key of a private key of `cryptography`.

    Without a `key_id` it gets the thumbprint of its public half (RFC 7638). Raises
    UnusableKey where the key is too weak or does not fit the algorithm.
    """
    public = from_public_key(private_key.public_key(), key_id)
    if algorithm not in public.algorithms:
        raise UnusableKey(f"{quoted(algorithm)} can't be signed with {public.describe()}")
    if public.key_id is None:
        public = replace(public, key_id=thumbprint(public))
    public = replace(public, algorithms=frozenset({algorithm}))
    return SigningKey(public.key_id or "", algorithm, private_key, public)


def from_secret(secret: bytes, algorithm: str, key_id: str) -> SigningKey:
    """The signing key of an HMAC secret; raises UnusableKey where it is too short."""
    key_from_secret(secret, frozenset({algorithm}))
    return SigningKey(key_id, algorithm, secret, None)


def sign(key: SigningKey, signing_input: bytes) -> bytes:
    """The signature of these bytes (RFC 7515, section 5.1)."""
    return ALGORITHMS[key.algorithm].sign(key.material, signing_input)


def public_jwks(signers: Iterable[Signer]) -> str:
    """The public keys of these signers as a JWK Set (RFC 7517, section 5). No secret is in it."""
    keys = (key for signer in signers for key in signer.keys)
    return json.dumps({"keys": published(keys)}, separators=(",", ":"))


def published(keys: Iterable[SigningKey]) -> list[dict[str, str]]:
    """The JWKs of the public halves of these keys; a secret has none."""
    return [
        {**public_jwk(key.public), "alg": key.algorithm, "use": "sig"}
        for key in keys
        if key.public is not None
    ]


def _seed_hint(algorithm: str) -> str:
    """OpenSSL writes the expanded key beside the seed unless told otherwise."""
    if not any(kind.type == "AKP" for kind in ALGORITHMS[algorithm].kinds):
        return ""
    return (
        f"; of {algorithm} only a seed is read: "
        "openssl pkey -provparam ml-dsa.output_formats=seed-only"
    )
