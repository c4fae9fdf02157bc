"""Everything that a sidecar can be asked over gRPC, right and wrong."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

import grpc
from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.message import Message

from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import token_service_pb2 as messages
from tests.proofs import METHOD, TARGET
from tests.secrecy.caller import ADMIN, CHECK, TOKENS, Caller
from tests.secrecy.markers import Markers
from tests.secrecy.seen import Seen
from tests.secrecy.tokens import proof_of
from tests.secrecy.world import SIGNER_ISS, World

METHODS: Final = (
    *(f"{TOKENS}/{one}Token" for one in ("Validate", "Explain", "Issue", "Refresh", "Revoke")),
    f"{TOKENS}/GetJwks",
    *(f"{ADMIN}/{one}" for one in ("GetStatus", "ReloadConfig", "RefreshKeys")),
    *(f"{ADMIN}/{one}Consumer" for one in ("Create", "Get", "Update", "Delete")),
    f"{ADMIN}/ListConsumers",
    "/grpc.health.v1.Health/Check",
)
"""Reflection is none of them: its answer has the request in it, as its protocol says."""


async def ask_about(caller: Caller, tokens: Mapping[str, str]) -> None:
    """About each token: ValidateToken, ExplainToken, Check in each place, RevokeToken at last."""
    for name, token in tokens.items():
        with contextlib.suppress(ValueError, UnicodeEncodeError):
            request = messages.ValidateTokenRequest(token=token, client_address="192.0.2.1")
            await caller.call(name, f"{TOKENS}/ValidateToken", request, ("x-request-id", "id-1"))
            asked = messages.ExplainTokenRequest(request=request)
            await caller.call(name, f"{TOKENS}/ExplainToken", asked)
        for place, check in checks(token).items():
            await caller.call(f"{name} {place}", CHECK, check)
    for name in ("of jack", "expired", "of a stranger", "of two parts", "twice", "a secret"):
        text = tokens[name]
        for revoke in (
            messages.RevokeTokenRequest(token=text, note="why"),
            messages.RevokeTokenRequest(refresh_token=text, note="why"),
        ):
            await caller.call(name, f"{TOKENS}/RevokeToken", revoke)
    for name in ("good", "of two parts", "a secret"):
        await caller.refresh(name, tokens[name])


def checks(token: str) -> dict[str, Message]:
    """Checks of Envoy's, with the token in each place where one may stand, and elsewhere."""
    return {
        "in the header": _check("/orders", authorization=f"Bearer {token}"),
        "without its scheme": _check("/orders", authorization=token),
        "of another scheme": _check("/orders", authorization=f"DPoP {token}", dpop=token),
        "in the query": _check(f"/orders?a=1&access_token={token}&b=2"),
        "encoded in the path": _check(f"/orders%3Faccess_token={token}"),
        "in a parameter of the path": _check(f"/orders;access_token={quote(token, safe='')}/7"),
        "in no path": _check(f"orders?access_token={token}"),
        "in the fragment": _check(f"/orders#access_token={token}"),
        "in the cookie": _check("/orders", cookie=f"a=1; session={token}; b=2"),
        "in two places": _check(
            f"/orders?access_token={token}",
            authorization=f"Bearer {token}",
            cookie=f"session={token}",
        ),
        "where none is needed": _check("/open/", authorization=f"Bearer {token}"),
        "where a scope is needed": _check("/admin/x?y", authorization=f"Bearer {token}"),
        "on an odd path": _check(f"/a%252e/..?access_token={token}"),
    }


def _check(path: str, **headers: str) -> Message:
    message = external_auth_pb2.CheckRequest()
    message.attributes.source.address.socket_address.address = "192.0.2.1"
    http = message.attributes.request.http
    http.method, http.host, http.path = "GET", "shop.example", path
    for name, value in headers.items():
        http.headers[name] = value
    built: Message = message
    return built


