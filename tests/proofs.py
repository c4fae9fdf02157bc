"""DPoP proofs as a test wants them, made without the code under test."""

import hashlib
import json
from typing import Any, Final

from sidecar.token.request import Proof
from tests.authors import Author, author
from tests.tokens import ABSENT, NOW, encode, mint, seal

HOLDER: Final = author("ES256", None, other=7)
"""Whose key the tokens are bound to."""
METHOD: Final = "POST"
TARGET: Final = "https://shop.example/orders"


def thumbprint(by: Author = HOLDER) -> str:
    """RFC 7638, of a key on P-256."""
    members = {name: value for name, value in by.jwk(kid=None).items() if name in "crvktyxy"}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    return encode(hashlib.sha256(canonical).digest())


def bound(by: Author = HOLDER, **claims: Any) -> str:
    """A token of CORP's that is bound to this key."""
    return mint(**{"cnf": {"jkt": thumbprint(by)}, **claims})


def dpop(token: str, by: Author = HOLDER, header: Any = None, **claims: Any) -> str:
    """A good proof for a token, but for what is changed."""
    parameters = {
        "typ": "dpop+jwt",
        "alg": by.algorithm,
        "jwk": by.jwk(kid=None),
        **(header or {}),
    }
    said = {
        "jti": "proof-1",
        "htm": METHOD,
        "htu": TARGET,
        "iat": NOW,
        "ath": encode(hashlib.sha256(token.encode()).digest()),
        **claims,
    }
    parts = (_encoded(parameters), _encoded(said))
    return seal(".".join(parts), by)


def proof(token: str, by: Author = HOLDER, header: Any = None, **claims: Any) -> Proof:
    """As `dpop`, with the request that it was sent with."""
    return Proof(dpop(token, by, header, **claims), METHOD, TARGET)


def _encoded(members: dict[str, Any]) -> str:
    kept = {name: value for name, value in members.items() if value is not ABSENT}
    return encode(json.dumps(kept).encode())
