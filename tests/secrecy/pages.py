"""Everything that the HTTP face can be asked, right and wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import ClientSession, UnixConnector

from tests.secrecy.seen import Seen
from tests.secrecy.world import World


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
    await _send_raw(one, tokens["good"])


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


async def _send_raw(one: World, token: str) -> None:
    """What is no HTTP. The answer repeats it to who sent it; the log, for others, may not."""
    for data in (
        f"{token}\r\n\r\n",
        f"GET /check HTTP/1.1\r\nAuthorization : Bearer {token}\r\n\r\n",
        f"GET /check HTTP/1.1\r\nAuthorization: {token * 400}\r\n\r\n",
        f"{token} /check HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /check?{token} HTTP/9.{token}\r\nHost: x\r\n\r\n",
        f"POST /check HTTP/1.1\r\nContent-Length: {token}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_unix_connection(one.path / "http.sock")
        writer.write(data.encode())
        async with asyncio.timeout(15):
            assert b" 400 " in await reader.readline()
        writer.close()