async def prove(caller: Caller, markers: Markers, bound: str) -> None:
    """A bound token, with a good proof, with the same once more, and with bad ones."""
    good = proof_of(markers, "a good proof", bound)
    for name, dpop in (
        ("proven", good),
        ("proven twice", good),
        ("with an old proof", proof_of(markers, "an old proof", bound, iat=1)),
        ("with another's proof", proof_of(markers, "another's proof", "e30.e30.AA")),
        ("with half a proof", good[:-9]),
        ("with itself as proof", bound),
    ):
        proof = messages.ProofOfPossession(dpop=dpop, http_method=METHOD, http_uri=TARGET)
        request = messages.ValidateTokenRequest(token=bound, proof=proof)
        await caller.call(name, f"{TOKENS}/ValidateToken", request)
        asked = messages.ExplainTokenRequest(request=request)
        await caller.call(name, f"{TOKENS}/ExplainToken", asked)
        check = _check("/orders", authorization=f"DPoP {bound}", dpop=dpop)
        await caller.call(name, CHECK, check)
        proof.http_uri = f"orders?{dpop}"
        await caller.call(
            f"{name}, at no URL",
            f"{TOKENS}/ValidateToken",
            messages.ValidateTokenRequest(token=bound, proof=proof),
        )


async def issue_and_refresh(caller: Caller) -> None:
    """Tokens of each key; refresh tokens, used twice and revoked; orders that are wrong."""
    who: dict[str, Any] = {"signer": "internal", "subject": "alice"}
    for algorithm in ("ES256", "HS256", "ES384"):
        await caller.issue(algorithm, **who, algorithm=algorithm)
    for name in ("jack", "jill", "bob"):
        await caller.issue(name, consumer=name, subject="x")
    first = await caller.issue("with refresh", **who, scopes=["read"], with_refresh_token=True)
    second = await caller.refresh("the first", first.refresh_token)
    await caller.refresh("the first again", first.refresh_token)
    await caller.refresh("the second, revoked", second.refresh_token)
    other = await caller.issue("to revoke", **who, with_refresh_token=True)
    for request in (
        messages.RevokeTokenRequest(refresh_token=other.refresh_token),
        messages.RevokeTokenRequest(token=other.token),
    ):
        await caller.call("issued", f"{TOKENS}/RevokeToken", request)
    await caller.refresh("revoked", other.refresh_token)
    await caller.refresh("with more behind it", f"{other.refresh_token}x")
    swapped = messages.RefreshTokenRequest(refresh_token=other.token)
    await caller.call("an access token", f"{TOKENS}/RefreshToken", swapped)
    validate = messages.ValidateTokenRequest(token=other.refresh_token)
    await caller.call("a refresh token", f"{TOKENS}/ValidateToken", validate)
    subject = messages.SubjectReference(issuer=SIGNER_ISS, subject="alice")
    await caller.call(
        "a subject", f"{TOKENS}/RevokeToken", messages.RevokeTokenRequest(subject=subject)
    )
    for name, fields in WRONG_ORDERS.items():
        await caller.issue(name, **{**who, **fields})


WRONG_ORDERS: Final[Mapping[str, dict[str, Any]]] = {
    "no signer": {"signer": ""},
    "another signer": {"signer": "nobody"},
    "another consumer": {"signer": "", "consumer": "nobody"},
    "a scope that is not granted": {"scopes": ["write"]},
    "an empty scope": {"scopes": [""]},
    "another algorithm": {"algorithm": "RS256"},
    "claims that are no JSON": {"claims_json": '{"a":'},
    "a claim that is reserved": {"claims_json": '{"iss": "x"}'},
    "headers that are no object": {"headers_json": "[]"},
    "a header that is reserved": {"headers_json": '{"alg": "none"}'},
    "a critical header that is not there": {"critical_headers": ["x"]},
    "too large": {"claims_json": '{"a": "' + "x" * 30_000 + '"}'},
}


