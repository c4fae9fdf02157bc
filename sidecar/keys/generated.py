"""Private keys that the sidecar makes itself."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from sidecar.token.algorithms import ALGORITHMS, MIN_RSA_BITS
from sidecar.token.key import CURVES


def generate_private_key(algorithm: str) -> Any:
    """A new private key of `cryptography` for an asymmetric JWS algorithm.

    RSA keys have 2048 bits. Raises ValueError for an algorithm that has no private key.
    """
    kind = ALGORITHMS[algorithm]
    if kind.key_type == "RSA":
        return rsa.generate_private_key(65537, MIN_RSA_BITS)
    if kind.key_type == "EC":
        (curve,) = kind.curves
        return ec.generate_private_key(CURVES[curve])
    if kind.curves == frozenset({"Ed448"}):
        return ed448.Ed448PrivateKey.generate()
    if kind.key_type == "OKP":
        return ed25519.Ed25519PrivateKey.generate()
    raise ValueError(f"{algorithm} is symmetric: it has a secret and no private key")
