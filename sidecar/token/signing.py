"""Keys that sign, how one is made, and their public halves as a JWK Set."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sidecar.token import pem, pkcs8, restriction
from sidecar.token.algorithms import ALGORITHMS
from sidecar.token.jwk import public_jwk, thumbprint
from sidecar.token.key import UnusableKey, from_public_key
from sidecar.token.key import from_secret as key_from_secret
from sidecar.token.restriction import Restriction
from sidecar.token.snapshot import Signer, SigningKey
from sidecar.token.words import quoted


def from_private_pem(
    data: bytes, password: bytes | None, algorithm: str, key_id: str
) -> SigningKey:
    """The signing key in a PEM private key: PKCS#1, PKCS#8 or SEC1, encrypted or not.

    Raises UnusableKey where the bytes are no private key, the password is wrong, missing or
    not needed, or the key does not fit the algorithm. No message holds the key.
    """
    private_key, restricted = read_private_pem(data, password, _seed_hint(algorithm))
    return from_private_key(private_key, algorithm, key_id, restricted)


def read_private_pem(
    data: bytes, password: bytes | None, hint: str = ""
) -> tuple[Any, Restriction | None]:
    """Read the private key in PEM, and what its OID restricts it to.

    The hint ends the message about a key that can't be read. Raises UnusableKey if the bytes
    are no private key, or two, or the password is wrong, missing or not needed.
    """
    if password == b"":
        raise UnusableKey("the password is empty")
    if data.count(b"PRIVATE KEY-----") > 2:
        # The OID that is read must be that of the key that is used.
        raise UnusableKey("it has more than one private key; leave one in it")
    try:
        private_key = load_pem_private_key(data, password)
    except TypeError as error:
        if password is None:
            raise UnusableKey("the private key is encrypted and needs a password") from error
        raise UnusableKey("the private key is not encrypted; remove its password") from error
    except (ValueError, UnsupportedAlgorithm, InternalError) as error:
        # OpenSSL's own error comes of parameters of scrypt that are none.
        raise UnusableKey(_why_unreadable(data, error) + hint) from error
    if not isinstance(private_key, RSAPrivateKey):
        return private_key, None
    return private_key, _restriction(data, password)


def _restriction(data: bytes, password: bytes | None) -> Restriction | None:
    """Read what the OID of an RSA key restricts it to. PKCS#1, the older form, has none."""
    if b"-----BEGIN RSA PRIVATE KEY-----" in data:
        return None
    try:
        block = pem.first(data, pem.PRIVATE_KEYS)
        info = block.der()
        if block.label == pem.ENCRYPTED_PRIVATE_KEY:
            info = pkcs8.decrypt(info, password or b"")
        return restriction.of_private_key(info)
    except pkcs8.UnknownEncryption as error:
        raise UnusableKey(
            "its encryption is of an old or rare kind, which hides whether the key is "
            "for RSASSA-PSS alone; encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc"
        ) from error
    except ValueError as error:
        raise UnusableKey("the algorithm of the private key can't be read") from error


def _why_unreadable(data: bytes, error: Exception) -> str:
    """A wrong password passes the check of the padding about once in 256 times."""
    if "Incorrect password" in str(error):
        return "the password of the private key is wrong"
    if b"ENCRYPTED" in data:
        return "the private key is damaged, its password wrong, or its encryption of no known kind"
    return "it is not a PEM private key of a known kind"


def from_private_key(
    private_key: Any, algorithm: str, key_id: str | None, restricted: Restriction | None = None
) -> SigningKey:
    """The signing key of a private key of `cryptography`, and what its OID restricts it to.

    Without a `key_id` it gets the thumbprint of its public half (RFC 7638). Raises
    UnusableKey where the key is too weak or does not fit the algorithm.
    """
    public = from_public_key(private_key.public_key(), key_id, restricted)
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
    keys = (key for signer in signers for key in (*signer.keys, *signer.other_keys))
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