async def administer(caller: Caller, one: World) -> None:
    """Every method of AdminService, and consumers with good credentials and bad ones."""
    await caller.call("", f"{ADMIN}/GetStatus", admin.GetStatusRequest())
    await caller.call("", f"{ADMIN}/ReloadConfig", admin.ReloadConfigRequest())
    for name in ("corp", "down", "found", "lab", "nobody", ""):
        request = admin.RefreshKeysRequest(issuer_name=name)
        await caller.call(name, f"{ADMIN}/RefreshKeys", request)
    kept = one.markers.make("secret of a kept consumer", odd=True).encode()
    anew = one.markers.make("new secret of a kept consumer", odd=True).encode()
    short = one.markers.make("a short secret", 31).encode()
    pem = (one.path / "tls.key").read_text()
    consumers: dict[str, dict[str, Any]] = {
        "kept": {"secret": kept},
        "kept twice": {"secret": kept},
        "too short": {"name": "b", "key": "b", "secret": short},
        "PEM for a secret": {"name": "b", "key": "b", "secret": pem.encode()},
        "a secret for a public key": {
            "name": "b",
            "key": "b",
            "algorithm": "ES256",
            "secret": kept,
        },
        "a private key": {"name": "b", "key": "b", "algorithm": "ES256", "public_key": pem},
        "a private key behind a certificate": {
            **{"name": "b", "key": "b", "algorithm": "ES256"},
            "public_key": (one.path / "tls.crt").read_text() + pem,
        },
        "text for a public key": {
            **{"name": "b", "key": "b", "algorithm": "ES256"},
            "public_key": kept.decode(),
        },
        "another algorithm": {"name": "b", "key": "b", "algorithm": "none", "secret": kept},
        "no name": {"name": "", "secret": kept},
        "one of the configuration": {"name": "jack", "secret": kept},
    }
    for what, fields in consumers.items():
        described: dict[str, Any] = {
            "name": "kept",
            "key": "kept-key",
            "algorithm": "HS256",
            **fields,
        }
        message = admin.CreateConsumerRequest(consumer=admin.Consumer(**described))
        await caller.call(what, f"{ADMIN}/CreateConsumer", message)
    for secret in (anew, short):
        consumer = admin.Consumer(name="kept", key="kept-key", algorithm="HS256", secret=secret)
        update = admin.UpdateConsumerRequest(consumer=consumer)
        await caller.call("anew", f"{ADMIN}/UpdateConsumer", update)
    await caller.issue("kept", consumer="kept", subject="x")
    for name in ("kept", "jack", "b"):
        await caller.call(name, f"{ADMIN}/GetConsumer", admin.GetConsumerRequest(name=name))
    await caller.call("", f"{ADMIN}/ListConsumers", admin.ListConsumersRequest(page_size=2))
    for name in ("b", "nobody"):
        delete = admin.DeleteConsumerRequest(name=name)
        await caller.call(name, f"{ADMIN}/DeleteConsumer", delete)


async def send_garbage(caller: Caller, text: str) -> None:
    """To every method: text that is no message, half a message, and another method's."""
    told = messages.ValidateTokenRequest(token=text).SerializeToString()
    for method in (*METHODS, CHECK, f"{TOKENS}/GuessToken"):
        for what, data in {
            "text": text.encode(),
            "half a message": told[:-7],
            "another's message": told,
            "a message with bytes for text": told[:3] + b"\xff" + told[4:],
        }.items():
            await caller.call(what, method, data)


async def show_caller_tokens(one: World, seen: Seen, tokens: Iterable[str]) -> set[str]:
    """Calls by the listener that asks for a token; gives how they ended."""
    address = one.configuration["listeners"][2]["address"]
    credentials = grpc.ssl_channel_credentials(one.ca.read_bytes())
    async with grpc.aio.secure_channel(address, credentials) as channel:
        caller = Caller("TLS", channel, seen)
        sendable = [one for one in tokens if one.isascii() and one.isprintable()]
        for number, token in enumerate(sendable):
            for scheme in ("Bearer ", "bearer  ", ""):
                shown = ("authorization", f"{scheme}{token}")
                what = f"shown {number} {scheme}"
                await caller.call(what, f"{ADMIN}/GetStatus", admin.GetStatusRequest(), shown)
        return caller.codes
