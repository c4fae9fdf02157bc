"""What a call can't do without, measured in this process: no transport, no messages."""

import hmac
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256

from bench.figures import verification
from bench.work import AUDIENCE, ISSUER, SECRET, Tokens
from sidecar.config.load import load
from sidecar.config.snapshot import build
from sidecar.steady import forget_nothing
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Request, Verified
from sidecar.token.validator import validate

CORE: Final = "the core's validate, RS256"
_REPEATED: Final = 500
_SIGNED: Final = b"a" * 400
"""About as long as what a token's signature covers."""


def operations(tokens: Tokens, configuration: Path) -> Mapping[str, Callable[[], object]]:
    """What is measured, by name."""
    token = tokens.new("RS256")
    public_key = tokens.private_keys["RS256"].public_key()
    snapshot = build(load(configuration, {}).settings, generated={})
    request, now, used = Request(token), time.time(), ProofMemory(forget_nothing)
    assert isinstance(validate(request, snapshot, now, used), Verified)
    return {
        verification("RS256"): _rs256(tokens),
        verification("ES256"): _es256(tokens),
        verification("EdDSA"): _eddsa(tokens),
        verification("HS256"): _hs256(),
        "PyJWT's decode, RS256": lambda: jwt.decode(
            token, public_key, ["RS256"], audience=AUDIENCE, issuer=ISSUER
        ),
        CORE: lambda: validate(request, snapshot, now, used),
    }


def cost(operation: Callable[[], object]) -> float:
    """Microseconds of CPU time for one time."""
    start = time.thread_time()
    for _ in range(_REPEATED):
        operation()
    return (time.thread_time() - start) / _REPEATED * 1e6


def _rs256(tokens: Tokens) -> Callable[[], object]:
    key = tokens.private_keys["RS256"]
    public_key, how = key.public_key(), (padding.PKCS1v15(), SHA256())
    signature = key.sign(_SIGNED, *how)
    return lambda: public_key.verify(signature, _SIGNED, *how)


def _es256(tokens: Tokens) -> Callable[[], object]:
    key = tokens.private_keys["ES256"]
    public_key, how = key.public_key(), ec.ECDSA(SHA256())
    signature = key.sign(_SIGNED, how)
    return lambda: public_key.verify(signature, _SIGNED, how)


def _eddsa(tokens: Tokens) -> Callable[[], object]:
    key = tokens.private_keys["EdDSA"]
    public_key, signature = key.public_key(), key.sign(_SIGNED)
    return lambda: public_key.verify(signature, _SIGNED)


def _hs256() -> Callable[[], object]:
    secret = SECRET.encode()
    signature = hmac.digest(secret, _SIGNED, "sha256")
    return lambda: hmac.compare_digest(hmac.digest(secret, _SIGNED, "sha256"), signature)
