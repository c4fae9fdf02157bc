"""The JWS algorithms that exist here (RFC 7518, section 3; RFC 8037; RFC 9864).

PyJWT does the arithmetic. `none` is not in the table: it does not exist.
"""

from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import Algorithm as Engine
from jwt.algorithms import (
    ECAlgorithm,
    HMACAlgorithm,
    OKPAlgorithm,
    RSAAlgorithm,
    RSAPSSAlgorithm,
)

MIN_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One JWS algorithm and the only kind of key that may be used with it."""

    name: str
    key_type: str
    """The `kty` of its keys: RSA, EC, OKP or oct."""
    curves: frozenset[str]
    """The `crv` that its keys may have; empty where keys have none."""
    min_secret_bytes: int
    """Least length of an HMAC secret (RFC 7518, section 3.2); 0 for the others."""
    engine: Engine

    def verify(self, key: Any, signing_input: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over these bytes. Never raises for a bad one."""
        try:
            return self.engine.verify(signing_input, key, signature)
        except ValueError:
            return False

    def sign(self, key: Any, signing_input: bytes) -> bytes:
        """The signature of these bytes with a private key or secret."""
        return self.engine.sign(signing_input, key)


def _rsa(name: str, engine: Engine) -> Algorithm:
    return Algorithm(name, "RSA", frozenset(), 0, engine)


def _ec(name: str, curve: str, engine: Engine) -> Algorithm:
    return Algorithm(name, "EC", frozenset({curve}), 0, engine)


def _okp(name: str, *curves: str) -> Algorithm:
    return Algorithm(name, "OKP", frozenset(curves), 0, OKPAlgorithm())


def _hmac(name: str, min_secret_bytes: int, engine: Engine) -> Algorithm:
    return Algorithm(name, "oct", frozenset(), min_secret_bytes, engine)


ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        _rsa("RS256", RSAAlgorithm(RSAAlgorithm.SHA256)),
        _rsa("RS384", RSAAlgorithm(RSAAlgorithm.SHA384)),
        _rsa("RS512", RSAAlgorithm(RSAAlgorithm.SHA512)),
        _rsa("PS256", RSAPSSAlgorithm(RSAPSSAlgorithm.SHA256)),
        _rsa("PS384", RSAPSSAlgorithm(RSAPSSAlgorithm.SHA384)),
        _rsa("PS512", RSAPSSAlgorithm(RSAPSSAlgorithm.SHA512)),
        _ec("ES256", "P-256", ECAlgorithm(ECAlgorithm.SHA256, ec.SECP256R1)),
        _ec("ES384", "P-384", ECAlgorithm(ECAlgorithm.SHA384, ec.SECP384R1)),
        _ec("ES512", "P-521", ECAlgorithm(ECAlgorithm.SHA512, ec.SECP521R1)),
        _okp("EdDSA", "Ed25519", "Ed448"),
        _okp("Ed25519", "Ed25519"),
        _okp("Ed448", "Ed448"),
        _hmac("HS256", 32, HMACAlgorithm(HMACAlgorithm.SHA256)),
        _hmac("HS384", 48, HMACAlgorithm(HMACAlgorithm.SHA384)),
        _hmac("HS512", 64, HMACAlgorithm(HMACAlgorithm.SHA512)),
    )
}
"""Every algorithm by the name that `alg` gives it; names are compared exactly."""

ASYMMETRIC = frozenset(name for name, one in ALGORITHMS.items() if one.key_type != "oct")
SYMMETRIC = frozenset(name for name, one in ALGORITHMS.items() if one.key_type == "oct")


def fitting(key_type: str, curve: str | None) -> frozenset[str]:
    """Names of the algorithms that a key of this type and curve can be used with."""
    return frozenset(
        name
        for name, algorithm in ALGORITHMS.items()
        if algorithm.key_type == key_type and (not algorithm.curves or curve in algorithm.curves)
    )


def spellings(name: str) -> frozenset[str]:
    """The names in `alg` that stand for this algorithm: EdDSA has newer ones (RFC 9864)."""
    return _EDDSA if name == "EdDSA" else frozenset({name})


_EDDSA: Final = frozenset({"EdDSA", "Ed25519", "Ed448"})
