"""The JWS algorithms that exist here.

RFC 7518, section 3; RFC 8037; RFC 8812 (ES256K); RFC 9864 (Ed25519, Ed448); RFC 9964 (ML-DSA).
`cryptography` does the arithmetic, mostly through PyJWT. `none` is not in the table: it does
not exist.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import (
    ECAlgorithm,
    HMACAlgorithm,
    OKPAlgorithm,
    RSAAlgorithm,
    RSAPSSAlgorithm,
)

from sidecar.token.kinds import (
    ED448,
    ED25519,
    ML_DSA_44,
    ML_DSA_65,
    ML_DSA_87,
    P_256,
    P_384,
    P_521,
    RSA,
    SECP256K1,
    Kind,
)
from sidecar.token.words import names


class Engine(Protocol):
    """What signs and verifies; PyJWT's algorithms are such."""

    def verify(self, msg: bytes, key: Any, sig: bytes, /) -> bool:
        """Whether the signature holds; may raise ValueError for one of a wrong form."""

    def sign(self, msg: bytes, key: Any, /) -> bytes:
        """The signature of the message."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One JWS algorithm and the only kinds of key that may be used with it."""

    name: str
    kinds: tuple[Kind, ...]
    """The kinds of its keys, the one to generate first; empty where it has secrets."""
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

    def describe_keys(self) -> str:
        """What its keys are, for a sentence: `a key of type EC on P-256`."""
        types = " or ".join(sorted({kind.type for kind in self.kinds} or {"oct"}))
        if any(kind.named_by == "alg" for kind in self.kinds):
            return f"a key of type {types} for {self.name}"
        curves = names(kind.curve for kind in self.kinds if kind.curve)
        return f"a key of type {types}" + (f" on {curves}" if curves else "")


class _MlDsa:
    """ML-DSA as RFC 9964 has it, which PyJWT has not: pure, and with an empty context."""

    def verify(self, msg: bytes, key: Any, sig: bytes, /) -> bool:
        try:
            key.verify(sig, msg)
        except InvalidSignature:
            return False
        return True

    def sign(self, msg: bytes, key: Any, /) -> bytes:
        signature: bytes = key.sign(msg)
        return signature


def _with_keys(name: str, engine: Engine, *kinds: Kind) -> Algorithm:
    return Algorithm(name, kinds, 0, engine)


def _hmac(name: str, min_secret_bytes: int, engine: Engine) -> Algorithm:
    return Algorithm(name, (), min_secret_bytes, engine)


ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        _with_keys("RS256", RSAAlgorithm(RSAAlgorithm.SHA256), RSA),
        _with_keys("RS384", RSAAlgorithm(RSAAlgorithm.SHA384), RSA),
        _with_keys("RS512", RSAAlgorithm(RSAAlgorithm.SHA512), RSA),
        _with_keys("PS256", RSAPSSAlgorithm(RSAPSSAlgorithm.SHA256), RSA),
        _with_keys("PS384", RSAPSSAlgorithm(RSAPSSAlgorithm.SHA384), RSA),
        _with_keys("PS512", RSAPSSAlgorithm(RSAPSSAlgorithm.SHA512), RSA),
        _with_keys("ES256", ECAlgorithm(ECAlgorithm.SHA256, ec.SECP256R1), P_256),
        _with_keys("ES384", ECAlgorithm(ECAlgorithm.SHA384, ec.SECP384R1), P_384),
        _with_keys("ES512", ECAlgorithm(ECAlgorithm.SHA512, ec.SECP521R1), P_521),
        _with_keys("ES256K", ECAlgorithm(ECAlgorithm.SHA256, ec.SECP256K1), SECP256K1),
        _with_keys("EdDSA", OKPAlgorithm(), ED25519, ED448),
        _with_keys("Ed25519", OKPAlgorithm(), ED25519),
        _with_keys("Ed448", OKPAlgorithm(), ED448),
        _with_keys("ML-DSA-44", _MlDsa(), ML_DSA_44),
        _with_keys("ML-DSA-65", _MlDsa(), ML_DSA_65),
        _with_keys("ML-DSA-87", _MlDsa(), ML_DSA_87),
        _hmac("HS256", 32, HMACAlgorithm(HMACAlgorithm.SHA256)),
        _hmac("HS384", 48, HMACAlgorithm(HMACAlgorithm.SHA384)),
        _hmac("HS512", 64, HMACAlgorithm(HMACAlgorithm.SHA512)),
    )
}
"""Every algorithm by the name that `alg` gives it; names are compared exactly."""

ASYMMETRIC = frozenset(name for name, one in ALGORITHMS.items() if one.kinds)
SYMMETRIC = frozenset(name for name, one in ALGORITHMS.items() if not one.kinds)
KINDS: Final[tuple[Kind, ...]] = tuple(
    dict.fromkeys(kind for one in ALGORITHMS.values() for kind in one.kinds)
)
"""Every kind of key that some algorithm uses."""


def fitting(kind: Kind) -> frozenset[str]:
    """Names of the algorithms that a key of this kind can be used with."""
    return frozenset(name for name, one in ALGORITHMS.items() if kind in one.kinds)


def spellings(name: str) -> frozenset[str]:
    """The names in `alg` that stand for this algorithm: EdDSA has newer ones (RFC 9864)."""
    return _EDDSA if name == "EdDSA" else frozenset({name})


_EDDSA: Final = frozenset({"EdDSA", "Ed25519", "Ed448"})
