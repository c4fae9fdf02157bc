"""Private keys that the sidecar makes itself."""

from typing import Any

from sidecar.token.algorithms import ALGORITHMS


def generate_private_key(algorithm: str) -> Any:
    """A new private key of `cryptography` for an asymmetric JWS algorithm.

    RSA keys have 2048 bits. Raises ValueError for an algorithm that has no private key.
    """
    kinds = ALGORITHMS[algorithm].kinds
    if not kinds:
        raise ValueError(f"{algorithm} is symmetric: it has a secret and no private key")
    return kinds[0].generate()
