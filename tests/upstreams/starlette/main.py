"""Serves the handlers of this test with Starlette on uvicorn: main.py PARSER PORT."""

import socket
import sys
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

PREFIXES = {
    "/public/hidden": "hidden",
    "/public": "public",
    "/internal": "internal",
    "/admin": "admin",
    "/reports": "reports",
}
"""The narrower first."""


def handler(path: str, name: str) -> Route:
    async def serve(request: Request) -> Response:
        seen = quote(request.scope["path"], safe="", errors="surrogatepass")
        return Response(headers={"X-Handler": name, "X-Path": seen})

    return Route(path, serve)


routes: list[BaseRoute] = []
for prefix, name in PREFIXES.items():
    routes += handler(prefix, name), Mount(prefix, routes=[handler("/{rest:path}", name)])
routes += handler("/keys", "keys"), handler("/{rest:path}", "other")
parser, port = sys.argv[1:]


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print("ready", flush=True)


config = uvicorn.Config(
    Starlette(routes=routes),
    host="127.0.0.1",
    port=int(port),
    http=parser,
    log_level="critical",
    access_log=False,
)
Server(config).run()
