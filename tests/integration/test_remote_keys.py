"""A running sidecar and a JWK Set server that is well, slow, down, wrong, huge or hostile."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.readiness import Missing
from sidecar.token.jwk import public_jwk
from sidecar.token.key import from_public_key
from sidecar.v1 import token_service_pb2 as messages
from tests.running import Running, assert_refused, assert_valid, listener, running

PRIVATE = {kid: ec.generate_private_key(ec.SECP256R1()) for kid in ("k1", "k2")}
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def jwks(*kids: str, **more: Any) -> dict[str, Any]:
    """The JWK Set of these keys."""
    members = [public_jwk(from_public_key(PRIVATE[kid].public_key(), kid)) for kid in kids]
    return {"keys": members, **more}


def mint(kid: str = "k1", issuer: str = "https://login.example") -> str:
    claims = {"iss": issuer, "aud": "orders", "exp": int(time.time()) + 600}
    return jwt.encode(claims, PRIVATE[kid], "ES256", headers={"kid": kid})


class Provider:
    """An identity provider whose answer the test sets; it counts the requests."""

    def __init__(self) -> None:
        self.requests = 0
        self.answer: Answer = self.document(jwks("k1"))
        self.url = ""

    def document(self, body: object, status: int = 200) -> Answer:
        text = body if isinstance(body, str) else json.dumps(body)

        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=text, status=status, content_type="application/json")

        return answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        return await self.answer(request)


@asynccontextmanager
async def providing() -> AsyncIterator[Provider]:
    """A provider that answers with one key."""
    one = Provider()
    app = web.Application()
    app.router.add_get("/{path:.*}", one.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with providing() as one:
        yield one


@asynccontextmanager
async def trusting(
    directory: Path, provider: Provider, keys: str = "", issuer: str = "https://login.example"
) -> AsyncIterator[Running]:
    """A sidecar with the provider's issuer `corp` and one, `local`, that needs no provider."""
    where = keys or f"url: {provider.url}/jwks.json, unknown_key_interval: 1h"
    configuration = f"""
issuers:
  - {{name: corp, issuer: '{issuer}', audiences: [orders], keys: {{{where}}}}}
  - name: local
    issuer: https://local.example
    audiences: [orders]
    keys: {{inline: {json.dumps(jwks("k2"))}}}
"""
    async with running(directory, listener("native", services="validate") + configuration) as one:
        yield one


async def test_keys_are_fetched_at_the_start(tmp_path: Path, provider: Provider) -> None:
    async with trusting(tmp_path, provider) as sidecar:
        await sidecar.sidecar.wait_until_ready()
        said = assert_valid(await sidecar.validate(mint()))
    assert (said.issuer_name, said.key_id) == ("corp", "k1")
    assert provider.requests == 1


async def test_a_call_waits_for_the_first_fetch(tmp_path: Path, provider: Provider) -> None:
    async with trusting(tmp_path, provider) as sidecar:
        assert_valid(await sidecar.validate(mint()))


async def test_the_same_kid_at_two_issuers_never_crosses(
    tmp_path: Path, provider: Provider
) -> None:
    async with trusting(tmp_path, provider) as sidecar:
        await sidecar.sidecar.wait_until_ready()
        assert_refused(
            await sidecar.validate(mint("k1", "https://local.example")), "KEY_NOT_FOUND", '"k2"'
        )


async def test_an_unknown_kid_fetches_once_for_two_hundred_calls(
    tmp_path: Path, provider: Provider
) -> None:
    keys = f"url: {provider.url}/jwks.json, unknown_key_interval: 0s"
    async with trusting(tmp_path, provider, keys) as sidecar:
        await sidecar.sidecar.wait_until_ready()
        released = asyncio.Event()

        async def rotated(_: web.Request) -> web.Response:
            await released.wait()
            return web.json_response(jwks("k1", "k2"))

        provider.answer = rotated
        calls = [asyncio.create_task(sidecar.validate(mint("k2"))) for _ in range(200)]
        done, _ = await asyncio.wait(calls, timeout=0.3)
        assert not done
        released.set()
        for answer in await asyncio.gather(*calls):
            assert_valid(answer)
    assert provider.requests == 2


