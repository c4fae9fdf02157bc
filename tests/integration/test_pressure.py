"""More calls than can be served are refused early, and what is known is answered meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from aiohttp import ClientSession, UnixConnector, web
from cryptography.hazmat.primitives.asymmetric import ec
from envoy.service.auth.v3 import external_auth_pb2

from sidecar.token.jwk import public_jwk
from sidecar.token.key import from_public_key
from tests.running import TRANSPORTS, Running, assert_valid, fails, listener, running

KEY = ec.generate_private_key(ec.SECP256R1())
JWKS = json.dumps({"keys": [public_jwk(from_public_key(KEY.public_key(), "k1"))]})
MOST = 5
SLOW = [f"slow-{number}" for number in range(MOST)]


def mint(issuer: str, number: int = 0) -> str:
    claims = {"iss": issuer, "aud": "a", "exp": 4_000_000_000, "jti": str(number)}
    return jwt.encode(claims, KEY, "ES256", {"kid": "k1"})


KNOWN = mint("known")


class Stuck:
    """A provider of keys that answers once it is let."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.url = ""

    async def answer(self, _: web.Request) -> web.Response:
        await self.may_answer.wait()
        return web.Response(text=JWKS, content_type="application/json")


@asynccontextmanager
async def stuck() -> AsyncIterator[Stuck]:
    provider, app = Stuck(), web.Application()
    app.router.add_get("/jwks", provider.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield provider
    provider.may_answer.set()
    await runner.cleanup()


@asynccontextmanager
async def full(
    directory: Path, transport: str, provider: Stuck, more: str = ""
) -> AsyncIterator[tuple[Running, list["asyncio.Task[Any]"]]]:
    """A sidecar with as many calls at work as it takes: each waits for keys of its issuer."""
    keys = f'{{url: "{provider.url}", timeout: 30s}}'
    slow = "".join(
        f"  - {{name: {one}, issuer: {one}, audiences: [a], keys: {keys}}}\n" for one in SLOW
    )
    configuration = f"""
http: {{address: "unix:http.sock", serve: [check, metrics]}}
issuers:
  - {{name: known, issuer: known, audiences: [a], keys: {{inline: {JWKS}}}}}
{slow}
limits: {{concurrent_calls: {MOST}}}
"""
    serving = listener(transport, services="validate, ext_authz") + configuration + more
    async with running(directory, serving) as one:
        assert_valid(await one.validate(KNOWN))
        waiting = [asyncio.create_task(one.validate(mint(issuer))) for issuer in SLOW]
        while one.sidecar.engine.turns.at_work < MOST:  # noqa: ASYNC110 - it is no event
            await asyncio.sleep(0)
        yield one, waiting
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_one_call_too_many_is_refused_at_once(transport: str, tmp_path: Path) -> None:
    async with stuck() as provider, full(tmp_path, transport, provider) as (one, waiting):
        with fails(grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"):
            await one.validate(mint("slow-0", 99))
        assert_valid(await one.validate(KNOWN))
        provider.may_answer.set()
        for answer in await asyncio.gather(*waiting):
            assert_valid(answer)
        assert_valid(await one.validate(mint("slow-0", 99)))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_proxy_is_told_503_and_never_let_through(transport: str, tmp_path: Path) -> None:
    async with stuck() as provider, full(tmp_path, transport, provider) as (one, _):
        check: Any = one.channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
        message = external_auth_pb2.CheckRequest()
        message.attributes.request.http.headers["authorization"] = f"Bearer {mint('slow', 99)}"
        data = await check(message.SerializeToString())
        denied = external_auth_pb2.CheckResponse.FromString(data).denied_response
        assert denied.status.code == 503
        assert "limits.concurrent_calls" in denied.body
        provider.may_answer.set()


async def test_so_is_one_that_asks_over_http_and_metrics_count_it(tmp_path: Path) -> None:
    connector = UnixConnector(str(tmp_path / "http.sock"))
    async with (
        stuck() as provider,
        full(tmp_path, "native", provider),
        ClientSession("http://sidecar", connector=connector) as session,
    ):
        headers = {
            "authorization": f"Bearer {mint('slow', 99)}",
            "x-original-method": "GET",
            "x-original-uri": "/",
            "x-forwarded-host": "shop.example",
        }
        async with session.get("/check", headers=headers) as answer:
            assert answer.status == 503
        async with session.get("/metrics") as answer:
            assert "jwt_sidecar_calls_turned_away_total 1\n" in await answer.text()
        provider.may_answer.set()


async def test_with_on_outage_error_the_proxy_decides(tmp_path: Path) -> None:
    more = "authorization: {on_outage: error}\n"
    async with stuck() as provider, full(tmp_path, "grpcio", provider, more) as (one, _):
        check: Any = one.channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
        message = external_auth_pb2.CheckRequest()
        message.attributes.request.http.headers["authorization"] = f"Bearer {mint('slow', 99)}"
        with fails(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"):
            await check(message.SerializeToString())
        provider.may_answer.set()
