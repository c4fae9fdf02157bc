"""A provider of keys and a service of users in one, which answers well, badly or not at all."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from tests.authors import CORP
from tests.unit.keys.servers import http

Answer = Callable[[web.BaseRequest], web.StreamResponse]


class Provider:
    """Serves what `answer` says."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
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


def _everything(request: web.BaseRequest) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    return f"{request.method} {request.raw_path}\n{headers}"


def _key(request: web.BaseRequest) -> str:
    return request.headers.get("x-api-key", "")


def _json(request: web.BaseRequest) -> web.StreamResponse:
    said = _everything(request)
    members = {"issuer": said, "jwks_uri": said, "error": said, said: said, "keys": said}
    return web.json_response(members)


def _keys(request: web.BaseRequest) -> web.StreamResponse:
    """Unusable ones, and a document that leads to them."""
    base, key = f"http://{request.headers['host']}", _key(request)
    if request.path.startswith("/.well-known/"):
        return web.json_response({"issuer": base, "jwks_uri": f"{base}{request.raw_path}?{key}#"})
    jwks = [{"kty": "EC", "crv": "P-256", name: key} for name in ("x", "y", "d")]
    return web.json_response({"keys": [*jwks, key, [key], {key: key}]})


def _elsewhere(request: web.BaseRequest) -> web.StreamResponse:
    base = f"http://{request.headers['host']}"
    jwks_uri = f"ftp://reader:{_key(request)}@corp.example/{request.raw_path}"
    return web.json_response({"issuer": base, "jwks_uri": jwks_uri})


BAD: Mapping[str, Answer] = {
    "an error": lambda request: web.Response(status=500, text=_everything(request)),
    "a refusal": lambda request: web.Response(status=401, text=_everything(request)),
    "a reason": lambda request: web.Response(status=503, reason=request.raw_path + _key(request)),
    "a redirect": lambda request: web.Response(
        status=302, headers={"location": f"{request.raw_path}&{_key(request)}"}
    ),
    "a redirect away": lambda request: web.Response(
        status=307, headers={"location": f"https://a:{_key(request)}@x.example{request.raw_path}"}
    ),
    "a content type": lambda request: web.Response(
        body=b"{}", headers={"content-type": f"text/{_key(request)} {request.raw_path}"}
    ),
    "a charset": lambda request: web.Response(
        body=b"{}", headers={"content-type": f"application/json; charset={_key(request)}"}
    ),
    "a page": lambda request: web.Response(text=_everything(request), content_type="text/html"),
    "text": lambda request: web.Response(text=_everything(request)),
    "half of JSON": lambda request: web.Response(
        text=json.dumps(_everything(request))[:-1], content_type="application/json"
    ),
    "JSON": _json,
    "keys": _keys,
    "a document that leads elsewhere": _elsewhere,
    "headers": lambda request: web.json_response(
        {"keys": []},
        headers={name: _key(request) for name in ("etag", "cache-control", "expires", "age")},
    ),
}
"""Answers that are of no use and repeat what was asked, by how."""


@asynccontextmanager
async def parrot(port: int) -> AsyncIterator[None]:
    """A server that sends back what it gets, which is no HTTP then."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(await reader.read(65536))
            writer.close()

    async with await asyncio.start_server(repeat, "127.0.0.1", port):
        yield