async def test_random_kids_cost_the_provider_nothing(tmp_path: Path, provider: Provider) -> None:
    async with trusting(tmp_path, provider) as sidecar:
        await sidecar.sidecar.wait_until_ready()
        header, *rest = mint().split(".")
        for number in range(50):
            forged = jwt.utils.base64url_encode(
                json.dumps({"alg": "ES256", "kid": f"random-{number}"}).encode()
            ).decode()
            answer = await sidecar.validate(".".join([forged, *rest]))
            assert_refused(answer, "KEY_NOT_FOUND", f"random-{number}", "/jwks.json", '"k1"')
    assert header
    assert provider.requests == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda p: p.document("", 500), ("answers 500",), id="down with 500"),
        pytest.param(lambda p: p.document("<html>"), ("/jwks.json can't be used",), id="HTML"),
        pytest.param(
            lambda p: p.document({"nokeys": 1}), ('"keys"', "absent"), id="no keys member"
        ),
        pytest.param(lambda p: p.document({"keys": []}), ("no usable key",), id="an empty set"),
        pytest.param(
            lambda p: p.document({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}),
            ("no usable key", "symmetric"),
            id="only a symmetric key",
        ),
        pytest.param(
            lambda p: p.document("x" * (1024 * 1024 + 1)), ("limits.keys_bytes",), id="huge"
        ),
        pytest.param(lambda p: redirect, ("redirect",), id="a redirect"),
    ],
)
async def test_an_answer_without_keys_refuses_and_disturbs_nobody(
    tmp_path: Path, provider: Provider, make: Any, words: tuple[str, ...]
) -> None:
    provider.answer = make(provider)
    async with trusting(tmp_path, provider) as sidecar:
        await assert_only_corp_is_refused(sidecar, *words)


async def assert_only_corp_is_refused(sidecar: Running, *words: str) -> None:
    assert_valid(await sidecar.validate(mint("k2", "https://local.example")))
    assert_refused(await sidecar.validate(mint()), "KEYS_UNAVAILABLE", "corp", *words)
    (missing,) = sidecar.sidecar.missing()
    assert isinstance(missing, Missing)
    assert missing.issuer == "corp"
    assert_valid(await sidecar.validate(mint("k2", "https://local.example")))


