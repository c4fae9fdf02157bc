"""A provider of keys and a service of users in one, which answers well, badly or not at all."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from tests.authors import CORP
from tests.unit.keys.servers import http

Answer = Callable[[web.BaseRequest], web.StreamResponse]


class Provider:
    """Serves what `answer` says."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked += 1
        return self.answer(request)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its URL, without a path."""
        async with http(self.handle) as url:
            yield url.removesuffix("/jwks")


def good(request: web.BaseRequest) -> web.StreamResponse:
    """Keys, a discovery document, and who exists."""
    base = f"http://{request.headers['host']}"
    if request.path.startswith("/users/"):
        return web.Response(status=404 if request.path == "/users/nobody" else 200)
    if request.path.startswith("/.well-known/"):
        return web.json_response({"issuer": base, "jwks_uri": f"{base}/jwks"})
    return web.json_response({"keys": [CORP.jwk()]}, headers={"etag": '"1"'})
