"""Everything that a sidecar can be asked, by every way in, and what was seen of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import grpc
from aiohttp import ClientSession, UnixConnector
from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.message import Message

from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import token_service_pb2 as messages
from tests.proofs import METHOD, TARGET
from tests.secrecy.markers import Markers
from tests.secrecy.tokens import proof_of
from tests.secrecy.world import SIGNER_ISS, World

TOKENS: Final = "/sidecar.v1.TokenService"
ADMIN: Final = "/sidecar.v1.AdminService"
CHECK: Final = "/envoy.service.auth.v3.Authorization/Check"
METHODS: Final = (
    *(f"{TOKENS}/{one}Token" for one in ("Validate", "Explain", "Issue", "Refresh", "Revoke")),
    f"{TOKENS}/GetJwks",
    *(f"{ADMIN}/{one}" for one in ("GetStatus", "ReloadConfig", "RefreshKeys")),
    *(f"{ADMIN}/{one}Consumer" for one in ("Create", "Get", "Update", "Delete")),
    f"{ADMIN}/ListConsumers",
    "/grpc.health.v1.Health/Check",
)
"""Reflection is none of them: its answer has the request in it, as its protocol says."""


class Seen:
    """What was answered and printed, by place, and that no marker is in it."""

    def __init__(self, markers: Markers) -> None:
        self.markers = markers
        self.places: dict[str, bytes] = {}

    def add(self, place: str, data: bytes | str) -> None:
        data = data.encode() if isinstance(data, str) else data
        self.places[place] = self.places.get(place, b"") + data + b"\n"

    def assert_clean(self) -> None:
        assert self.places
        leaks = self.markers.leaks(self.places)
        assert not leaks, "\n".join([f"{len(leaks)} leaks", *leaks[:40]])


class Caller:
    """Calls methods by one channel; errors are seen as well, with their details."""

    def __init__(self, name: str, channel: grpc.aio.Channel, seen: Seen) -> None:
        self._name = name
        self._channel = channel
        self._seen = seen
        self.codes: set[str] = set()
        """That calls ended with."""

    async def call(
        self, what: str, method: str, request: Message | bytes, *metadata: tuple[str, str]
    ) -> bytes:
        """The answer, empty where there is none. What was asked is called `what`."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        place = f"{method.rpartition('/')[2]} {what}, {self._name}"
        call: Any = self._channel.unary_unary(method)
        try:
            answer: bytes = await call(data, metadata=metadata, timeout=15)
        except grpc.aio.AioRpcError as error:
            self.codes.add(error.code().name)
            self._seen.add(place, f"{error.code().name} {error.details()}")
            for _, value in error.trailing_metadata() or ():
                self._seen.add(place, value)
            return b""
        self.codes.add("OK")
        if method.endswith(("/IssueToken", "/RefreshToken")):
            self._seen.add(place, self._without_tokens(what, method, answer))
        else:
            self._seen.add(place, answer)
        return answer

    def _without_tokens(self, what: str, method: str, answer: bytes) -> bytes:
        """The rest of an answer that is to hold tokens, which may be in no other."""
        if method.endswith("/IssueToken"):
            message: Any = messages.IssueTokenResponse.FromString(answer)
            issued = message
        else:
            message = messages.RefreshTokenResponse.FromString(answer)
            issued = message.issued
        if issued.token:
            know_issued(self._seen.markers, f"issued ({what})", issued.token, issued.refresh_token)
            issued.token = issued.refresh_token = ""
        data: bytes = message.SerializeToString()
        return data

    async def issue(self, what: str, **fields: Any) -> messages.IssueTokenResponse:
        request = messages.IssueTokenRequest(**fields)
        return messages.IssueTokenResponse.FromString(
            await self.call(what, f"{TOKENS}/IssueToken", request)
        )

    async def refresh(self, what: str, token: str) -> messages.IssueTokenResponse:
        request = messages.RefreshTokenRequest(refresh_token=token)
        answer = await self.call(what, f"{TOKENS}/RefreshToken", request)
        return messages.RefreshTokenResponse.FromString(answer).issued