async def hang(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for one in json.dumps(jwks("k1")):
        await response.write(one.encode())
        await asyncio.sleep(0.05)
    return response


@pytest.mark.parametrize("answer", [hang, drip])
async def test_an_answer_without_an_end_refuses_and_disturbs_nobody(
    tmp_path: Path, provider: Provider, answer: Answer
) -> None:
    provider.answer = answer
    keys = f"url: {provider.url}/jwks.json, timeout: 300ms"
    async with trusting(tmp_path, provider, keys) as sidecar:
        await assert_only_corp_is_refused(sidecar, "did not answer within 0.3 s")


async def redirect(_: web.Request) -> web.Response:
    raise web.HTTPFound("http://127.0.0.1:1/elsewhere")


async def test_the_good_keys_of_a_bad_set_serve(
    tmp_path: Path, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    good = jwks("k1")["keys"]
    bad = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
        {"kty": "XYZ", "kid": "unknown"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "broken"},
        {**good[0]},
        "not even an object",
    ]
    provider.answer = provider.document({"keys": [*good, *bad]})
    async with trusting(tmp_path, provider) as sidecar:
        await sidecar.sidecar.wait_until_ready()
        assert_valid(await sidecar.validate(mint()))
        for kid in ("symmetric", "unknown", "broken"):
            assert f'kid "{kid}"' in caplog.text
        assert "c2VjcmV0" not in caplog.text


async def test_a_caller_is_answered_before_its_deadline(tmp_path: Path, provider: Provider) -> None:
    provider.answer = hang
    keys = f"url: {provider.url}/jwks.json, timeout: 30s"
    async with trusting(tmp_path, provider, keys) as sidecar:
        request = messages.ValidateTokenRequest(token=mint())
        answer = await sidecar.tokens.ValidateToken(request, timeout=5)
        assert_refused(answer, "KEYS_UNAVAILABLE", "not fetched yet")


async def test_discovery_leads_to_the_keys(tmp_path: Path, provider: Provider) -> None:
    async def discover(request: web.Request) -> web.Response:
        if request.path == "/.well-known/openid-configuration":
            return web.json_response({"issuer": provider.url, "jwks_uri": f"{provider.url}/keys"})
        return web.json_response(jwks("k1"))

    provider.answer = discover
    async with trusting(tmp_path, provider, "discovery: true", provider.url) as sidecar:
        await sidecar.sidecar.wait_until_ready()
        assert_valid(await sidecar.validate(mint(issuer=provider.url)))


async def test_a_discovery_document_of_another_issuer_is_refused(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answer = provider.document({"issuer": "https://evil.example", "jwks_uri": "http://x"})
    async with trusting(tmp_path, provider, "discovery: true", provider.url) as sidecar:
        answer = await sidecar.validate(mint(issuer=provider.url))
        assert_refused(answer, "KEYS_UNAVAILABLE", "https://evil.example", "must be equal")


async def test_a_rotation_while_fifty_clients_validate_gives_no_wrong_answer(
    tmp_path: Path, provider: Provider
) -> None:
    keys = f"url: {provider.url}/jwks.json, unknown_key_interval: 0s"
    forged = ".".join([*mint("k1").split(".")[:2], mint("k2").split(".")[2]])
    signed_with = "k1"
    answered: Counter[str] = Counter()
    busy, enough = asyncio.Event(), asyncio.Event()

    async with trusting(tmp_path, provider, keys) as sidecar:
        await sidecar.sidecar.wait_until_ready()

        async def validate() -> None:
            while not enough.is_set():
                kid = signed_with
                assert assert_valid(await sidecar.validate(mint(kid))).key_id == kid
                assert_refused(await sidecar.validate(forged), "SIGNATURE_INVALID")
                answered[kid] += 1
                if answered[kid] >= 200:
                    (enough if kid == "k2" else busy).set()

        async with asyncio.TaskGroup() as clients:
            for _ in range(50):
                clients.create_task(validate())
            await busy.wait()
            provider.answer = provider.document(jwks("k1", "k2"))
            signed_with = "k2"
    assert provider.requests == 2


async def test_a_key_that_was_withdrawn_verifies_no_longer_after_the_next_refresh(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answer = provider.document(jwks("k1", "k2"))
    keys = f"url: {provider.url}/jwks.json, unknown_key_interval: 0s"
    async with trusting(tmp_path, provider, keys) as sidecar:
        await sidecar.sidecar.wait_until_ready()
        assert_valid(await sidecar.validate(mint("k1")))
        provider.answer = provider.document(jwks("k2"))
        await sidecar.sidecar.engine.key_sources["corp"].fetch_unknown_key("k3", 10)
        assert_refused(await sidecar.validate(mint("k1")), "KEY_NOT_FOUND", '"k2"')
        assert_valid(await sidecar.validate(mint("k2")))


async def test_secret_headers_go_to_the_configured_host_alone(
    tmp_path: Path, provider: Provider
) -> None:
    seen: dict[str, str | None] = {}
    other = provider.url.replace("127.0.0.1", "localhost")

    async def discover(request: web.Request) -> web.Response:
        seen[request.path] = request.headers.get("x-api-key")
        if request.path == "/.well-known/openid-configuration":
            return web.json_response({"issuer": provider.url, "jwks_uri": f"{other}/keys"})
        return web.json_response(jwks("k1"))

    provider.answer = discover
    keys = "discovery: true, headers: {X-Api-Key: {value: sesame}}"
    async with trusting(tmp_path, provider, keys, provider.url) as sidecar:
        await sidecar.sidecar.wait_until_ready()
    assert seen == {"/.well-known/openid-configuration": "sesame", "/keys": None}


async def test_stopping_does_not_wait_for_a_provider_that_hangs(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answer = hang
    keys = f"url: {provider.url}/jwks.json, timeout: 60s"
    async with asyncio.timeout(10), trusting(tmp_path, provider, keys):
        pass
