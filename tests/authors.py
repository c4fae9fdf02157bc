"""Who signs the tokens of the tests: keys, and signatures made without the code under test."""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization import NoEncryption as Unencrypted
from jwt.algorithms import get_default_algorithms

from sidecar.token.key import Key, from_secret
from sidecar.token.keyset import KeySet, from_jwks


class MlDsa:
    """ML-DSA in the shape of PyJWT's algorithms, which lack it."""

    def sign(self, msg: bytes, key: Any) -> bytes:
        return cast(bytes, key.sign(msg))

    def to_jwk(self, key: Any, as_dict: bool) -> dict[str, Any]:
        assert as_dict
        if hasattr(key, "private_bytes_raw"):
            return {
                **self.to_jwk(key.public_key(), as_dict),
                "priv": encode(key.private_bytes_raw()),
            }
        raw = key.public_bytes_raw()
        return {"kty": "AKP", "alg": ML_DSA_OF_SIZE[len(raw)], "pub": encode(raw)}


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


ML_DSA_OF_SIZE = {1312: "ML-DSA-44", 1952: "ML-DSA-65", 2592: "ML-DSA-87"}
VECTORS = Path(__file__).parent / "vectors"
ENGINES: dict[str, Any] = {
    **get_default_algorithms(),
    **dict.fromkeys(ML_DSA_OF_SIZE.values(), MlDsa()),
}
ALL_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448"),
    *("ML-DSA-44", "ML-DSA-65", "ML-DSA-87"),
    *("HS256", "HS384", "HS512"),
)
_PYJWT_NAMES = {"Ed25519": "EdDSA", "Ed448": "EdDSA"}
_GENERATORS: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ES256K": lambda: ec.generate_private_key(ec.SECP256K1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "ML-DSA-44": mldsa.MLDSA44PrivateKey.generate,
    "ML-DSA-65": mldsa.MLDSA65PrivateKey.generate,
    "ML-DSA-87": mldsa.MLDSA87PrivateKey.generate,
}


@dataclass(frozen=True)
class Author:
    """One who signs tokens with one algorithm and one key."""

    algorithm: str
    private_key: Any = field(repr=False)
    key_id: str | None

    def sign(self, signing_input: bytes) -> bytes:
        engine = ENGINES[_PYJWT_NAMES.get(self.algorithm, self.algorithm)]
        return cast(bytes, engine.sign(signing_input, self.private_key))

    def calling_itself(self, key_id: str | None) -> "Author":
        return replace(self, key_id=key_id)

    def using(self, algorithm: str) -> "Author":
        return replace(self, algorithm=algorithm)

    def jwk(self, **members: Any) -> dict[str, Any]:
        """The public JWK, with these members changed or, where None, left out."""
        engine = ENGINES[_PYJWT_NAMES.get(self.algorithm, self.algorithm)]
        jwk = engine.to_jwk(self.private_key.public_key(), as_dict=True)
        jwk = {name: value for name, value in jwk.items() if name != "key_ops"}
        jwk = {**jwk, "kid": self.key_id, **members}
        return {name: value for name, value in jwk.items() if value is not None}

    def private_jwk(self) -> dict[str, Any]:
        engine = ENGINES[_PYJWT_NAMES.get(self.algorithm, self.algorithm)]
        return cast(dict[str, Any], engine.to_jwk(self.private_key, as_dict=True))

    def public_pem(self) -> bytes:
        public_key = self.private_key.public_key()
        return cast(bytes, public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def private_pem(self) -> bytes:
        return cast(
            bytes,
            self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, Unencrypted()),
        )

    def secret_key(self) -> Key:
        return from_secret(self.private_key, frozenset({self.algorithm}), self.key_id)


def author(algorithm: str = "ES256", key_id: str | None = "key-1", other: int = 0) -> Author:
    """The author with this algorithm; another number gives another key."""
    if algorithm.startswith(("RS", "PS")):
        return Author(algorithm, rsa_key("rsa-2048-other" if other else "rsa-2048"), key_id)
    return Author(algorithm, _private_key(algorithm, other), key_id)


@cache
def rsa_key(name: str) -> Any:
    return load_pem_private_key((VECTORS / "keys" / f"{name}.pem").read_bytes(), None)


@cache
def _private_key(algorithm: str, number: int) -> Any:
    if algorithm.startswith("HS"):
        return hmac.digest(b"a secret for tests", bytes([number]), f"sha{algorithm[2:]}")
    return _GENERATORS[algorithm]()


def key_set(*members: Author | dict[str, Any]) -> KeySet:
    """The key set that a JWK Set of these authors and members gives."""
    jwks = [member.jwk() if isinstance(member, Author) else member for member in members]
    return from_jwks({"keys": jwks})


CORP = author()
STRANGER = author(other=1)
"""Claims CORP's `kid`, and has not its key."""
