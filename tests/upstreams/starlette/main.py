"""Serves the handlers of this test with Starlette on uvicorn: main.py PARSER PORT."""

import socket
import sys
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route


def handler(name: str) -> Route:
    async def serve(request: Request) -> Response:
        path = quote(request.scope["path"], safe="", errors="surrogatepass")
        return Response(headers={"X-Handler": name, "X-Path": path})

    return Route("/{rest:path}", serve)


async def keys(request: Request) -> Response:
    return Response(headers={"X-Handler": "keys", "X-Path": request.scope["path"]})


routes: list[BaseRoute] = [
    *(
        Mount(f"/{name}", routes=[handler(name)])
        for name in ("internal", "admin", "public", "reports")
    ),
    Route("/keys", keys),
    handler("other"),
]
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
