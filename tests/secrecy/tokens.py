"""Tokens of every kind that a sidecar may be shown, each a marker."""

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from typing import Any

from tests.authors import CORP, STRANGER, Author
from tests.proofs import HOLDER, dpop, thumbprint
from tests.secrecy.markers import Markers
from tests.secrecy.world import CORP_ISS, LAB_ISS, World
from tests.tokens import encode, header_of, seal


def shared(secret: str) -> Author:
    """Who signs with a secret."""
    return Author("HS256", secret.encode(), None)


def token(markers: Markers, name: str, by: Author = CORP, **claims: Any) -> str:
    """A good token of the issuer corp but for these claims; None takes one out."""
    now = int(time.time())
    members = {
        "iss": CORP_ISS,
        "aud": "orders",
        "sub": "alice",
        "scope": "read call",
        "iat": now - 5,
        "exp": now + 600,
        "jti": str(uuid.uuid4()),
        **claims,
    }
    kept = {one: value for one, value in members.items() if value is not None}
    text = _sealed(kept, by)
    markers.know_token(name, text)
    return text


def tokens(one: World) -> Mapping[str, str]:
    """By what is special about them."""

    def make(name: str, by: Author = CORP, **claims: Any) -> str:
        return token(one.markers, name, by, **claims)

    lab = shared(one.secrets["secret of issuer lab"])
    jack = shared(one.secrets["secret of jack"])
    good = make("a good token")
    now = int(time.time())
    return {
        "good": good,
        "of lab": make("a token of lab", lab, iss=LAB_ISS),
        "of jack": make("a token of jack", jack, iss=None, key="jack-key"),
        "of jill": make(
            "a token of jill", shared(one.secrets["secret of jill"]), iss=None, key="jill-key"
        ),
        "for another audience": make("a token for another audience", aud="billing"),
        "without jti": make("a token without jti", jti=None),
        "of nobody": make("a token of nobody", sub="nobody"),
        "expired": make("an expired token", exp=now - 600),
        "not yet valid": make("a token to come", nbf=now + 600),
        "too old": make("an old token", iat=now - 86400),
        "without exp": make("a token without exp", exp=None),
        "of a stranger": make("a forged token", STRANGER),
        "of an unknown key": make("a token of an unknown key", STRANGER.calling_itself("key-9")),
        "of an issuer whose keys are away": make("a token of down", iss="https://down.example"),
        "of an unknown issuer": make("a token of an unknown issuer", iss="https://x.example"),
        "of an unknown consumer": make("a token of an unknown consumer", jack, iss=None, key="x"),
        "of a disguised consumer": make("a token of bob", jack, iss=None, key="bob-key"),
        "bound": make("a bound token", cnf={"jkt": thumbprint()}),
        "too large": make("a large token", filler="x" * 20_000),
        "without its end": good[:-1],
        "with padding": f"{good}=",
        "with its scheme": f"Bearer {good}",
        "twice": f"{good}.{good}",
        "twice in one": f"{good},{good}",
        "in two lines": f"{good[:50]}\n{good[50:]}",
        "without its header": good.partition(".")[2],
        "of two parts": good.rpartition(".")[0] + good.rpartition(".")[2],
        "its signature alone": good.rpartition(".")[2],
        "unsigned": good.rpartition(".")[0] + ".",
        "with broken claims": _broken(good, b'{"iss":"https://corp.example","a":'),
        "with a claim twice": _broken(good, b'{"a":1,"a":2}'),
        "in other letters": f"{good}\N{SNOWMAN}",
        "a secret": one.secrets["secret of jack"],
    }


def proof_of(markers: Markers, name: str, bound: str, **changes: Any) -> str:
    """A DPoP proof for a token; good but for the changes."""
    said = {"iat": int(time.time()), "jti": secrets.token_hex(), "nonce": secrets.token_hex(20)}
    text = dpop(bound, HOLDER, **{**said, **changes})
    markers.know_token(name, text)
    return text


def _sealed(claims: Mapping[str, Any], by: Author) -> str:
    """With a nonce in the end, so that its encoded claims are like no other's."""
    payload = json.dumps({**claims, "nonce": secrets.token_hex(20)}).encode()
    return seal(f"{encode(json.dumps(header_of(by)).encode())}.{encode(payload)}", by)


def _broken(good: str, claims: bytes) -> str:
    header, _, signature = good.split(".")
    return f"{header}.{encode(claims)}.{signature}"
