"""`jwt-sidecar keys`: new keys, and JWK Sets of those that there are."""

import argparse
import json
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sidecar.cli import DONE, CommandFailed
from sidecar.keys.generated import generate_private_key
from sidecar.token import base64url
from sidecar.token.algorithms import ALGORITHMS, SYMMETRIC
from sidecar.token.jwk import public_jwk, thumbprint
from sidecar.token.key import Key, UnusableKey, from_pem, from_public_key
from sidecar.token.signing import from_private_key, published, read_private_pem
from sidecar.token.words import names


def generate(options: argparse.Namespace) -> int:
    """Prints a new private key in PEM and its JWK Set; for an HS algorithm, a secret."""
    algorithm = options.algorithm
    if algorithm not in ALGORITHMS:
        raise CommandFailed(f"--algorithm {algorithm}: known are {names(ALGORITHMS)}")
    if algorithm in SYMMETRIC:
        secret = secrets.token_bytes(ALGORITHMS[algorithm].min_secret_bytes)
        print(base64url.encode(secret).decode())
        return DONE
    private_key = generate_private_key(algorithm)
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = from_private_key(private_key, algorithm, options.key_id)
    print(pem.decode(), end="")
    print(_jwks(published([key])))
    return DONE


def jwks(options: argparse.Namespace) -> int:
    """Prints the JWK Set of the public keys in these files."""
    members = []
    for path in options.pem:
        try:
            key = _public_key(Path(path).read_bytes())
        except OSError as error:
            raise CommandFailed(f"{path}: {error.strerror}") from error
        except UnusableKey as error:
            raise CommandFailed(f"{path}: {error.message}") from error
        members.append({"kid": thumbprint(key), **public_jwk(key), **_algorithm(key), "use": "sig"})
    print(_jwks(members))
    return DONE


def _public_key(pem: bytes) -> Key:
    if b"PRIVATE KEY-----" not in pem:
        return from_pem(pem)
    if b"ENCRYPTED" in pem:
        raise UnusableKey("it is encrypted; give its public key instead")
    private_key, restricted = read_private_pem(pem, None)
    return from_public_key(private_key.public_key(), None, restricted)


def _algorithm(key: Key) -> dict[str, str]:
    """`alg` of a key that is not for every algorithm of its type: a JWK can say it by one alone."""
    return {"alg": min(key.algorithms)} if key.restriction else {}


def _jwks(members: list[dict[str, str]]) -> str:
    return json.dumps({"keys": members}, indent=2)