def know_issued(markers: Markers, name: str, token: str, refresh_token: str = "") -> None:
    markers.know(f"signature of {name}", token.rpartition(".")[2])
    if refresh_token:
        markers.know(f"refresh token {name}", refresh_token.removeprefix("jsr_"))


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
        for field in ("token", "refresh_token"):
            revoke = messages.RevokeTokenRequest(**{field: tokens[name]}, note="why")
            await caller.call(f"{name} as {field}", f"{TOKENS}/RevokeToken", revoke)
    for name in ("good", "of two parts", "a secret"):
        await caller.refresh(name, tokens[name])


def checks(token: str) -> dict[str, Message]:
    """Checks of Envoy's, with the token in each place where one may stand, and elsewhere."""
    return {
        "in the header": _check("/orders", authorization=f"Bearer {token}"),
        "without its scheme": _check("/orders", authorization=token),
        "of another scheme": _check("/orders", authorization=f"DPoP {token}", dpop=token),
        "in the query": _check(f"/orders?a=1&access_token={token}&b=2"),
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
    return message


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
    for target in ({"refresh_token": other.refresh_token}, {"token": other.token}):
        request = messages.RevokeTokenRequest(**target)
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
    for what, fields in {
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
    }.items():
        described = {"name": "kept", "key": "kept-key", "algorithm": "HS256", **fields}
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


@contextlib.asynccontextmanager
async def http(one: World) -> AsyncIterator[ClientSession]:
    connector = UnixConnector(path=str(one.path / "http.sock"))
    async with ClientSession("http://sidecar", connector=connector) as session:
        yield session


async def browse(one: World, seen: Seen, tokens: Mapping[str, str]) -> None:
    """The HTTP face: /check with each token in each place, and every other path."""
    async with http(one) as session:
        for name, token in tokens.items():
            for place, headers in _described(token).items():
                with contextlib.suppress(ValueError):
                    async with session.get("/check", headers=headers) as response:
                        await _look(seen, f"/check {name} {place}", response)
        for path in (
            *("/livez", "/readyz", "/metrics", "/.well-known/jwks.json"),
            *("/.well-known/openid-configuration", f"/nothing?access_token={tokens['good']}"),
        ):
            async with session.get(path) as response:
                await _look(seen, path.partition("?")[0], response)
    await _send_raw(one, seen, tokens["good"])


def _described(token: str) -> dict[str, dict[str, str]]:
    def request(uri: str = "/orders", **headers: str) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        proxy = {"x-original-method": "GET", "x-forwarded-host": "shop.example"}
        return {**proxy, "x-original-uri": uri, **named}

    bearer = f"Bearer {token}"
    return {
        "in the header": request(authorization=bearer),
        "in the query": request(f"/orders?access_token={token}&b=2"),
        "in the cookie": request(cookie=f"a=1; session={token}"),
        "in two places": request(f"/?access_token={token}", authorization=bearer),
        "in two URIs": request(x_forwarded_uri=f"/orders?access_token={token}"),
        "in a broken URI": request(f"orders?access_token={token}"),
        "in a URL": request(x_original_url=f"https://shop.example?{token}", authorization=bearer),
        "as the method": request(x_original_method=f"GET {token}"),
        "as the host": request(x_forwarded_host=f"a/{token}"),
    }


async def _look(seen: Seen, place: str, response: Any) -> None:
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    seen.add(place, f"{response.status} {response.reason}\n{headers}")
    seen.add(place, await response.read())


async def _send_raw(one: World, seen: Seen, token: str) -> None:
    for what, data in {
        "no HTTP": f"{token}\r\n\r\n",
        "a broken header": f"GET /check HTTP/1.1\r\nAuthorization : Bearer {token}\r\n\r\n",
        "a long header": f"GET /check HTTP/1.1\r\nAuthorization: {token * 400}\r\n\r\n",
        "a broken method": f"{token} /check HTTP/1.1\r\nHost: x\r\n\r\n",
        "a broken version": f"GET /check?{token} HTTP/9.{token}\r\nHost: x\r\n\r\n",
        "a broken length": f"POST /check HTTP/1.1\r\nContent-Length: {token}\r\n\r\n",
    }.items():
        reader, writer = await asyncio.open_unix_connection(one.path / "http.sock")
        writer.write(data.encode())
        writer.write_eof()
        async with asyncio.timeout(15):
            seen.add(f"HTTP: {what}", await reader.read())
        writer.close()


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
