"""An identity provider lives through everything that providers do, over real TLS.

Time is simulated. Each step says how the fetch ends, which keys serve then, and which requests
reached the provider.
"""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from sidecar.keys.answer import Outcome
from sidecar.keys.download import Access, downloader
from sidecar.keys.places import Places
from sidecar.keys.remote import RemoteKeys
from sidecar.keys.source import Source, fetcher
from sidecar.token.keyset import KeySet
from tests.simulated_time import in_simulated_time_with_sockets
from tests.unit.keys.certificates import Authority
from tests.unit.keys.provider import Punctual
from tests.unit.parties import jwk, jwks

DOCUMENT: Final = "/.well-known/openid-configuration"
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def keys(body: bytes, delay: float = 0.0) -> Answer:
    """Answers with this set, with an ETag, after so many seconds."""
    tag = f'"{hash(body)}"'

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(delay)
        if request.headers.get("if-none-match") == tag:
            return web.Response(status=304, headers={"etag": tag})
        return web.Response(body=body, content_type="application/json", headers={"etag": tag})

    return answer


def response(**members: Any) -> Answer:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(**members)

    return answer


async def truncated(request: web.BaseRequest) -> web.StreamResponse:
    body = jwks(jwk("k9"))
    answer = web.StreamResponse()
    answer.content_length = len(body)
    await answer.prepare(request)
    await answer.write(body[:-9])
    assert request.transport is not None
    request.transport.close()
    return answer


async def drip(request: web.BaseRequest) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for byte in jwks(jwk("k9")):
        await answer.write(bytes([byte]))
        await asyncio.sleep(1)
    return answer


async def hang(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


@dataclass
class Provider:
    """Answers as the step says, and notes what was asked."""

    tls: ssl.SSLContext
    origin: str = ""
    issuer: str = ""
    jwks_path: str = "/keys"
    answer: Answer = hang
    requests: list[str] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request.path)
        if request.path != DOCUMENT:
            return await self.answer(request)
        document = {"issuer": self.issuer, "jwks_uri": f"{self.origin}{self.jwks_path}"}
        return web.Response(body=json.dumps(document).encode(), content_type="application/json")


@dataclass
class Life:
    """The keys of the provider's issuer, step by step."""

    provider: Provider
    keys: RemoteKeys
    in_use: list[str | None] = field(default_factory=list)

    def publish(self, _: str, found: KeySet | None, __: str) -> None:
        self.in_use = [key.key_id for key in found.keys] if found else []

    async def step(self, answer: Answer | None = None) -> tuple[str, list[str | None], list[str]]:
        """The outcome of the next fetch, the keys in use after it, the requests that it took."""
        self.provider.answer = answer or self.provider.answer
        self.provider.requests.clear()
        before = self.keys.fetches.copy()
        if self.keys.next_fetch_time is not None:
            await asyncio.sleep(
                self.keys.next_fetch_time - asyncio.get_running_loop().time() + 0.01
            )
        await self.keys.refresh(60)  # shares the fetch that is under way
        (outcome,) = self.keys.fetches - before
        return outcome, self.in_use, self.provider.requests.copy()


@in_simulated_time_with_sockets
async def test_a_provider_lives_through_everything(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    provider = Provider(authority.server())
    runner = web.ServerRunner(web.Server(provider.handle, handler_cancellation=True))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=provider.tls)
    await site.start()
    provider.origin = provider.issuer = f"https://127.0.0.1:{runner.addresses[0][1]}"
    loop = asyncio.get_running_loop()
    download = downloader(10_000)
    life = Life(provider, None)  # type: ignore[arg-type] # it publishes to what it is part of
    source = Source(provider.origin, None, Access(5.0, authority.ca_file))
    fetch = fetcher("corp", source, download, Places(8))
    schedule = Punctual(600, 10, 86400)
    life.keys = RemoteKeys("corp", schedule, fetch, life.publish, lambda: 0.5, now=loop.time)
    life.keys.start()
    try:
        await live(life, provider, authority)
    finally:
        await life.keys.stop()
        await runner.cleanup()


async def live(life: Life, provider: Provider, authority: Authority) -> None:
    first, again = [DOCUMENT, "/keys"], ["/keys"]
    k1, k2, k3, k4 = (jwks(jwk(f"k{number}")) for number in range(1, 5))

    assert await life.step(keys(k1)) == (Outcome.FETCHED, ["k1"], first)
    assert await life.step() == (Outcome.NOT_MODIFIED, ["k1"], again)
    assert await life.step(keys(k2)) == (Outcome.FETCHED, ["k2"], again)
    assert await life.step(keys(k3, delay=4)) == (Outcome.FETCHED, ["k3"], again)

    down = response(status=500)
    assert await life.step(down) == (Outcome.STATUS, ["k3"], again)
    html = response(text="<h1>Maintenance</h1>", content_type="text/html")
    assert await life.step(html) == (Outcome.MALFORMED, ["k3"], first)
    no_json = response(text="<h1>Maintenance</h1>", content_type="application/json")
    assert await life.step(no_json) == (Outcome.MALFORMED, ["k3"], first)
    assert await life.step(truncated) == (Outcome.MALFORMED, ["k3"], first)
    assert await life.step(response(body=b" " * 10_001)) == (Outcome.TOO_LARGE, ["k3"], first)
    away = response(status=302, headers={"location": "https://evil.example/keys"})
    assert await life.step(away) == (Outcome.REDIRECT, ["k3"], first)
    assert await life.step(drip) == (Outcome.TIMEOUT, ["k3"], first)
    assert await life.step(hang) == (Outcome.TIMEOUT, ["k3"], first)
    assert await life.step(keys(jwks())) == (Outcome.NO_KEYS, ["k3"], first)

    provider.issuer = "https://evil.example"
    assert await life.step(keys(k4)) == (Outcome.WRONG_ISSUER, ["k3"], [DOCUMENT])
    provider.issuer = provider.origin
    authority.renew(provider.tls, days=-1)
    assert await life.step(keys(k4)) == (Outcome.TLS, ["k3"], [])
    assert "certificate has expired" in life.keys.problem
    authority.renew(provider.tls)
    provider.jwks_path = "/moved"
    assert await life.step(keys(k4)) == (Outcome.FETCHED, ["k4"], [DOCUMENT, "/moved"])
    assert await life.step(keys(k4)) == (Outcome.NOT_MODIFIED, ["k4"], ["/moved"])
    assert life.keys.problem == ""
