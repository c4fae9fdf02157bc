"""Serves the handlers of this test with aiohttp's router and server: main.py PORT."""

import sys
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from aiohttp import web

PREFIXES = {
    "/public/hidden": "hidden",
    "/public": "public",
    "/internal": "internal",
    "/admin": "admin",
    "/reports": "reports",
}
"""The narrower first."""


def handler(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        path = quote(request.path, safe="", errors="surrogateescape")
        return web.Response(headers={"X-Handler": name, "X-Path": path})

    return serve


app = web.Application()
for prefix, name in PREFIXES.items():
    app.router.add_get(prefix, handler(name))
    app.router.add_get(f"{prefix}/{{rest:.*}}", handler(name))
app.router.add_get("/keys", handler("keys"))
app.router.add_get("/{rest:.*}", handler("other"))
web.run_app(
    app,
    host="127.0.0.1",
    port=int(sys.argv[1]),
    access_log=None,
    print=lambda *_: print("ready", flush=True),
)
